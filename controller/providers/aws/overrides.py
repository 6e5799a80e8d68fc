"""Where a job's command and environment go: into SubmitJob's overrides, or, where these are too long, into the job
definition. Pure.

The service takes a submission of up to 30 KiB and fails the job later if its overrides are too long for ECS: "a total
of 8192 characters are allowed for overrides. This limit includes the JSON formatting characters" (ECS, RunTask).
"""

from collections.abc import Mapping, Sequence

import msgspec

from controller.domain.job import JobSpec
from controller.providers import program

LIMIT = 8192
SERVICE_CHARS = 700
"""Of these, what AWS Batch adds: AWS_BATCH_JOB_ID, _JQ_NAME, _CE_NAME, _JOB_ATTEMPT and _JOB_ARRAY_INDEX are overrides
of the same call (names of 128 characters), as are CPU, memory and GPU."""
DEFINITION_BYTES = 24 * 1024
_PLACEHOLDER = "Ref::"
"""The service replaces such words of a definition's command by parameters; those of overrides stay."""

Variables = list[dict[str, str]]


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """What goes where."""

    command: Sequence[str] = ()
    """Docker's CMD."""
    environment: Variables = []
    defined_command: Sequence[str] = ()
    defined_environment: Variables = []


def place(spec: JobSpec, env: Mapping[str, str]) -> Placement:
    """All of it in the overrides if it fits, else the command in the definition, else the environment, else both: a
    definition can be read for longer than a job, and environments may have secrets in them.

    Raises Permanent(INVALID_SPEC) for what fits in neither.
    """
    command = (*(spec.command or ()), *(spec.args or ()))
    variables = [{"name": name, "value": value} for name, value in env.items()]
    possible = [
        Placement(command=command, environment=variables),
        Placement(environment=variables, defined_command=command),
        Placement(command=command, defined_environment=variables),
        Placement(defined_command=command, defined_environment=variables),
    ]
    has_placeholder = any(_PLACEHOLDER in word for word in command)
    fitting = (one for one in possible if not (has_placeholder and one.defined_command))
    found = next((one for one in fitting if _fits(one)), None)
    if found is None:
        raise _too_long(spec, command, variables, has_placeholder=has_placeholder)
    return found


def length(command: Sequence[str], environment: Variables) -> int:
    """Characters of such overrides as JSON, as a service written in Java counts them."""
    text = msgspec.json.encode({"command": command, "environment": environment}).decode()
    return len(text.encode("utf-16-le")) // 2


def _fits(placement: Placement) -> bool:
    defined = (placement.defined_command, placement.defined_environment)
    return (
        length(placement.command, placement.environment) <= LIMIT - SERVICE_CHARS
        and len(msgspec.json.encode(defined)) <= DEFINITION_BYTES
    )


def _too_long(spec: JobSpec, command: Sequence[str], variables: Variables, *, has_placeholder: bool) -> Exception:
    of_env, of_command = length((), variables), length(command, [])
    is_env = of_env > of_command
    field = "env" if is_env else "args" if spec.args else "command"
    limit = f"AWS Batch takes {LIMIT - SERVICE_CHARS} characters of command, args and env with a job"
    if has_placeholder:
        limit += f" (a word with {_PLACEHOLDER!r} cannot go into a job definition)"
    else:
        size = len(msgspec.json.encode(variables if is_env else command))
        limit += f", or {DEFINITION_BYTES} bytes in a job definition (these are {size})"
    remedy = "put it into the image, or into a file that the program fetches"
    return program.invalid(field, f"{max(of_env, of_command)} characters are too many: {limit}; {remedy}")
