"""Why tasks failed: answers as the service gave them in public reports, and what they mean.

Reports: github.com/Azure/Batch issues 4, 49, 52, 101; epi2me-labs/wf-basecalling 6; Azure/acr 411;
microsoft/accessibility-insights-service (its tests of task failures); Azure's guide "Error handling and detection".
Where no report has the words of a case, they are Docker's own.
"""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain import reasons
from controller.domain.phases import Phase
from controller.ports import Observation
from controller.providers.azure import marker, observation, wire
from controller.providers.azure.marker import Marker
from controller.providers.azure.places import Place
from tests.contract.azure_service import azure_settings

SETTINGS = azure_settings("https://jennah.westeurope.batch.azure.com")
T0 = datetime(2026, 1, 1, tzinfo=UTC)
MARK = Marker(uid=str(uuid.UUID(int=7)), limit=3600, memory=4096, preemptions=2)


def failed(
    code: str = "",
    words: str = "",
    *,
    seconds: float | None = None,
    exit_code: int | None = None,
    category: str = "UserError",
    message: str = "",
    container: str = "",
    **other: Any,
) -> dict[str, Any]:
    """executionInfo of a completed task. `words`: the detail "Message". `seconds`: None: it has no startTime."""
    at = (T0 + timedelta(seconds=seconds or 0)).isoformat()
    info: dict[str, Any] = {"endTime": at, "retryCount": 0, "requeueCount": 0, "result": "Failure", **other}
    if seconds is not None:
        info["startTime"] = T0.isoformat()
    if exit_code is not None:
        info["exitCode"] = exit_code
    if container:
        info["containerInfo"] = {"state": "exited", "error": container}
    if code:
        details = [{"name": "Message", "value": words}] if words else []
        info["failureInfo"] = {"category": category, "code": code, "message": message, "details": details}
    return info


def seen(*infos: dict[str, Any] | None, mark: Marker = MARK) -> Observation:
    """The job of those tasks; None: one that waits."""
    name = marker.encode(mark)
    tasks = [
        wire.decoded(
            msgspec.json.encode(
                {
                    "id": f"t-{index}",
                    "displayName": name,
                    "state": "completed" if info else "active",
                    "executionInfo": info or {},
                }
            ),
            wire.Task,
        )
        for index, info in enumerate(infos)
    ]
    where = Place(job_id="j", stem="t", count=len(tasks), is_set=len(tasks) > 1)
    return observation.observation("n", where, tasks, "active", SETTINGS)


