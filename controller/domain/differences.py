"""Where a job gets something else than was asked for, and how that becomes a condition. Pure.

Every adapter tells differences by this one family of condition types and reasons, so that the same difference has the
same words on every service.
"""

from collections.abc import Iterable

import msgspec

from controller.domain import conditions, reasons


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One field of the spec that the service does not take as it is."""

    field: str
    """Its path, such as ``resources.cpu`` or ``activeDeadlineSeconds``."""
    reason: str
    """ROUNDED_UP, HELD_BACK, NOT_SUPPORTED, LIMITED or UNKNOWN_MACHINE_TYPE of `domain.reasons`."""
    message: str
    """What was asked for and what is given, with both numbers and the service's name."""


class Remark(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A condition that says what a service did otherwise than was asked."""

    condition: str
    """A type of `domain.conditions`."""
    reason: str
    message: str
    status: bool = False


_CONDITIONS = {
    "activeDeadlineSeconds": conditions.DEADLINE_EXACT,
    "backoffLimit": conditions.RETRIES_EXACT,
    "preemptionLimit": conditions.RETRIES_EXACT,
    "bootDiskGiB": conditions.RESOURCES_EXACT,
    "machineType": conditions.RESOURCES_EXACT,
    "resources": conditions.RESOURCES_EXACT,
    "parallelism": conditions.PARALLELISM_HONOURED,
}
"""By the field or its first part; the rest is `conditions.SPEC_HONOURED`. The entrypoint has a remark of its own."""


def condition_of(field: str) -> str:
    """The type of the condition that tells of that field."""
    return _CONDITIONS.get(field) or _CONDITIONS.get(field.partition(".")[0]) or conditions.SPEC_HONOURED


def remarks(differences: Iterable[Difference]) -> tuple[Remark, ...]:
    """One remark for each condition type, in a fixed order; several differences share one, with the first reason."""
    grouped: dict[str, list[Difference]] = {}
    for one in differences:
        grouped.setdefault(condition_of(one.field), []).append(one)
    return tuple(
        Remark(condition=kind, reason=told[0].reason, message="; ".join(one.message for one in told))
        for kind, told in sorted(grouped.items())
    )


ONE_COUNT = (
    "{} counts failures of the program and losses of its machine together: preemptionLimit ({}) adds nothing to "
    "backoffLimit ({}), which holds for both"
)
"""Of preemptionLimit, with the service and both numbers."""


def entrypoint_kept(service: str) -> Remark:
    """`command` cannot replace the image's entrypoint: it is handed to it."""
    return Remark(
        condition=conditions.ENTRYPOINT_REPLACED,
        reason=reasons.NOT_SUPPORTED,
        message=f"{service} cannot replace an image's entrypoint: command and args are handed to it, which is the same "
        "only for an image without one",
    )


def entrypoint_lost(service: str) -> Remark:
    """`args` without `command` take the place of the image's entrypoint, which is not run."""
    return Remark(
        condition=conditions.ENTRYPOINT_REPLACED,
        reason=reasons.NOT_SUPPORTED,
        message=f"{service} runs args in place of the image's entrypoint, which is not run: put the program into "
        "command",
        status=True,
    )
