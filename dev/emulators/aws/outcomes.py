"""How an attempt ends: by its command, its time limit, or a fault that a tag asks for; and whether the task is run
again."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from dev.emulators.commands import Plan

FAULT = "jennah.dev/fault"
"""A tag: one of `FAULTS`, for all attempts, or ``NAME:N`` for the first N of them."""
EXITED = "Essential container in task exited"
NOT_STARTED = "Task failed to start"
TIMED_OUT = "Job attempt duration exceeded timeout"
TOO_LONG = "Container Overrides length must be at most 8192"
RESERVED_GROUP = (
    "CannotStartContainerError: Error response from daemon: failed to initialize logging driver: failed to create "
    "Cloudwatch log stream: InvalidParameterException: Log groups starting with AWS/ are reserved for AWS."
)
KILLED = 137
RULES_MAX = 5
ATTEMPTS_MAX = 10

_GLOB = re.compile(r"[A-Za-z0-9.:\s]{0,511}\*?")
_CODE_GLOB = re.compile(r"[0-9]{0,511}\*?")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one attempt."""

    status_reason: str = EXITED
    reason: str = ""
    exit_code: int | None = None
    begins: bool = True
    """Whether the program began."""
    seconds: float = 0.0
    """How long it ran."""
    is_timed_out: bool = False


FAULTS: Mapping[str, Outcome] = {
    "HostTerminated": Outcome(status_reason="Host EC2 (instance i-0123456789abcdef0) terminated.", seconds=1.0),
    "SpotInterrupted": Outcome(status_reason="Your Spot Task was interrupted.", seconds=1.0),
    "InspectTimeout": Outcome(
        reason="CannotInspectContainerError: Could not transition to inspecting; timed out after waiting 30s",
        seconds=1.0,
    ),
    "DockerTimeout": Outcome(
        status_reason=NOT_STARTED,
        reason="DockerTimeoutError: Could not transition to created; timed out after waiting 4m0s",
        begins=False,
    ),
    "ImagePull": Outcome(
        status_reason=NOT_STARTED,
        reason="CannotPullContainerError: Error response from daemon: manifest unknown",
        begins=False,
    ),
    "OutOfMemory": Outcome(
        reason="OutOfMemoryError: Container killed due to memory usage", exit_code=KILLED, seconds=1.0
    ),
}


def outcomes(plan: Plan, timeout: float | None, tag: str, log_group: str) -> Iterator[Outcome]:
    """Those of a job's attempts, one after the other, without end."""
    name, _, times = tag.partition(":")
    faulty = FAULTS.get(name)
    left = int(times) if times.isdecimal() else ATTEMPTS_MAX
    while True:
        if log_group.lower().startswith("aws/"):
            yield Outcome(status_reason=NOT_STARTED, reason=RESERVED_GROUP, begins=False)
        elif faulty is not None and left > 0:
            left -= 1
            yield faulty
        elif timeout is not None and plan.seconds > timeout:
            yield Outcome(status_reason=TIMED_OUT, exit_code=KILLED, seconds=timeout, is_timed_out=True)
        else:
            yield Outcome(exit_code=plan.exit_code, seconds=plan.seconds)


def is_run_again(outcome: Outcome, rules: Sequence[Mapping[str, str]]) -> bool:
    """By evaluateOnExit: the first rule of which all conditions match decides, and none that matches means yes."""
    if outcome.is_timed_out:
        return False
    texts = {
        "onStatusReason": outcome.status_reason,
        "onReason": outcome.reason,
        "onExitCode": "" if outcome.exit_code is None else str(outcome.exit_code),
    }
    for rule in rules:
        if all(_matches(texts[name], glob) for name, glob in rule.items() if name in texts):
            return rule["action"].upper() == "RETRY"
    return True


def fault(strategy: Mapping[str, Any]) -> str:
    """What is wrong with a retryStrategy, or ""."""
    rules = strategy.get("evaluateOnExit") or ()
    if not 1 <= strategy.get("attempts", 1) <= ATTEMPTS_MAX:
        return "attempts must be between 1 and 10"
    if rules and "attempts" not in strategy:
        return "attempts must be given with evaluateOnExit"
    if len(rules) > RULES_MAX:
        return "evaluateOnExit has at most 5 conditions"
    for rule in rules:
        globs = {name: glob for name, glob in rule.items() if name != "action"}
        if not globs or str(rule.get("action", "")).upper() not in ("RETRY", "EXIT"):
            return "evaluateOnExit needs an action and a condition"
        if not all((_CODE_GLOB if name == "onExitCode" else _GLOB).fullmatch(glob) for name, glob in globs.items()):
            return "evaluateOnExit has a pattern that is not valid"
    return ""


def _matches(text: str, glob: str) -> bool:
    return text.startswith(glob[:-1]) if glob.endswith("*") else text == glob
