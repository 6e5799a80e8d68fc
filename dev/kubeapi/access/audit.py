"""The audit log: a JSON line for each request, for reading what a program uses and what it was refused."""

from pathlib import Path
from typing import Any

from ..encoding import encode
from .attributes import Attributes


class AuditLog:
    def __init__(self, path: Path) -> None:
        """Lines are added to what the file has. Raises OSError where it cannot be written."""
        # Unbuffered: whoever reads the file sees what has been answered, also after a kill.
        self._file: Any = path.open("ab", buffering=0)

    def write(self, user: str, asked: Attributes, code: int) -> None:
        """A watch is written when it begins, all else when it has been answered."""
        line = {
            "user": user,
            "verb": asked.verb,
            "group": asked.group,
            "resource": asked.resource,
            "subresource": asked.subresource,
            "namespace": asked.namespace,
            "name": asked.name,
            "code": code,
        }
        if not asked.resource:
            line["path"] = asked.path
        self._file.write(encode(line) + b"\n")

    def close(self) -> None:
        self._file.close()
