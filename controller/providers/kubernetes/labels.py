"""Labels of a Job and its Pods: ours, by which they are found and owned, and the user's. Pure."""

from collections.abc import Mapping

from controller.domain import admission, names
from controller.ports import SubmitRequest
from controller.providers import program

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
QUEUE = admission.QUEUE_LABEL
"""A label, the user's: Kueue lets a Job with it go, and nothing else may."""
INDEX = "batch.kubernetes.io/job-completion-index"
"""An annotation (since Kubernetes 1.28 a label too) that the Job controller sets on each Pod of an indexed Job."""

TENANT = names.LABEL_TENANT
"""An annotation: the tenant, whole. As a label of that key it is written so that it is one (`names.tenant_label`)."""
PREEMPTION_LIMIT = f"{names.GROUP}/preemption-limit"
"""An annotation of the Job: spec.preemptionLimit. A Job without it was made by a release that knew no such limit."""
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"
"""Annotations that the Job controller sets on each Pod of an indexed Job: how many earlier attempts at its task counted
as failures, and how many its failure policy ignored."""

_RESERVED = ("kubernetes.io", "k8s.io", "x-k8s.io", names.GROUP, "azure.workload.identity", "istio.io", "volcano.sh")
"""Domains whose labels make something in the cluster act: hand out an account's token, say, or leave a mesh."""
_RECOMMENDED = "app.kubernetes.io"
"""Kubernetes recommends that users set labels of this domain."""
_KUEUES = frozenset({QUEUE, admission.PRIORITY_LABEL})
"""Users set these, where their tenant may name what they say (`domain.admission`)."""


def ours(request: SubmitRequest, instance: str) -> dict[str, str]:
    """The labels that every Job of ours has, and its Pods."""
    own = {
        MANAGED_BY: "jennah",
        INSTANCE: instance,
        UID: request.uid,
        EXTERNAL_NAME: request.external_name,
        names.LABEL_TENANT: names.tenant_label(request.tenant_id),
        names.LABEL_JOB_ID: request.job_id,
    }
    if request.namespace:
        own[NAMESPACE] = request.namespace
    if request.spec.deletion_policy == "Orphan":
        own[DELETION_POLICY] = ORPHAN
    return own


def check(labels: Mapping[str, str]) -> None:
    """Raises Permanent(INVALID_SPEC) for labels that Kubernetes does not take, or that it or we set."""
    for key, value in labels.items():
        prefix, slash, _ = key.rpartition("/")
        if not names.is_label(key, value):
            fault = "a label has at most 63 letters, digits and . _ -, and begins and ends with a letter or digit"
            raise program.invalid("labels", f"{key}={value} is no label in Kubernetes: {fault}")
        if key in (MANAGED_BY, "job-name", "controller-uid"):
            raise program.invalid("labels", f"{key} is not for jobs to set: leave it out")
        is_reserved = prefix in _RESERVED or prefix.endswith(tuple("." + one for one in _RESERVED))
        if slash and is_reserved and prefix != _RECOMMENDED and key not in _KUEUES:
            raise program.invalid("labels", f"{key}: labels of {prefix} are not for jobs to set; use another prefix")


def selector(instance: str) -> str:
    """What all of an installation's Jobs and Pods have, and no others."""
    return f"{MANAGED_BY}=jennah,{INSTANCE}={instance}"
