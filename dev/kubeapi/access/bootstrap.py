"""The roles and bindings that every cluster has, as far as what is served here needs them.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
"""

from ..encoding import JsonObject
from .rbac import GROUP
from .users import AUTHENTICATED, MASTERS, UNAUTHENTICATED

_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]
_LABEL = f"{GROUP}/aggregate-to-"


def _rule(group: str, resources: str, verbs: list[str]) -> JsonObject:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs}


_WORKLOADS = {
    "": "configmaps endpoints persistentvolumeclaims pods serviceaccounts services",
    "apps": "daemonsets deployments replicasets statefulsets",
    "autoscaling": "horizontalpodautoscalers",
    "batch": "cronjobs jobs",
    "networking.k8s.io": "ingresses networkpolicies",
    "policy": "poddisruptionbudgets",
}
_VIEW = [
    *(_rule(group, resources, _READ) for group, resources in _WORKLOADS.items()),
    _rule("", "events limitranges namespaces pods/log pods/status resourcequotas services/status", _READ),
    _rule("apps", "daemonsets/status deployments/status replicasets/status statefulsets/status", _READ),
    _rule("batch", "cronjobs/status jobs/status", _READ),
    _rule("networking.k8s.io", "ingresses/status", _READ),
    _rule("policy", "poddisruptionbudgets/status", _READ),
]
_EDIT = [
    *(_rule(group, resources, _WRITE) for group, resources in _WORKLOADS.items()),
    _rule("", "secrets", [*_READ, *_WRITE]),
    _rule("", "events", _WRITE),
    _rule("", "serviceaccounts", ["impersonate"]),
    _rule("", "serviceaccounts/token", ["create"]),
    _rule("coordination.k8s.io", "leases", [*_WRITE, *_READ]),
]
_ADMIN = [
    _rule("authorization.k8s.io", "localsubjectaccessreviews", ["create"]),
    _rule(GROUP, "rolebindings roles", [*_WRITE, *_READ]),
]
_DISCOVERY = ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz"]
_VERSION = ["/version", "/version/"]


def _paths(paths: list[str]) -> list[JsonObject]:
    return [{"nonResourceURLs": paths, "verbs": ["get"]}]


_RULES: dict[str, list[JsonObject]] = {
    "cluster-admin": [_rule("*", "*", ["*"]), {"nonResourceURLs": ["*"], "verbs": ["*"]}],
    "system:discovery": _paths([*_DISCOVERY, *_VERSION]),
    "system:public-info-viewer": _paths(["/healthz", "/livez", "/readyz", *_VERSION]),
    "system:basic-user": [
        _rule("authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews", ["create"]),
        _rule("authentication.k8s.io", "selfsubjectreviews", ["create"]),
    ],
    "system:auth-delegator": [
        _rule("authentication.k8s.io", "tokenreviews", ["create"]),
        _rule("authorization.k8s.io", "subjectaccessreviews", ["create"]),
    ],
}
_BOUND_TO = {
    "cluster-admin": [MASTERS],
    "system:discovery": [AUTHENTICATED],
    "system:public-info-viewer": [AUTHENTICATED, UNAUTHENTICATED],
    "system:basic-user": [AUTHENTICATED],
}
_AGGREGATED = {"view": _VIEW, "edit": _EDIT, "admin": _ADMIN}
_INCLUDED_IN = {"view": "edit", "edit": "admin"}


def cluster_roles() -> list[JsonObject]:
    roles = [{"metadata": {"name": name}, "rules": rules} for name, rules in _RULES.items()]
    for name, rules in _AGGREGATED.items():
        selector = {"matchLabels": {f"{_LABEL}{name}": "true"}}
        # view is part of edit, and edit of admin.
        labels = {f"{_LABEL}{_INCLUDED_IN[name]}": "true"} if name in _INCLUDED_IN else {}
        roles.append(
            {
                "metadata": {"name": name, "labels": labels},
                "aggregationRule": {"clusterRoleSelectors": [selector]},
                "rules": [],
            }
        )
        metadata = {"name": f"system:aggregate-to-{name}", "labels": {f"{_LABEL}{name}": "true"}}
        roles.append({"metadata": metadata, "rules": rules})
    return roles


def cluster_role_bindings() -> list[JsonObject]:
    return [
        {
            "metadata": {"name": role},
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": GROUP, "kind": "Group", "name": group} for group in groups],
        }
        for role, groups in _BOUND_TO.items()
    ]
