"""Why a container never ran: the service's codes first, then what its node's agent and Docker said. Pure.

The codes are those of Azure's TaskFailureInformationCodes. One code has many causes: ContainerInvalidSettings is also
what a Docker is called that does not answer in time, and ContainerInvalidImage what a full disk is called
(github.com/Azure/Batch, issues 4 and 49). Then the words decide, and the user is not blamed for the machine.
"""

from azure.batch.models import BatchErrorSourceCategory

from controller.domain import failures
from controller.domain.failures import Failure
from controller.providers.azure import wire
from controller.providers.azure.wire import Container, Execution

_IMAGE = frozenset({"containerinvalidimage", "containerinvalidregistry"})
_COMMAND = frozenset({"commandprogramnotfound"})
_BEFORE_THE_START = (
    _IMAGE
    | _COMMAND
    | {
        "containerinvalidsettings",
        "containermiscerror",
        "commandlaunchfailed",
        "diskfull",
        "resourcedirectorycreatefailed",
        "resourcefilecreatefailed",
        "resourcefilewritefailed",
    }
)
"""The service's codes for a task that it could not start."""
_NODE = frozenset({"diskfull", "resourcedirectorycreatefailed", "resourcefilecreatefailed", "resourcefilewritefailed"})
"""Of those, the node's own troubles."""

_DISK_FULL = ("no space left on device", "disk full", "not enough space on the disk", "errno 28")
_DOCKER_IS_OUT = ("unixhttpconnectionpool", "docker.sock", "cannot connect to the docker daemon")
_TOO_LONG = ("argument list too long",)
_NO_COMMAND = (
    "executable file not found",
    "exec format error",
    "no such file or directory",
    "permission denied",
    "is a directory",
)
_RUNTIME = ("oci runtime", "runc", "starting container process", "unable to start container", "exec:")
"""Words of those who start a container: before them a missing file is the command's."""
_NO_IMAGE = ("pull access denied", "image pull", "pulling image", "manifest unknown", "no such image", "pull image")


def told(failure: wire.Failure) -> str:
    """The service's words for a failure, with those of its node's agent."""
    details = (item.value for item in failure.details if item.name.lower() in ("message", "reason"))
    return " ".join(" ".join((failure.message, *details)).split())


def words(failure: wire.Failure | None, container: Container | None) -> str:
    """The same with the failure's code, and Docker's words for the container."""
    text = told(failure) if failure else ""
    parts = [f"{text} ({failure.code})" if failure and text else (failure.code if failure else "")]
    parts.append(container.error if container else "")
    return "; ".join(part for part in parts if part)


def is_the_services(failure: wire.Failure | None) -> bool:
    """Whether the service takes the blame."""
    return failure is not None and failure.category.lower() == BatchErrorSourceCategory.SERVER_ERROR.value


def machine(text: str) -> Failure:
    """A machine that failed before the program began; the service does not try again then."""
    return failures.machine_failed(text, limit="")


def before_the_start(failure: wire.Failure | None, execution: Execution) -> Failure | None:
    """Why the program never began; None where nothing says that it did not. Of exit codes 126 and 127 alone nobody
    knows: a shell in the container has them as well."""
    code = failure.code.lower() if failure else ""
    container = execution.container_info.error if execution.container_info else ""
    text = words(failure, execution.container_info)
    if code in _BEFORE_THE_START:
        return _by_code(failure, code, text)
    return _by_container(container, text, execution.exit_code) if container else None


def _by_code(failure: wire.Failure | None, code: str, text: str) -> Failure:
    low = text.lower()
    if _says(low, _DISK_FULL) or code == "diskfull":
        return failures.disk_full(text)
    if code in _NODE or _says(low, _DOCKER_IS_OUT) or is_the_services(failure):
        return machine(text)
    if _says(low, _TOO_LONG):
        return failures.not_started(text, "its arguments and environment are too long for Linux: shorten args and env")
    if code in _IMAGE:
        return failures.image(_image_of(failure), text)
    if code in _COMMAND or (_says(low, _RUNTIME) and _says(low, _NO_COMMAND)):
        return failures.command_not_found(text)
    return failures.not_started(text)


def _by_container(container: str, text: str, exit_code: int | None) -> Failure | None:
    """Docker's own words for a container that it made and could not start."""
    low = container.lower()
    if _says(low, _DISK_FULL):
        return failures.disk_full(text)
    if _says(low, _TOO_LONG):
        return failures.not_started(text, "its arguments and environment are too long for Linux: shorten args and env")
    if _says(low, _NO_IMAGE):
        return failures.image("", text)
    if not _says(low, _RUNTIME):
        return None
    return failures.command_not_found(text, exit_code) if _says(low, _NO_COMMAND) else failures.not_started(text)


def _image_of(failure: wire.Failure | None) -> str:
    details = failure.details if failure else ()
    return next((item.value for item in details if item.name.lower() in ("containerimage", "image")), "")


def _says(low: str, any_of: tuple[str, ...]) -> bool:
    return any(text in low for text in any_of)
