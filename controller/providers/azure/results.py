"""How one task ended, from all that the service keeps of it: pure, and total over what it may say. `faults` has the
failures of a container that never ran.

Why a task was cut off is not among the facts. A call that ends it (ours, or somebody's) and the end of its wall clock
time both show as a failure, whose code is TaskEnded: "Task was ended by user request", by Azure's list of Batch's error
codes of category UserError, by its guide to errors ServerError for a task that ran too long. So more than the code is
looked at:

- too long is what the service says in so many words ("maximum execution time", in the message or a detail), or what ran
  for its limit and then ended by that code or a signal. It is completed then, and not tried again (Azure's guide);
- what lost its node more often than the job allows was ended by us for that (`losses`);
- what is left with that code, or never ran and has no failure, was ended by a call. Whose, only status knows: there
  is our mark that we asked (the condition Cancelling). Without it `unless_asked` is the reason that the job failed;
- the same code with category ServerError, short of the limit, is the service's own doing (a node lost, say).
"""

import msgspec
from azure.batch.models import BatchTaskExecutionResult

from controller.domain import failures, reasons
from controller.domain.failures import Failure
from controller.domain.phases import Phase
from controller.providers.azure import faults, wire
from controller.providers.azure.marker import Marker
from controller.providers.azure.wire import Execution

_TASK_ENDED = frozenset({"taskended", "taskterminated"})
"""The first is the service's."""
_SAYS_NOTHING = frozenset({"failureexitcode"})
"""That the exit code is one of a failure."""
PROGRAM_EXIT_CODES = range(1, 128)
"""What a program fails with by itself; greater ones are those of a signal."""
_UPLOAD = "fileupload"
"""How the service's codes begin for output that it could not store."""
_MAXIMUM_TIME = ("maximum execution time", "maxwallclocktime", "max wall clock time", "maximum wall clock time")
_SLACK_SECONDS = 1.0
"""As much, or a hundredth of a shorter limit, may the times that are told lack of it."""
_OUT_OF_MEMORY = ("oomkilled", "oom-kill", "out of memory", "oom killed")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a task that is completed."""

    phase: Phase
    """Completed, Failed, or Cancelled where a call ended it."""
    why: Failure | None = None
    """Of one that did not succeed."""
    unless_asked: str | None = None
    """Only with Cancelled: the reason that it failed, if it was not we who asked for its end."""
    has_begun: bool = True
    """Whether its program ran at all: a start time is set before its image is there."""


def result(execution: Execution, mark: Marker) -> Result:
    """`mark`: what the task says of itself."""
    if _succeeded(execution):
        return Result(phase=Phase.COMPLETED)
    failure = failure_of(execution)
    words = faults.words(failure, execution.container_info)
    has_started = execution.start_time is not None
    fault = faults.before_the_start(failure, execution)
    if fault is not None:
        return Result(phase=Phase.FAILED, why=fault, has_begun=False)
    if _was_too_long(execution, failure, mark.limit):
        return Result(phase=Phase.FAILED, why=failures.timed_out(mark.limit or None, words))
    if _was_cut_off(execution, failure):
        return _cut_off(execution, failure, mark, words)
    why = _failure(execution, failure, mark, words)
    if failure is None and execution.exit_code not in PROGRAM_EXIT_CODES:
        # The service names each failure. Where one is not named, and the exit code is that of a signal, a call of ours
        # may have done it: whether there was one, status knows.
        return Result(phase=Phase.CANCELLED, why=why, unless_asked=why.reason, has_begun=has_started)
    return Result(phase=Phase.FAILED, why=why, has_begun=has_started)


def failure_of(execution: Execution) -> wire.Failure | None:
    """What the service calls the failure."""
    return execution.failure_info or execution.scheduling_error


def is_lost_too_often(execution: Execution, mark: Marker) -> bool:
    """Whether the task lost its node more often than its job allows."""
    return mark.preemptions is not None and execution.requeue_count > mark.preemptions


def _succeeded(execution: Execution) -> bool:
    if not execution.result:
        return execution.exit_code == 0 and failure_of(execution) is None
    return execution.result.lower() == BatchTaskExecutionResult.SUCCESS.value


def _was_too_long(execution: Execution, failure: wire.Failure | None, limit: int) -> bool:
    if failure is not None and any(text in faults.told(failure).lower() for text in _MAXIMUM_TIME):
        return True
    if not limit or execution.start_time is None or execution.end_time is None:
        return False
    ran = (execution.end_time - execution.start_time).total_seconds()
    if _is_task_ended(failure):
        return ran >= limit - min(_SLACK_SECONDS, limit / 100)
    code = execution.exit_code
    return ran >= limit and (code is None or not 0 <= code < 128)


def _was_cut_off(execution: Execution, failure: wire.Failure | None) -> bool:
    if failure is None:
        return execution.start_time is None
    return _is_task_ended(failure)


def _is_task_ended(failure: wire.Failure | None) -> bool:
    return failure is not None and failure.code.lower() in _TASK_ENDED


def _cut_off(execution: Execution, failure: wire.Failure | None, mark: Marker, words: str) -> Result:
    has_started = execution.start_time is not None
    if is_lost_too_often(execution, mark):
        return Result(phase=Phase.FAILED, why=failures.preempted(words, execution.requeue_count))
    otherwise = reasons.DELETED_EXTERNALLY
    if faults.is_the_services(failure):
        otherwise = reasons.RESULT_LOST if has_started else reasons.MACHINE_FAILED
    message = f"the task was ended: {words}" if words else "the task was ended before it ran"
    return Result(
        phase=Phase.CANCELLED,
        why=Failure(reason=reasons.CANCELLED, message=message),
        unless_asked=otherwise,
        has_begun=has_started,
    )


def _failure(execution: Execution, failure: wire.Failure | None, mark: Marker, words: str) -> Failure:
    """Of a task whose program ran, or of which nobody knows."""
    code = execution.exit_code or None  # 0 is no failure's code
    if execution.exit_code == 0 and failure is not None and failure.code.lower().startswith(_UPLOAD):
        return failures.output_lost(words)
    if any(text in words.lower() for text in _OUT_OF_MEMORY):
        return failures.out_of_memory(mark.memory, words, code)
    if code is not None:
        is_empty = failure is None or failure.code.lower() in _SAYS_NOTHING
        container = execution.container_info.error if execution.container_info else ""
        return failures.exited(code, container if is_empty else words, mark.memory)
    if execution.exit_code is None and faults.is_the_services(failure):
        return failures.result_lost(words) if execution.start_time else faults.machine(words)
    return failures.unknown(words)
