"""How one task ended, from the few facts that the service keeps of it: pure, and total over what it may say.

Why a task was cut off is not among them. A call that ends it (ours, or somebody's) and the end of its wall clock time
both show as a failure, whose code is TaskEnded: "Task was ended by user request", category UserError, by Azure's list
of Batch's error codes. So more than the code is looked at:

- too long is what the service says in so many words ("maximum execution time", in the message or a detail named
  Message), or what ran for its limit and then ended by that code or a signal;
- what is left with that code, or never ran and has no failure, was ended by a call. Whose, only status knows: there
  is our mark that we asked (the condition Cancelling). Without it `unless_asked` is the reason that the job failed;
- the same code with category ServerError, short of the limit, is the service's own doing (a node lost, say).
"""

import msgspec
from azure.batch.models import BatchErrorSourceCategory, BatchTaskExecutionResult

from controller.domain import reasons
from controller.domain.phases import Phase
from controller.providers.azure.wire import Execution, Failure

_TASK_ENDED = frozenset({"taskended", "taskterminated"})
"""The first is the service's."""
PROGRAM_EXIT_CODES = range(1, 128)
"""What a program fails with by itself; greater ones are those of a signal."""
_MAXIMUM_TIME = ("maximum execution time", "maxwallclocktime", "max wall clock time", "maximum wall clock time")
_SLACK_SECONDS = 1.0
"""As much, or a hundredth of a shorter limit, may the times that are told lack of it."""
_NO_COMMAND = frozenset({"CommandProgramNotFound", "CommandLaunchFailed"})
_NO_COMMAND_CODES = frozenset({126, 127})
_KILLED = 137
_WORDS_MAX = 600


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a task that is completed."""

    phase: Phase
    """Completed, Failed, or Cancelled where a call ended it."""
    exit_code: int | None = None
    reason: str | None = None
    message: str | None = None
    unless_asked: str | None = None
    """Only with Cancelled: the reason that it failed, if it was not we who asked for its end."""


def result(execution: Execution, limit: int) -> Result:
    """`limit`: seconds that an attempt may run; 0: no limit."""
    if _succeeded(execution):
        return Result(phase=Phase.COMPLETED, exit_code=0)
    code = execution.exit_code or None  # 0 is no failure's code
    words = _words(execution)
    if _was_too_long(execution, limit):
        text = words or f"the task ran for more than {limit} seconds"
        return Result(phase=Phase.FAILED, exit_code=code, reason=reasons.DEADLINE_EXCEEDED, message=text)
    if _was_cut_off(execution):
        is_service = _category(execution.failure_info) == BatchErrorSourceCategory.SERVER_ERROR.value
        return Result(
            phase=Phase.CANCELLED,
            reason=reasons.CANCELLED,
            message=f"the task was ended: {words}" if words else "the task was ended before it ran",
            unless_asked=reasons.FAILED if is_service else reasons.DELETED_EXTERNALLY,
        )
    reason, message = _failure(execution, code, words)
    if execution.failure_info is None and code not in PROGRAM_EXIT_CODES:
        # The service names each failure. Where one is not named, and the exit code is that of a signal, a call of ours
        # may have done it: whether there was one, status knows.
        return Result(
            phase=Phase.CANCELLED, exit_code=code, reason=reasons.CANCELLED, message=message, unless_asked=reason
        )
    return Result(phase=Phase.FAILED, exit_code=code, reason=reason, message=message)


def _succeeded(execution: Execution) -> bool:
    if not execution.result:
        return execution.exit_code == 0 and execution.failure_info is None
    return execution.result.lower() == BatchTaskExecutionResult.SUCCESS.value


def _was_too_long(execution: Execution, limit: int) -> bool:
    failure = execution.failure_info
    if failure is not None and any(words in _told(failure).lower() for words in _MAXIMUM_TIME):
        return True
    if not limit or execution.start_time is None or execution.end_time is None:
        return False
    ran = (execution.end_time - execution.start_time).total_seconds()
    if _is_task_ended(failure):
        return ran >= limit - min(_SLACK_SECONDS, limit / 100)
    code = execution.exit_code
    return ran >= limit and (code is None or not 0 <= code < 128)


def _was_cut_off(execution: Execution) -> bool:
    if execution.failure_info is None:
        return execution.start_time is None
    return _is_task_ended(execution.failure_info)


def _is_task_ended(failure: Failure | None) -> bool:
    return failure is not None and failure.code.lower() in _TASK_ENDED


def _category(failure: Failure | None) -> str:
    return failure.category.lower() if failure is not None else ""


def _failure(execution: Execution, code: int | None, words: str) -> tuple[str, str]:
    """Reason and message of a task that failed by itself."""
    failure = execution.failure_info
    if code in _NO_COMMAND_CODES or (failure is not None and failure.code in _NO_COMMAND):
        return reasons.COMMAND_NOT_FOUND, words or f"exit code {code}"
    if "image" in words.lower() and ("pull" in words.lower() or "Image" in (failure.code if failure else "")):
        return reasons.IMAGE_PULL_FAILED, words
    if code is not None:
        text = f"the task ended with exit code {code}"
        if code == _KILLED:
            text += " (killed: also what becomes of a container that needs more memory than it may have)"
        return reasons.NON_ZERO_EXIT, f"{text}: {words}" if words else text
    return reasons.FAILED, words or "the task failed"


def _told(failure: Failure) -> str:
    """The service's words for a failure."""
    details = (item.value for item in failure.details if item.name == "Message")
    return " ".join(" ".join((failure.message, *details)).split())


def _words(execution: Execution) -> str:
    """The service's words, with the failure's code and the container's error."""
    failure, container = execution.failure_info, execution.container_info
    text = _told(failure) if failure else ""
    parts = [f"{text} ({failure.code})" if failure and text else (failure.code if failure else "")]
    parts.append(container.error if container else "")
    return "; ".join(part for part in parts if part)[:_WORDS_MAX]
