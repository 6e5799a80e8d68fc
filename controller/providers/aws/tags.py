"""The tags of a cloud job: whose it is, and the user's labels. They come back from DescribeJobs, not from ListJobs."""

import re
from collections.abc import Mapping

from controller.domain import reasons
from controller.domain.errors import Permanent
from controller.ports import SubmitRequest

INSTANCE = "jennah-instance"
TENANT = "jennah-tenant"
UID = "jennah-uid"
JOB_ID = "jennah-job-id"
ASKED = "jennah-asked"
"""What was asked for and not given exactly (`remarks.encode`): an adopted job's remarks are derived from it."""
NAMESPACE = "jennah-namespace"
DELETION_POLICY = "jennah-deletion-policy"
"""Orphan, or not there."""
OURS = frozenset({INSTANCE, TENANT, UID, JOB_ID, ASKED, NAMESPACE, DELETION_POLICY})

ORPHAN = "Orphan"

LIMIT = 50
KEY_MAX = 128
VALUE_MAX = 256
_ALLOWED = re.compile(r"[\w\s.:/=+\-@]*")


def of(request: SubmitRequest, instance: str, asked: str) -> dict[str, str]:
    """All tags of that job. Raises Permanent(INVALID_SPEC) for labels that are no tags (providers.md §2d)."""
    labels: Mapping[str, str] = request.spec.labels or {}
    for key, value in labels.items():
        fault = _fault(key, value)
        if fault:
            raise Permanent(f"spec.labels: {key!r} {fault}", reason=reasons.INVALID_SPEC)
    ours = {INSTANCE: instance, TENANT: request.tenant_id, UID: request.uid, JOB_ID: request.job_id}
    if request.namespace:
        ours[NAMESPACE] = request.namespace
    if request.spec.deletion_policy == ORPHAN:
        ours[DELETION_POLICY] = ORPHAN
    if asked:
        ours[ASKED] = asked
    if len(labels) + len(OURS) > LIMIT:
        most = LIMIT - len(OURS)
        raise Permanent(f"spec.labels: {len(labels)} are more than {most}", reason=reasons.INVALID_SPEC)
    return {**labels, **ours}


def _fault(key: str, value: str) -> str | None:
    """Why that is no tag, or None."""
    if not key or len(key) > KEY_MAX:
        return f"must have 1 to {KEY_MAX} characters to be a tag"
    if len(value) > VALUE_MAX:
        return f"has a value of more than {VALUE_MAX} characters"
    if key in OURS or key.lower().startswith("aws:"):
        return "is a reserved tag"
    if not _ALLOWED.fullmatch(key) or not _ALLOWED.fullmatch(value):
        return "must consist of letters, digits, spaces and _ . : / = + - @, as its value must, to be a tag"
    return None
