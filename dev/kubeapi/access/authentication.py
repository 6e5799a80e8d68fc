"""From a request's headers to the user it comes from: bearer tokens and impersonation."""

import hmac
from urllib.parse import unquote

from multidict import CIMultiDictProxy

from .. import status
from .attributes import Attributes
from .rbac import AllowAll, Rbac
from .tokens import ISSUER, ServiceAccountTokens
from .users import ADMIN, ANONYMOUS, AUTHENTICATED, User, account_groups, account_of

_PUBLIC = {"/healthz", "/livez", "/readyz", "/version"}
_EXTRA = "Impersonate-Extra-"


Headers = CIMultiDictProxy[str]
"""A request's, as aiohttp has them; some may come more than once."""


class Authenticator:
    def __init__(self, admin_token: str, tokens: ServiceAccountTokens, authorizer: AllowAll | Rbac) -> None:
        self._admin_token = admin_token.encode()
        self._authorization = b"Bearer " + self._admin_token
        self._tokens = tokens
        self._authorizer = authorizer

    def user_of(self, headers: Headers, path: str) -> User:
        """Raises ApiError: 401 for whom nobody knows, 403 for who may not act as another."""
        given = headers.get("Authorization")
        if given is None and path in _PUBLIC:
            return ANONYMOUS
        if hmac.compare_digest((given or "").encode(), self._authorization):
            user: User | None = ADMIN
        else:
            scheme, _, token = (given or "").partition(" ")
            user = self._tokens.user_of(token.strip(), [ISSUER]) if scheme.lower() == "bearer" else None
        if user is None:
            raise status.unauthorized()
        if headers.get("Impersonate-User") is not None or headers.get("Impersonate-Group") is not None:
            return self._impersonated(user, headers)
        return user

    def of_token(self, token: str, audiences: list[str]) -> User | None:
        """Whose token it is, as a TokenReview answers. The administrator's is for the API server alone."""
        if hmac.compare_digest(token.encode(), self._admin_token):
            return ADMIN if ISSUER in audiences else None
        return self._tokens.user_of(token, audiences)

    def _impersonated(self, user: User, headers: Headers) -> User:
        name = headers.get("Impersonate-User")
        if not name:
            raise status.bad_request("requested impersonation without impersonating a user")
        groups = tuple(headers.getall("Impersonate-Group", []))
        uid = headers.get("Impersonate-Uid") or ""
        account = account_of(name)
        if account is not None:
            self._check(
                user, Attributes(verb="impersonate", resource="serviceaccounts", namespace=account[0], name=account[1])
            )
        else:
            self._check(user, Attributes(verb="impersonate", resource="users", name=name))
        for group in groups:
            self._check(user, Attributes(verb="impersonate", resource="groups", name=group))
        if not groups and account is not None:
            groups = account_groups(account[0])
        if name != ANONYMOUS.name and AUTHENTICATED not in groups:
            groups = (*groups, AUTHENTICATED)
        return User(name=name, groups=groups, uid=uid, extra=self._extra(user, headers, uid))

    def _extra(self, user: User, headers: Headers, uid: str) -> dict[str, list[str]]:
        group = "authentication.k8s.io"
        if uid:
            self._check(user, Attributes(verb="impersonate", group=group, resource="uids", name=uid))
        extra = {}
        for header in headers:
            if header.lower().startswith(_EXTRA.lower()):
                key = unquote(header[len(_EXTRA) :]).lower()
                extra[key] = headers.getall(header, [])
                for value in extra[key]:
                    asked = Attributes(
                        verb="impersonate", group=group, resource="userextras", subresource=key, name=value
                    )
                    self._check(user, asked)
        return extra

    def _check(self, user: User, asked: Attributes) -> None:
        if not self._authorizer.allows(user, asked):
            raise status.not_authorized(asked.group, asked.resource, asked.name, asked.denial(user.name))
