"""What files say, read again when they change: the tokens of callers, the certificate of the API's port.

A Secret's volume changes by a symlink that is swapped, so nothing of the file itself is written. Therefore files are
looked at when their contents are needed, at most once a second.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Generic, TypeVar

from controller.domain.errors import ConfigError
from controller.ports import Clock

LOG = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0

Contents = TypeVar("Contents")
Signature = tuple[tuple[int, ...] | None, ...]


class Reloaded(Generic[Contents]):
    """The contents of files. Those that cannot be read any more, or are wrong, leave the former contents in force."""

    def __init__(
        self,
        variable: str,
        paths: Sequence[Path],
        read: Callable[[], Contents],
        *,
        clock: Clock,
        failing: Callable[[int], None],
    ) -> None:
        """`read` raises ConfigError; the first time it is passed on.

        `variable`: the setting that names the files. `failing` is told 1 when they cannot be read, 0 when they can.
        """
        self._variable = variable
        self._paths = paths
        self._read = read
        self._clock = clock
        self._looked = clock.monotonic()
        self._seen = _signature(paths)
        self._contents = read()
        self._failing = failing
        failing(0)

    def get(self) -> Contents:
        now = self._clock.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._look()
        return self._contents

    def _look(self) -> None:
        found = _signature(self._paths)
        if found == self._seen:
            return
        try:
            contents = self._read()
        except ConfigError as error:
            self._failing(1)
            LOG.error("%s; what was read before stays in force", error)
        else:
            if _signature(self._paths) != found:
                return  # changed meanwhile: the next look reads it
            self._contents = contents
            self._failing(0)
            LOG.info("%s was read again", self._variable)
        self._seen = found


def _signature(paths: Sequence[Path]) -> Signature:
    """Another one where a file is another one, or was written, or is missing."""
    return tuple(_of_file(path) for path in paths)


def _of_file(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
