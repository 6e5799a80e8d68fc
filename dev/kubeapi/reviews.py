"""Access and token reviews: there is one user, who may do everything."""

import hmac

from .encoding import JsonObject
from .resources import Resource

USER = {"username": "system:admin", "groups": ["system:masters", "system:authenticated"]}


def answer(resource: Resource, review: JsonObject, token: str) -> JsonObject:
    """The review with its status."""
    return {
        "metadata": {},
        **review,
        "kind": resource.kind,
        "apiVersion": resource.api_version,
        "status": _status(resource.kind, review, token),
    }


def _status(kind: str, review: JsonObject, token: str) -> JsonObject:
    match kind:
        case "TokenReview":
            given = str(review.get("spec", {}).get("token", ""))
            if hmac.compare_digest(given.encode(), token.encode()):
                return {"authenticated": True, "user": USER}
            return {"user": {}, "error": "invalid bearer token"}
        case "SelfSubjectReview":
            return {"userInfo": USER}
        case "SelfSubjectRulesReview":
            everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
            return {
                "resourceRules": [everything],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                "incomplete": False,
            }
        case _:
            return {"allowed": True, "reason": "this server allows everything"}