NEVER_BEGAN = [
    pytest.param(
        failed(
            "ContainerInvalidSettings",
            "UnixHTTPConnectionPool(host='localhost', port=None): Read timed out. (read timeout=60)",
            seconds=680,
            message="At least one value of specified task container settings is invalid",
        ),
        reasons.MACHINE_FAILED,
        ("the machine failed before the program began", "Read timed out"),
        id="docker does not answer in time, and a start time is set",
    ),
    pytest.param(
        failed("ContainerInvalidSettings", "UnixHTTPConnectionPool(host='localhost', port=None): Read timed out."),
        reasons.MACHINE_FAILED,
        ("submit the job again",),
        id="the same without a start time",
    ),
    pytest.param(
        failed(
            "ContainerInvalidSettings",
            "UnixHTTPConnectionPool(host='localhost', port=None): Read timed out. (read timeout=60)",
            seconds=4000,
        ),
        reasons.MACHINE_FAILED,
        ("Read timed out",),
        id="the same for longer than the job may run",
    ),
    pytest.param(
        failed("ContainerInvalidImage", "could not store the image: no space left on device"),
        reasons.MACHINE_FAILED,
        ("the disk of the machine is full", "no space left on device"),
        id="the node's disk is full",
    ),
    pytest.param(
        failed("DiskFull", category="ServerError"),
        reasons.MACHINE_FAILED,
        ("the disk of the machine is full",),
        id="the service's own code for a full disk",
    ),
    pytest.param(
        failed(
            "ContainerInvalidImage",
            "no such image: acme.azurecr.io/tool:0.5: No such image: acme.azurecr.io/tool:0.5",
            message="One or more container images specified are invalid",
        ),
        reasons.IMAGE_PULL_FAILED,
        ("cannot be pulled", "acme.azurecr.io/tool:0.5"),
        id="no such image",
    ),
    pytest.param(
        failed("ContainerInvalidImage", "unexpected end of JSON input"),
        reasons.IMAGE_PULL_FAILED,
        ("unexpected end of JSON input",),
        id="an image of another kind",
    ),
    pytest.param(
        failed("ContainerInvalidRegistry", "unauthorized: authentication required"),
        reasons.IMAGE_PULL_FAILED,
        ("who may pull it",),
        id="credentials that the registry refuses",
    ),
    pytest.param(
        failed("ContainerInvalidImage", category="ServerError", words="internal error"),
        reasons.MACHINE_FAILED,
        ("internal error",),
        id="the service takes the blame",
    ),
    pytest.param(
        failed("ContainerInvalidSettings", "Some supplied docker options are not recognized or are unsupported: --x"),
        reasons.CONTAINER_NOT_STARTED,
        ("--x",),
        id="an option that the agent does not take",
    ),
    pytest.param(
        failed("ContainerMiscError"), reasons.CONTAINER_NOT_STARTED, ("could not be started",), id="an unknown error"
    ),
    pytest.param(failed("CommandLaunchFailed"), reasons.CONTAINER_NOT_STARTED, (), id="a launch that failed"),
    pytest.param(
        failed("CommandProgramNotFound", "The system cannot find the file specified"),
        reasons.COMMAND_NOT_FOUND,
        ("check command and args",),
        id="no such program",
    ),
    pytest.param(
        failed(
            "FailureExitCode",
            seconds=1,
            exit_code=127,
            container='OCI runtime create failed: runc create failed: exec: "nope": executable file not found in $PATH',
        ),
        reasons.COMMAND_NOT_FOUND,
        ("executable file not found",),
        id="the runtime says that there is no such program",
    ),
    pytest.param(
        failed(
            "FailureExitCode",
            seconds=1,
            exit_code=126,
            container="OCI runtime create failed: starting container process: argument list too long",
        ),
        reasons.CONTAINER_NOT_STARTED,
        ("too long for Linux", "shorten args and env"),
        id="arguments that Linux does not take",
    ),
    pytest.param(
        failed(
            "FailureExitCode",
            seconds=1,
            exit_code=128,
            container="OCI runtime create failed: mkdir /var/lib/docker/overlay2/x: no space left on device",
        ),
        reasons.MACHINE_FAILED,
        ("the disk of the machine is full",),
        id="no room for the container",
    ),
]


@pytest.mark.parametrize(("info", "reason", "words"), NEVER_BEGAN)
def test_what_kept_a_program_from_beginning(info, reason: str, words: tuple[str, ...]) -> None:
    end = seen(info)
    assert (end.phase, end.reason) == (Phase.FAILED, reason), end.message
    assert all(text in end.message for text in words), end.message
    assert end.started_at is None and end.reason != reasons.INVALID_SPEC and end.exit_code != 0
    assert (end.tasks.pending, end.tasks.failed) == (0, 1)


