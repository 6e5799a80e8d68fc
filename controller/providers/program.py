"""`domain.program` as every service's rules begin with it: its faults are those of a spec."""

from collections.abc import Mapping

from controller.domain import program, reasons
from controller.domain.errors import Invalid, Permanent
from controller.domain.job import JobSpec


def check(spec: JobSpec, env: Mapping[str, str]) -> None:
    """Raises Permanent(INVALID_SPEC) for an image's name that is none, and for what Linux starts no program with."""
    try:
        program.check(spec.image, spec.command or (), spec.args or (), env)
    except Invalid as error:
        raise Permanent(str(error), reason=reasons.INVALID_SPEC) from None


def invalid(field: str, fault: str) -> Permanent:
    """The error for a field of the spec that the service cannot do."""
    return Permanent(f"spec.{field}: {fault}", reason=reasons.INVALID_SPEC)
