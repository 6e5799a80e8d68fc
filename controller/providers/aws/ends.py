"""How an attempt ended, from all that the service says of it: states, exit code, and the words of AWS Batch, of ECS and
of its agent. Pure and total.

The agent names its errors (``CannotPullContainerError: ...``), Fargate puts them into statusReason; either text may be
cut at 255 characters, so names count before phrases, and a phrase that is missing proves nothing.
"""

import re
from collections.abc import Sequence

import msgspec

from controller.domain import failures, reasons
from controller.domain.failures import Failure
from controller.providers.aws.wire import Attempt, Container, Detail, Summary

_NAME = re.compile(r"\b((?:Cannot|OutOf|Docker|ContainerRuntime|Resource|Internal)[A-Za-z]*Error)\b")
_CONTAINERS_ARE_LATE = ("DockerTimeoutError", "ContainerRuntimeTimeoutError")
"""The second is Fargate's name for it."""
_ROLE = re.compile(r"unable to assume the role", re.IGNORECASE)
_TIMED_OUT = "attempt duration exceeded timeout"
_HOST_LOST = re.compile(r"host ec2\b|spot task was interrupted", re.IGNORECASE)
_SPOT = re.compile(r"\bspot\b.*\binterrupt", re.IGNORECASE)
_NO_NETWORK = re.compile(r"network interface provisioning", re.IGNORECASE)
_NEVER_CREATED = re.compile(r"transition to (?:pulled|created)\b", re.IGNORECASE)
_DISK_FULL = re.compile(r"no space left on device|thin pool|devmapper", re.IGNORECASE)
_TOO_LONG = re.compile(r"argument list too long|container overrides length", re.IGNORECASE)
_LOGS = re.compile(r"logging driver|logger args|cloudwatch log", re.IGNORECASE)
_REGISTRY = re.compile(r"ecr registry auth|registry auth from|pull image|image manifest", re.IGNORECASE)
_SECRET = re.compile(r"secret|\bssm\b|parameter", re.IGNORECASE)
_DEVICE = re.compile(r"nvidia|hook #?\d|prestart hook", re.IGNORECASE)
_COMMAND = re.compile(
    r"exec: \\*\"|executable file not found|exec format error|no command specified"
    r"|\bexec [^\s:]+: (?:no such file or directory|permission denied|is a directory)",
    re.IGNORECASE,
)
_STARTS = ("CannotPull", "CannotCreate", "CannotStart", "ResourceInitialization")
_NEVER_BEGAN = frozenset(
    {reasons.IMAGE_PULL_FAILED, reasons.CONTAINER_NOT_STARTED, reasons.COMMAND_NOT_FOUND, reasons.MACHINE_FAILED}
)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the job asked for, as far as messages name it."""

    image: str = ""
    memory_mib: int | None = None
    seconds: int | None = None
    log_group: str = ""
    is_spot: bool = False
    losses_limit: str = failures.OWN_LIMIT
    """How often the job may lose its machine, as `failures` has it."""


class End(msgspec.Struct, frozen=True, kw_only=True):
    """All that is told of the end of one attempt."""

    texts: tuple[str, ...] = ()
    """The container's reason and the status reasons, each once."""
    exit_code: int | None = None
    has_start: bool = False
    """Whether the service has a time at which it began to run."""

    @property
    def words(self) -> str:
        return "; ".join(self.texts)


def of_attempts(job: Detail, *, has_ended: bool) -> list[End]:
    """The ends of all attempts that stopped, first to last; the last one of an ended job has the job's words too."""
    stopped = [attempt for attempt in job.attempts or () if attempt.stopped_at]
    found = [_of_attempt(attempt) for attempt in stopped]
    if not has_ended:
        return found
    last = stopped[-1] if stopped else Attempt()
    return [*found[:-1], _merged(last, job)]


def of_summary(task: Summary) -> End:
    """The end of a task as a list tells it: of its last attempt."""
    return _merged(Attempt(), task)


