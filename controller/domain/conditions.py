"""Conditions in the manner of batch/v1 and metav1.Condition, so that ``kubectl wait --for=condition=Complete`` works.

All conditions are set by `with_condition`: it stamps the generation, keeps lastTransitionTime while the
status stays the same, and cuts messages to what is readable.
"""

from datetime import datetime

import msgspec

SUBMITTED = "Submitted"
"""The service has the job."""
SUSPENDED = "Suspended"
"""spec.suspend holds the job back."""
ENVIRONMENT_READY = "EnvironmentReady"
"""False while a referred Secret or ConfigMap is missing. Only set for a job that had to wait, or of whose Secrets and
ConfigMaps keys were left out: then it is True, and the message names them."""
SCHEDULED = "Scheduled"
"""False while the service says why a job gets no machine. Only set for a job that waits for long."""
PARALLELISM_HONOURED = "ParallelismHonoured"
"""False where the service has no limit for tasks at once and spec.parallelism changes nothing."""
RESOURCES_EXACT = "ResourcesExact"
"""False where CPU, memory, GPUs, disk or machine are not what was asked for; the message has both numbers."""
DEADLINE_EXACT = "DeadlineExact"
"""False where the service's shortest or longest time limit takes the place of activeDeadlineSeconds; the message has
both."""
RETRIES_EXACT = "RetriesExact"
"""False where the service cannot count failures of the program and losses of the machine apart."""
SPEC_HONOURED = "SpecHonoured"
"""False where some other field of the spec changes nothing at the service; the message names each."""
ENTRYPOINT_REPLACED = "EntrypointReplaced"
"""False where the service cannot replace the image's entrypoint: spec.command is handed to it as arguments. True where
spec.args alone take its place, and it is not run."""
CANCELLING = "Cancelling"
"""The service was asked to end the job."""
PROGRESSING = "Progressing"
"""False while the next tasks of a set cannot be submitted; the message says why. Only set for a set that met that."""
OBSERVED = "Observed"
"""False while the service does not know a job that was submitted. Only set for a job that was missing."""
FINISHED = "Finished"
"""The job has ended, however: what waits for the end of any job waits for this."""
COMPLETE = "Complete"
FAILED = "Failed"
CANCELLED = "Cancelled"

MESSAGE_MAX = 1024


class Condition(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """One aspect of a job's state. `status` is "True", "False" or "Unknown"."""

    type: str
    status: str
    reason: str
    message: str
    last_transition_time: datetime
    observed_generation: int | None = None

    @property
    def is_true(self) -> bool:
        return self.status == "True"


def find(conditions: tuple[Condition, ...], kind: str) -> Condition | None:
    """The condition of that type, if it was ever set."""
    return next((c for c in conditions if c.type == kind), None)


def is_true(conditions: tuple[Condition, ...], kind: str) -> bool:
    condition = find(conditions, kind)
    return condition is not None and condition.is_true


_WAITS = {(SUSPENDED, "True"), (ENVIRONMENT_READY, "False"), (SUBMITTED, "False"), (SCHEDULED, "False")}


def waiting(conditions: tuple[Condition, ...]) -> Condition | None:
    """What a job that has not begun waits for, as far as it was told: the newest of the conditions that say so."""
    found = [one for one in conditions if (one.type, one.status) in _WAITS]
    return max(found, key=lambda one: one.last_transition_time, default=None)


def with_condition(
    conditions: tuple[Condition, ...],
    kind: str,
    value: bool,
    *,
    reason: str,
    message: str,
    now: datetime,
    generation: int,
) -> tuple[Condition, ...]:
    """The conditions with this one set; the same tuple where nothing of it would change."""
    status = "True" if value else "False"
    message = shorten(message)
    old = find(conditions, kind)
    if old is not None and (old.status, old.reason, old.message) == (status, reason, message):
        return conditions
    since = old.last_transition_time if old is not None and old.status == status else now
    new = Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=since,
        observed_generation=generation,
    )
    if old is None:
        return (*conditions, new)
    return tuple(new if c is old else c for c in conditions)


def shorten(message: str) -> str:
    """The message, cut to `MESSAGE_MAX` characters with a sign that it was."""
    return message if len(message) <= MESSAGE_MAX else message[: MESSAGE_MAX - 1] + "…"
