"""`domain.program` as every service's rules begin with it: its faults are those of a spec."""

from collections.abc import Mapping

from controller.domain import program, reasons
from controller.domain.errors import Invalid, Permanent
from controller.domain.fields import BLOCKS
from controller.domain.job import JobSpec


def check(spec: JobSpec, env: Mapping[str, str], provider: str) -> None:
    """Raises Permanent(INVALID_SPEC) for an image's name that is none, for what Linux starts no program with, and for
    the block of another service than the one that the job goes to: whoever wrote it wants the job there."""
    for block in BLOCKS:
        if block != provider and getattr(spec, block) is not None:
            raise invalid(block, f"the job goes to {provider}: leave the block out, or set spec.provider to {block}")
    try:
        program.check(spec.image, spec.command or (), spec.args or (), env)
    except Invalid as error:
        raise Permanent(str(error), reason=reasons.INVALID_SPEC) from None


def invalid(field: str, fault: str) -> Permanent:
    """The error for a field of the spec that the service cannot do."""
    return Permanent(f"spec.{field}: {fault}", reason=reasons.INVALID_SPEC)
