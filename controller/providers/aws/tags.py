"""The tags of a cloud job: whose it is, and the user's labels. They come back from DescribeJobs, not from ListJobs."""

import re
from collections.abc import Mapping

from controller.ports import SubmitRequest
from controller.providers import program

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
_NOT_ALLOWED = re.compile(r"[^\w .:/=+\-@]")
"""What tags may have: letters, digits, spaces and a few signs (AWS Batch user guide, "Tag restrictions")."""
_RESERVED = re.compile(r"(?i)aws:")


def of(request: SubmitRequest, instance: str, asked: str) -> dict[str, str]:
    """All tags of that job. Raises Permanent(INVALID_SPEC) for labels that cannot be tags."""
    ours = {INSTANCE: instance, TENANT: request.tenant_id, UID: request.uid, JOB_ID: request.job_id}
    if request.namespace:
        ours[NAMESPACE] = request.namespace
    if request.spec.deletion_policy == ORPHAN:
        ours[DELETION_POLICY] = ORPHAN
    if asked:
        ours[ASKED] = asked
    return {**of_user(request.spec.labels or {}), **ours}


def of_user(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels as tags: what tags may not have became ``_``. Raises Permanent(INVALID_SPEC) for what cannot be one.

    A changed label is told (`changed`).
    """
    most = LIMIT - len(OURS)
    if len(labels) > most:
        raise program.invalid("labels", f"{len(labels)} are more than {most}, the tags that AWS leaves to a job")
    found: dict[str, str] = {}
    for key, value in labels.items():
        tag = _NOT_ALLOWED.sub("_", key)
        if not tag or len(tag) > KEY_MAX:
            raise program.invalid("labels", f"{key!r} must have 1 to {KEY_MAX} characters to be a tag")
        if len(value) > VALUE_MAX:
            raise program.invalid("labels", f"{key!r} has a value of more than {VALUE_MAX} characters")
        if tag in OURS or _RESERVED.match(tag):
            raise program.invalid("labels", f"{key!r} is a reserved tag; rename it")
        if tag in found:
            raise program.invalid("labels", f"{key!r} becomes {tag!r} as a tag, as another label does; rename it")
        text = _NOT_ALLOWED.sub("_", value)
        found[tag] = f"_{text}"[:VALUE_MAX] if _RESERVED.match(text) else text
    return found


def changed(labels: Mapping[str, str]) -> int:
    """How many labels are not what they were as tags."""
    return len(labels.items() - of_user(labels).items())
