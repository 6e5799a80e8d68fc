"""Labels of a Job and its Pods: ours, by which they are found and owned, and the user's. Pure."""

from collections.abc import Mapping

from controller.domain import names, reasons
from controller.domain.errors import Permanent
from controller.ports import SubmitRequest

MANAGED_BY = "app.kubernetes.io/managed-by"
INSTANCE = f"{names.GROUP}/instance"
"""JENNAH_INSTANCE: only the jobs of this installation are looked at."""
UID = f"{names.GROUP}/uid"
"""The JennahJob's uid: whose job it is."""
NAMESPACE = f"{names.GROUP}/namespace"
"""The JennahJob's namespace."""
EXTERNAL_NAME = f"{names.GROUP}/external-name"
DELETION_POLICY = f"{names.GROUP}/deletion-policy"
"""`ORPHAN`, or not there."""
ORPHAN = "Orphan"
UNRELEASED = f"{names.GROUP}/unreleased"
"""An annotation, from the making of a Job until it is let go (`request.release`): such a Job has never run."""
QUEUE = "kueue.x-k8s.io/queue-name"
"""A label, the user's: Kueue lets a Job with it go, and nothing else may."""
INDEX = "batch.kubernetes.io/job-completion-index"
"""An annotation (since Kubernetes 1.28 a label too) that the Job controller sets on each Pod of an indexed Job."""

_RESERVED = ("kubernetes.io", "k8s.io", names.GROUP)


def ours(request: SubmitRequest, instance: str) -> dict[str, str]:
    """The labels that every Job of ours has, and its Pods."""
    own = {
        MANAGED_BY: "jennah",
        INSTANCE: instance,
        UID: request.uid,
        EXTERNAL_NAME: request.external_name,
        names.LABEL_TENANT: request.tenant_id,
        names.LABEL_JOB_ID: request.job_id,
    }
    if request.namespace:
        own[NAMESPACE] = request.namespace
    if request.spec.deletion_policy == "Orphan":
        own[DELETION_POLICY] = ORPHAN
    return own


def users(labels: Mapping[str, str]) -> dict[str, str]:
    """The user's labels. Raises Permanent(INVALID_SPEC) for what Kubernetes takes as none, or keeps for itself."""
    for key, value in labels.items():
        prefix, slash, _ = key.rpartition("/")
        if not names.is_label(key, value):
            raise _invalid(f"{key}={value} is no label in Kubernetes")
        # Of what ends so only the very domains: kueue.x-k8s.io is for users.
        if slash and (prefix in _RESERVED or prefix.endswith(tuple("." + one for one in _RESERVED))):
            raise _invalid(f"{key}: labels of {prefix} are not for jobs to set")
        if key in ("job-name", "controller-uid"):
            raise _invalid(f"{key} is set by Kubernetes itself")
    return dict(labels)


def selector(instance: str) -> str:
    """What all of an installation's Jobs and Pods have, and no others."""
    return f"{MANAGED_BY}=jennah,{INSTANCE}={instance}"


def _invalid(fault: str) -> Permanent:
    return Permanent(f"spec.labels: {fault}", reason=reasons.INVALID_SPEC)
