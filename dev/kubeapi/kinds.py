"""The built-in kinds: one row each. What their fields are is in built_in_types.py."""

from collections.abc import Iterator
from typing import Any

from . import columns
from .resources import Resource

_EVENT_FIELDS = {
    **{f"involvedObject.{name}": f".involvedObject.{name}" for name in ("kind", "namespace", "name", "uid")},
    **{f"involvedObject.{name}": f".involvedObject.{name}" for name in ("apiVersion", "resourceVersion")},
    "involvedObject.fieldPath": ".involvedObject.fieldPath",
    "reason": ".reason",
    "type": ".type",
    "source": ".source.component",
    "reportingComponent": ".reportingComponent",
}
_POD_FIELDS = {
    "spec.nodeName": ".spec.nodeName",
    "spec.restartPolicy": ".spec.restartPolicy",
    "spec.schedulerName": ".spec.schedulerName",
    "spec.serviceAccountName": ".spec.serviceAccountName",
    "status.phase": ".status.phase",
    "status.podIP": ".status.podIP",
    "status.nominatedNodeName": ".status.nominatedNodeName",
}


def _group(group: str, version: str, *rows: tuple[Any, ...]) -> Iterator[Resource]:
    """Rows are (plural, kind) or (plural, kind, {what differs from the defaults})."""
    for plural, kind, *rest in rows:
        more: dict[str, Any] = rest[0] if rest else {}
        yield Resource(
            group=group,
            version=version,
            plural=plural,
            kind=kind,
            singular=kind.lower(),
            columns=columns.BUILT_IN.get(plural, columns.DEFAULT),
            **more,
        )


def _short(*short_names: str) -> dict[str, Any]:
    return {"short_names": short_names}


_ALL = {"categories": ("all",)}
_SPEC_AND_STATUS = {"has_status": True, "has_generation": True}
_CLUSTER = {"is_namespaced": False}
_UPSERTED = {"is_created_by_update": True}
_RBAC = {"name_rule": "path", "is_created_by_update": True}
_REVIEW = {"is_review": True, "is_namespaced": False}
_EVENT = {**_short("ev"), **_UPSERTED}


def built_in() -> list[Resource]:
    return [
        *_group(
            "",
            "v1",
            (
                "namespaces",
                "Namespace",
                _short("ns")
                | _CLUSTER
                | {
                    "has_status": True,
                    "name_rule": "label",
                    "selectable": {"status.phase": ".status.phase"},
                },
            ),
            ("configmaps", "ConfigMap", _short("cm")),
            ("secrets", "Secret", {"selectable": {"type": ".type"}}),
            ("events", "Event", _EVENT | {"selectable": _EVENT_FIELDS}),
            ("pods", "Pod", _short("po") | _ALL | _SPEC_AND_STATUS | {"selectable": _POD_FIELDS}),
            ("serviceaccounts", "ServiceAccount", _short("sa") | {"has_token": True}),
            ("services", "Service", _short("svc") | _ALL | {"has_status": True}),
            ("endpoints", "Endpoints", _short("ep")),
            ("persistentvolumeclaims", "PersistentVolumeClaim", _short("pvc") | {"has_status": True}),
            ("resourcequotas", "ResourceQuota", _short("quota") | {"has_status": True}),
            ("limitranges", "LimitRange", _short("limits")),
            (
                "nodes",
                "Node",
                _short("no")
                | _CLUSTER
                | {
                    "has_status": True,
                    "selectable": {"spec.unschedulable": ".spec.unschedulable"},
                },
            ),
        ),
        *_group(
            "apps",
            "v1",
            ("deployments", "Deployment", _short("deploy") | _ALL | _SPEC_AND_STATUS),
            ("replicasets", "ReplicaSet", _short("rs") | _ALL | _SPEC_AND_STATUS),
            ("statefulsets", "StatefulSet", _short("sts") | _ALL | _SPEC_AND_STATUS),
            ("daemonsets", "DaemonSet", _short("ds") | _ALL | _SPEC_AND_STATUS),
        ),
        *_group(
            "batch",
            "v1",
            # batch/v1 keeps the pods of a deleted Job unless told otherwise.
            (
                "jobs",
                "Job",
                _ALL
                | _SPEC_AND_STATUS
                | {
                    "default_propagation": "Orphan",
                    "selectable": {"status.successful": ".status.succeeded"},
                },
            ),
            ("cronjobs", "CronJob", _short("cj") | _ALL | _SPEC_AND_STATUS),
        ),
        *_group(
            "coordination.k8s.io",
            "v1",
            ("leases", "Lease", _UPSERTED | {"may_update_unconditionally": False}),
        ),
        *_group("events.k8s.io", "v1", ("events", "Event", _EVENT)),
        *_group(
            "rbac.authorization.k8s.io",
            "v1",
            ("roles", "Role", _RBAC),
            ("rolebindings", "RoleBinding", _RBAC),
            ("clusterroles", "ClusterRole", _RBAC | _CLUSTER),
            ("clusterrolebindings", "ClusterRoleBinding", _RBAC | _CLUSTER),
        ),
        *_group(
            "autoscaling",
            "v2",
            ("horizontalpodautoscalers", "HorizontalPodAutoscaler", _short("hpa") | _ALL | {"has_status": True}),
        ),
        *_group("policy", "v1", ("poddisruptionbudgets", "PodDisruptionBudget", _short("pdb") | _SPEC_AND_STATUS)),
        *_group(
            "networking.k8s.io",
            "v1",
            ("networkpolicies", "NetworkPolicy", _short("netpol") | {"has_generation": True}),
            ("ingresses", "Ingress", _short("ing") | _SPEC_AND_STATUS),
        ),
        *_group(
            "admissionregistration.k8s.io",
            "v1",
            ("validatingadmissionpolicies", "ValidatingAdmissionPolicy", _CLUSTER | _SPEC_AND_STATUS),
            (
                "validatingadmissionpolicybindings",
                "ValidatingAdmissionPolicyBinding",
                _CLUSTER
                | {
                    "has_generation": True,
                },
            ),
            (
                "validatingwebhookconfigurations",
                "ValidatingWebhookConfiguration",
                _CLUSTER
                | {
                    "has_generation": True,
                },
            ),
            ("mutatingwebhookconfigurations", "MutatingWebhookConfiguration", _CLUSTER | {"has_generation": True}),
        ),
        *_group("scheduling.k8s.io", "v1", ("priorityclasses", "PriorityClass", _short("pc") | _CLUSTER)),
        *_group(
            "apiextensions.k8s.io",
            "v1",
            (
                "customresourcedefinitions",
                "CustomResourceDefinition",
                _short("crd", "crds")
                | _CLUSTER
                | {
                    **_SPEC_AND_STATUS,
                    "categories": ("api-extensions",),
                    "may_update_unconditionally": False,
                },
            ),
        ),
        *_group(
            "authorization.k8s.io",
            "v1",
            ("selfsubjectaccessreviews", "SelfSubjectAccessReview", _REVIEW),
            ("selfsubjectrulesreviews", "SelfSubjectRulesReview", _REVIEW),
            ("subjectaccessreviews", "SubjectAccessReview", _REVIEW),
            ("localsubjectaccessreviews", "LocalSubjectAccessReview", _REVIEW | {"is_namespaced": True}),
        ),
        *_group(
            "authentication.k8s.io",
            "v1",
            ("tokenreviews", "TokenReview", _REVIEW),
            ("selfsubjectreviews", "SelfSubjectReview", _REVIEW),
        ),
    ]
