"""API_AUTH=kubernetes: the cluster says whose a bearer token is (TokenReview), and for which tenants (RBAC).

Tokens must be made for an audience of ours, so that they are good for nothing else. An account may act for a tenant
where a SubjectAccessReview allows the verb ``act`` on the resource ``jennahtenants`` of that name; none may by default.
"""

import hashlib
from typing import Any, Final

import msgspec

from api.auth import jwts
from api.auth.asking import Asking
from api.auth.principal import Principal
from controller.domain import names
from controller.kube.client import KubeClient
from controller.ports import Clock

KIND: Final = "kubernetes"
RESOURCE: Final = "jennahtenants"
VERB: Final = "act"

_REVIEWS_OF_TOKENS = "/apis/authentication.k8s.io/v1/tokenreviews"
_REVIEWS_OF_ACCESS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


class User(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who the cluster says that it is."""

    username: str
    uid: str = ""
    groups: list[str] = []
    extra: dict[str, list[str]] = {}


class ClusterTokens:
    """Reviews of tokens and of access, remembered for a minute."""

    def __init__(self, client: KubeClient, clock: Clock, *, audience: str) -> None:
        self._client = client
        self._clock = clock
        self._audience = audience
        self._tokens: Asking[User] = Asking(clock)
        self._access: Asking[bool] = Asking(clock)

    async def identify(self, token: str, remote: str) -> "ClusterUser | None":
        claims = jwts.claims(token)
        if claims is None or not jwts.may_be_good(claims, self._audience, self._clock.now()):
            return None
        digest = hashlib.sha256(token.encode()).digest()
        user = await self._tokens.about(digest, remote, lambda: self._review(token))
        return None if user is None else ClusterUser(self, user)

    async def may(self, user: User, tenant_id: str) -> bool:
        key = hashlib.sha256(msgspec.json.encode((user, tenant_id), order="deterministic")).digest()
        return await self._access.about(key, user.username, lambda: self._allowed(user, tenant_id)) is True

    async def close(self) -> None:
        await self._tokens.close()
        await self._access.close()

    async def _review(self, token: str) -> User | None:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [self._audience]},
        }
        status = await self._status_of(_REVIEWS_OF_TOKENS, body)
        # Without audiences in its answer the server has not looked at them: the token may be one for Kubernetes itself.
        is_ours = status.get("authenticated") is True and self._audience in (status.get("audiences") or ())
        try:
            user = msgspec.convert(_without_nulls(status.get("user") or {}), User)
        except msgspec.ValidationError:
            return None
        return user if is_ours and user.username else None

    async def _allowed(self, user: User, tenant_id: str) -> bool | None:
        attributes = {"group": names.GROUP, "resource": RESOURCE, "name": tenant_id, "verb": VERB}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user.username,
                "uid": user.uid,
                "groups": user.groups,
                "extra": user.extra,
                "resourceAttributes": attributes,
            },
        }
        status = await self._status_of(_REVIEWS_OF_ACCESS, body)
        return True if status.get("allowed") is True and status.get("denied") is not True else None

    async def _status_of(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return (await self._client.post(path, body)).get("status") or {}


class ClusterUser:
    """An account of the cluster that calls."""

    def __init__(self, reviews: ClusterTokens, user: User) -> None:
        self.principal = Principal(KIND, user.username)
        self._reviews = reviews
        self._user = user

    async def may_act_for(self, tenant_id: str) -> bool:
        return await self._reviews.may(self._user, tenant_id)


def _without_nulls(user: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in user.items() if value is not None}
