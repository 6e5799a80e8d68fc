"""Failures say what happened, the number, the field that decides it and what to do, with the service's words whole."""

from collections.abc import Callable

import pytest

from controller.domain import failures, reasons
from controller.domain.failures import Failure

WORDS = "the service said:  this\n and that"
TOLD = "the service said: this and that"


@pytest.mark.parametrize(
    ("failure", "reason", "code", "has"),
    [
        (failures.exited(3, WORDS), reasons.NON_ZERO_EXIT, 3, ("exit code 3", "logs")),
        (failures.exited(137, WORDS), reasons.NON_ZERO_EXIT, 137, ("137 (SIGKILL)",)),
        (failures.exited(127, WORDS), reasons.NON_ZERO_EXIT, 127, ("exit code 127", "by custom", "does not exist")),
        (failures.exited(126, WORDS), reasons.NON_ZERO_EXIT, 126, ("by custom", "cannot be executed")),
        (failures.command_not_found(WORDS, 127), reasons.COMMAND_NOT_FOUND, 127, ("check command and args",)),
        (
            failures.not_started(WORDS, "make the log group"),
            reasons.CONTAINER_NOT_STARTED,
            None,
            ("make the log group",),
        ),
        (failures.out_of_memory(512, WORDS, 137), reasons.OUT_OF_MEMORY, 137, ("512 MiB", "resources.memory")),
        (
            failures.timed_out(60, WORDS),
            reasons.DEADLINE_EXCEEDED,
            None,
            ("60 s", "activeDeadlineSeconds", "not run again"),
        ),
        (failures.image("acme/tool:1", WORDS), reasons.IMAGE_PULL_FAILED, None, ("acme/tool:1", "check image")),
        (failures.preempted(WORDS, 4), reasons.PREEMPTED, None, ("4 times", "preemptionLimit", "spot")),
        (
            failures.preempted(WORDS, limit=failures.SHARED_LIMIT),
            reasons.PREEMPTED,
            None,
            ("more often than backoffLimit (which counts lost machines as well) allows; raise it",),
        ),
        (failures.machine_lost(WORDS), reasons.MACHINE_FAILED, None, ("more often than preemptionLimit allows",)),
        (failures.disk_full(WORDS, "raise bootDiskGiB"), reasons.MACHINE_FAILED, None, ("; raise bootDiskGiB",)),
        (failures.output_lost(WORDS), reasons.FAILED, None, ("exit code 0", "check where output goes")),
        (failures.evicted(WORDS, 137), reasons.EVICTED, 137, ("resources.memory", "bootDiskGiB")),
        (failures.machine_failed(WORDS), reasons.MACHINE_FAILED, None, ("before the program began", "submit")),
        (failures.result_lost(WORDS), reasons.RESULT_LOST, None, ("may have done its work", "logs")),
        (failures.unknown(WORDS), reasons.FAILED, None, ("the job failed",)),
    ],
    ids=lambda value: value.reason if isinstance(value, Failure) else None,
)
def test_what_a_failure_says(failure: Failure, reason: str, code: int | None, has: tuple[str, ...]) -> None:
    assert (failure.reason, failure.exit_code) == (reason, code)
    for part in has:
        assert part in failure.message
    assert failure.message.endswith(f": {TOLD}"), "the words are whole, on one line"


@pytest.mark.parametrize(
    "make",
    [
        lambda: failures.exited(0),
        lambda: failures.command_not_found(code=0),
        lambda: failures.out_of_memory(None, code=0),
        lambda: failures.evicted(code=0),
    ],
)
def test_a_failure_never_has_exit_code_0(make: Callable[[], Failure]) -> None:
    assert make().exit_code is None


def test_what_is_not_known_is_left_out() -> None:
    assert "the memory it was given" not in failures.out_of_memory(512).message
    assert "than it was given" in failures.out_of_memory(None).message
    assert "its time limit" in failures.timed_out(None).message
    assert failures.image("").message.startswith("the image cannot be pulled")
    assert "times" not in failures.preempted().message
    assert not failures.unknown("").message.endswith(": ")
    assert not failures.not_started().message.endswith("; ")


def test_words_are_not_cut() -> None:
    words = "x" * 20_000
    assert failures.not_started(words).message.endswith(words)


def test_a_failure_of_one_task_of_several_names_it() -> None:
    failure = failures.exited(3)
    assert failure.of_task(None) is failure
    told = failure.of_task(7)
    assert told.message == f"task 7: {failure.message}"
    assert (told.reason, told.exit_code) == (failure.reason, 3)


def test_a_machine_that_the_service_does_not_replace_has_no_limit() -> None:
    assert failures.machine_failed(limit="").message == (
        "the machine failed before the program began; submit the job again"
    )
