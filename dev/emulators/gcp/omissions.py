"""What the service may leave out of its answers: it promises none of these fields (providers.md §1c)."""

from collections.abc import Collection
from typing import Any, Literal

from dev.emulators.gcp.messages import Job

Omission = Literal["events", "counts", "instances", "run-duration", "create-labels"]
OMISSIONS: tuple[Omission, ...] = ("events", "counts", "instances", "run-duration", "create-labels")
"""``create-labels`` is for the answer of CreateJob alone, the others are for all."""


def without(message: Any, left_out: Collection[Omission], *, is_create: bool = False) -> Any:
    """The Job without those; the message itself is left as it is."""
    if not left_out:
        return message
    found = Job()
    found.CopyFrom(message)
    status = found.status
    if "events" in left_out:
        status.ClearField("status_events")
    if "run-duration" in left_out:
        status.ClearField("run_duration")
    for group in status.task_groups.values():
        if "counts" in left_out:
            group.ClearField("counts")
        if "instances" in left_out:
            group.ClearField("instances")
    if is_create and "create-labels" in left_out:
        found.ClearField("labels")
    return found
