"""Access and token reviews: who somebody is, and what they may do."""

from typing import Any

from ..encoding import JsonObject
from ..resources import Resource
from ..status import bad_request
from .attributes import Attributes
from .authentication import Authenticator
from .rbac import AllowAll, Rbac
from .tokens import ISSUER
from .users import User


class Reviews:
    def __init__(self, authenticator: Authenticator, authorizer: AllowAll | Rbac) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer

    def answer(self, resource: Resource, namespace: str | None, review: JsonObject, user: User) -> JsonObject:
        """The review with its status; a 400 ApiError where it asks nothing."""
        spec = review.get("spec") or {}
        if not isinstance(spec, dict):
            raise bad_request("json: cannot unmarshal spec")
        return {
            **review,
            "kind": resource.kind,
            "apiVersion": resource.api_version,
            "status": self._status(resource.kind, namespace, spec, user),
        }

    def _status(self, kind: str, namespace: str | None, spec: JsonObject, user: User) -> JsonObject:
        match kind:
            case "TokenReview":
                return self._token_status(spec)
            case "SelfSubjectReview":
                return {"userInfo": user.info()}
            case "SelfSubjectRulesReview":
                return self._rules(user, str(spec.get("namespace") or ""))
            case "SelfSubjectAccessReview":
                return self._access(user, spec)
        asked_for = User(
            name=str(spec.get("user") or ""),
            groups=tuple(spec.get("groups") or ()),
            uid=str(spec.get("uid") or ""),
        )
        if not asked_for.name and not asked_for.groups:
            raise bad_request("at least one of user or group must be specified")
        if namespace is not None:
            attributes = spec.get("resourceAttributes") or {}
            if attributes.get("namespace") != namespace:
                raise bad_request("spec.resourceAttributes.namespace must match metadata.namespace")
        return self._access(asked_for, spec)

    def _token_status(self, spec: JsonObject) -> JsonObject:
        token = str(spec.get("token") or "")
        users = {each: self._authenticator.of_token(token, [each]) for each in spec.get("audiences") or [ISSUER]}
        meant = [audience for audience, user in users.items() if user is not None]
        user = users[meant[0]] if meant else None
        if user is None:
            return {"user": {}, "error": "invalid bearer token"}
        return {"authenticated": True, "user": user.info(), "audiences": meant}

    def _access(self, user: User, spec: JsonObject) -> JsonObject:
        return {"allowed": self._authorizer.allows(user, _attributes(spec))}

    def _rules(self, user: User, namespace: str) -> JsonObject:
        resources, others = [], []
        for rule in self._authorizer.rules(user, namespace):
            if rule.get("nonResourceURLs"):
                others.append({"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]})
            else:
                fields = ("verbs", "apiGroups", "resources", "resourceNames")
                resources.append({field: rule[field] for field in fields if rule.get(field)})
        return {"resourceRules": resources, "nonResourceRules": others, "incomplete": False}


def _attributes(spec: JsonObject) -> Attributes:
    asked: Any = spec.get("resourceAttributes")
    if isinstance(asked, dict):
        fields = ("verb", "group", "version", "resource", "subresource", "namespace", "name")
        return Attributes(**{field: str(asked.get(field) or "") for field in fields})
    asked = spec.get("nonResourceAttributes")
    if not isinstance(asked, dict):
        raise bad_request("exactly one of nonResourceAttributes or resourceAttributes must be specified")
    return Attributes(verb=str(asked.get("verb") or ""), path=str(asked.get("path") or ""))