RAN = [
    pytest.param(
        failed("FileUploadAccessDenied", "403", seconds=9, exit_code=0),
        reasons.FAILED,
        None,
        ("exit code 0", "could not store its output", "403 (FileUploadAccessDenied)"),
        id="it ended well, and its output could not be stored",
    ),
    pytest.param(
        failed("FailureExitCode", seconds=9, exit_code=3, message="The task exited with an exit code …"),
        reasons.NON_ZERO_EXIT,
        3,
        ("exit code 3",),
        id="another code than 0",
    ),
    pytest.param(
        failed("FailureExitCode", seconds=9, exit_code=127),
        reasons.NON_ZERO_EXIT,
        127,
        ("by custom",),
        id="127 proves nothing alone",
    ),
    pytest.param(
        failed("FailureExitCode", seconds=9, exit_code=137),
        reasons.NON_ZERO_EXIT,
        137,
        ("SIGKILL", "4096 MiB"),
        id="killed, perhaps for its memory",
    ),
    pytest.param(
        failed("FailureExitCode", seconds=9, exit_code=137, container="OOMKilled"),
        reasons.OUT_OF_MEMORY,
        137,
        ("4096 MiB", "resources.memory"),
        id="killed for its memory",
    ),
    pytest.param(failed("FailureExitCode", seconds=9, exit_code=-9), reasons.NON_ZERO_EXIT, -9, (), id="a signal"),
    pytest.param(
        failed(
            "TaskEnded",
            "The maximum execution time configured on the task was exceeded",
            seconds=2,
            exit_code=1,
            message="The task was ended by user request",
        ),
        reasons.DEADLINE_EXCEEDED,
        None,
        ("3600 s", "activeDeadlineSeconds"),
        id="too long, by the service's words",
    ),
    pytest.param(
        failed("TaskEnded", seconds=3600, exit_code=-1073741510, category="ServerError"),
        reasons.DEADLINE_EXCEEDED,
        None,
        ("3600 s",),
        id="too long, by its times",
    ),
    pytest.param(
        {
            **failed(seconds=3600.5, exit_code=137),
            "schedulingError": {"category": "ServerError", "code": "TaskEnded", "message": ""},
        },
        reasons.DEADLINE_EXCEEDED,
        None,
        (),
        id="too long, in the field that the guide names",
    ),
    pytest.param(
        failed("NodeLost", seconds=9, category="ServerError"),
        reasons.RESULT_LOST,
        None,
        ("may have done its work",),
        id="how it ended was lost",
    ),
    pytest.param(
        failed("FileUploadMiscError", "upload failed", seconds=9, exit_code=0),
        reasons.FAILED,
        None,
        ("upload failed (FileUploadMiscError)",),
        id="its output could not be kept",
    ),
    pytest.param(
        failed("TaskEnded", "Task Was Ended by User Request", seconds=9, requeueCount=3),
        reasons.PREEMPTED,
        None,
        ("3 times", "preemptionLimit"),
        id="lost its node more often than its job allows",
    ),
]


@pytest.mark.parametrize(("info", "reason", "code", "words"), RAN)
def test_what_became_of_a_program_that_ran(info, reason: str, code: int | None, words: tuple[str, ...]) -> None:
    end = seen(info)
    assert (end.phase, end.reason, end.exit_code) == (Phase.FAILED, reason, code), end.message
    assert all(text in end.message for text in words), end.message
    assert end.started_at == T0 and (end.tasks.pending, end.tasks.failed) == (0, 1)


@pytest.mark.parametrize("mark", [msgspec.structs.replace(MARK, preemptions=3), Marker(uid=MARK.uid, limit=3600)])
def test_a_task_that_may_lose_its_node_so_often_was_ended_for_another_cause(mark: Marker) -> None:
    end = seen(failed("TaskEnded", seconds=9, requeueCount=3), mark=mark)
    assert (end.phase, end.failed_unless_asked) == (Phase.CANCELLED, reasons.DELETED_EXTERNALLY)


def test_the_message_of_a_set_names_the_task() -> None:
    end = seen({"exitCode": 0, "result": "Success"}, failed("FailureExitCode", seconds=9, exit_code=3))
    assert end.message.startswith("task 1: ") and end.exit_code == 3


def test_a_set_of_which_one_task_never_began_has_one_that_failed_and_one_that_waits() -> None:
    one = seen(failed("ContainerInvalidImage"), None)
    assert (one.tasks.failed, one.tasks.pending, one.phase) == (1, 1, Phase.PENDING)


WORDS = st.sampled_from(
    [
        "",
        "no space left on device",
        "executable file not found",
        "OCI runtime",
        "argument list too long",
        "Read timed out",
        "docker.sock",
        "oom-kill",
        "maximum execution time",
    ]
)
CODES = st.sampled_from(
    ["", "TaskEnded", "FailureExitCode", "ContainerInvalidImage", "ContainerInvalidSettings", "DiskFull", "New"]
)


@given(
    CODES,
    WORDS,
    WORDS,
    st.none() | st.floats(0, 4000),
    st.none() | st.integers(-2, 140),
    st.sampled_from(["", "ServerError"]),
)
def test_a_reason_is_found_for_whatever_the_service_says(code, words, container, seconds, exit_code, category) -> None:
    end = seen(failed(code, words, container=container, seconds=seconds, exit_code=exit_code, category=category))
    assert end.phase in (Phase.FAILED, Phase.CANCELLED) and end.reason and end.message
    assert end.exit_code != 0 and (end.phase is Phase.CANCELLED) == (end.failed_unless_asked is not None)
