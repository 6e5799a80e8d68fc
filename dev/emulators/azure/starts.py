"""Why the node's agent cannot start a task that the service took: what its Docker would say."""

import shlex
from typing import Any

from controller.domain import images

STRING_BYTES = 131_071
"""Of one argument, or of one ``NAME=value``, on Linux."""
_UNSUPPORTED = frozenset({"--gpus"})
"""Options of ``docker create`` that the agent does not take."""


def fault(wire: dict[str, Any]) -> dict[str, Any] | None:
    """The failureInfo of a task that never starts; None for one that does."""
    container = wire.get("containerSettings")
    if not container:
        return None
    if words := images.fault(container.get("imageName", "")):
        return _failure("ContainerInvalidImage", "One or more container images specified are invalid", words)
    options = (container.get("containerRunOptions") or "").split()
    unknown = [option for option in options if option.partition("=")[0] in _UNSUPPORTED]
    settings = "At least one value of specified task container settings is invalid"
    if unknown:
        text = f"Some supplied docker options are not recognized or are unsupported: {' '.join(unknown)}"
        return _failure("ContainerInvalidSettings", settings, text)
    variables = [f"{one['name']}={one.get('value', '')}" for one in wire.get("environmentSettings") or ()]
    if any(len(text.encode()) > STRING_BYTES for text in (*words_of(wire.get("commandLine") or ""), *variables)):
        return _failure("ContainerInvalidSettings", settings, "OCI runtime create failed: argument list too long")
    return None


def words_of(command_line: str) -> list[str]:
    """The command line taken apart as on a Linux node: a reference for what the adapter writes."""
    return shlex.split(command_line, posix=True)


def _failure(code: str, message: str, words: str) -> dict[str, Any]:
    details = [{"name": "Message", "value": words}]
    return {"category": "UserError", "code": code, "message": message, "details": details}