def failure(end: End, asked: Asked) -> Failure:
    """Why that attempt failed."""
    words, code = end.words, end.exit_code
    name = next((match[1] for text in end.texts if (match := _NAME.search(text))), "")
    if _TIMED_OUT in words.lower():
        return failures.timed_out(asked.seconds, words)
    if _HOST_LOST.search(words):
        if asked.is_spot or _SPOT.search(words):
            return failures.preempted(words, limit=asked.losses_limit)
        return (
            failures.result_lost(words) if end.has_start else failures.machine_failed(words, limit=asked.losses_limit)
        )
    if name == "OutOfMemoryError":
        return failures.out_of_memory(asked.memory_mib, words, code)
    if code and not name.startswith(_STARTS):  # a code beside those is not the program's
        return failures.exited(code, words)
    if name in ("CannotInspectContainerError", "CannotStopContainerError"):
        return failures.result_lost(words)
    if name in _CONTAINERS_ARE_LATE:
        # What timed out later than its creation may have begun all the same.
        if _NEVER_CREATED.search(words):
            return failures.machine_failed(words, limit=asked.losses_limit)
        return failures.result_lost(words)
    if _DISK_FULL.search(words):
        return failures.disk_full(words)
    if _NO_NETWORK.search(words):
        return failures.machine_failed(words, limit=asked.losses_limit)
    if name.startswith("CannotPull"):
        return failures.image(asked.image, words)
    if name == "InternalError":
        return failures.result_lost(words) if end.has_start else failures.machine_failed(words, limit="")
    if name or any(sign.search(words) for sign in (_TOO_LONG, _LOGS, _COMMAND, _ROLE)):
        return _not_started(words, asked)
    return failures.unknown(words)


def is_loss(end: End) -> bool:
    """Whether the machine was lost, or failed before the program began: what `retries` makes up for."""
    return _HOST_LOST.search(end.words) is not None or failure(end, Asked()).reason == reasons.MACHINE_FAILED


def began(found: Failure) -> bool:
    """Whether the program of an attempt that failed so may have begun."""
    return found.exit_code is not None or found.reason not in _NEVER_BEGAN


def _not_started(words: str, asked: Asked) -> Failure:
    if _TOO_LONG.search(words):
        return failures.not_started(words, "its arguments or variables are too long: shorten args or env")
    if _LOGS.search(words):
        return failures.not_started(words, _log_remedy(words, asked.log_group))
    if _ROLE.search(words):
        remedy = "let ECS tasks assume the roles of serviceAccount, aws.jobRoleArn and aws.executionRoleArn"
        return failures.not_started(words, remedy)
    if _REGISTRY.search(words):
        return failures.image(asked.image, words)
    if _DEVICE.search(words):
        return failures.not_started(words, "check that the queue's machines have GPUs and their driver")
    if _COMMAND.search(words):
        return failures.command_not_found(words)
    if _SECRET.search(words):
        return failures.not_started(words, "let the execution role read the secrets of env.valueFrom.cloudSecretRef")
    return failures.not_started(words)


def _log_remedy(words: str, group: str) -> str:
    lower = words.lower()
    if "reserved" in lower:
        return f"name a log group that does not begin with AWS/ in aws.logGroup, not {group}"
    if "log stream: accessdenied" in lower:
        return f"let the execution role, or the machine's, write to the log group {group}: logs:CreateLogStream"
    if any(sign in lower for sign in ("request failed", "timeout", "connection issue")):
        return f"let the job's network reach CloudWatch Logs, and check the log group {group}"
    return f"make the log group {group} or give the execution role logs:CreateLogGroup"


def _of_attempt(attempt: Attempt) -> End:
    container = attempt.container or Container()
    return End(
        texts=_distinct(container.reason, attempt.status_reason),
        exit_code=container.exit_code,
        has_start=bool(attempt.started_at),
    )


def _merged(last: Attempt, job: Summary) -> End:
    end, container = _of_attempt(last), job.container or Container()
    return End(
        texts=_distinct(*end.texts, container.reason, job.status_reason),
        exit_code=end.exit_code if end.exit_code is not None else container.exit_code,
        has_start=end.has_start or (last.stopped_at is None and bool(job.started_at)),
    )


def _distinct(*texts: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))


def told(ends: Sequence[End], asked: Asked) -> Failure:
    """Why a job failed whose attempts ended so: by the last one, or the last before that has a reason."""
    found = [failure(end, asked) for end in reversed(ends)]
    return next((one for one in found if one.reason != reasons.FAILED), found[0] if found else failures.unknown())
