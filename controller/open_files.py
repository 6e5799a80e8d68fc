"""Open files, which connections are too: the soft limit is raised, and running out of them is survived.

Where none is left, asyncio cannot accept a connection; it tries again and again, with a log line for each try, while
callers wait. Here their connections are accepted with a descriptor that is kept for it, and closed: a caller tries
elsewhere, or again. One line says so, and one that it is over.
"""

import asyncio
import contextlib
import errno
import logging
import os
import resource
from socket import socket
from typing import Any

log = logging.getLogger(__name__)

NEEDED = 4096
"""Connections of callers, mostly. Each of our programs needs some hundred beside them."""
QUIET_SECONDS = 5.0
"""So long without a failure, and the shortage is over."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE)


def raise_limit(needed: int = NEEDED) -> int:
    """Raise this process's soft limit to `needed`, or to the hard limit where that is lower. What it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return needed if soft == resource.RLIM_INFINITY else soft
    with contextlib.suppress(ValueError, OSError):  # macOS has another limit, which nothing tells
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def prepare(needed: int = NEEDED) -> None:
    """What each program does first, in its event loop: raise the limit, say where it stays too low, survive its end."""
    limit = raise_limit(needed)
    if limit < needed:
        log.warning("the limit of open files is %d, less than %d: connections beyond it are closed", limit, needed)
    asyncio.get_running_loop().set_exception_handler(Shedding())


class Shedding:
    """The event loop's handler of exceptions: as usual, but connections that cannot be accepted are closed."""

    def __init__(self) -> None:
        self._spare = [_open(), _open()]
        """One for a copy of the listening socket, one for the connection."""
        self._last: float | None = None
        self._done: set[int] = set()
        """Listening sockets that were seen to in this turn of the event loop."""

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error, listener = context.get("exception"), context.get("socket")
        if not (isinstance(error, OSError) and error.errno in _EXHAUSTED and listener is not None):
            loop.default_exception_handler(context)
            return
        now = loop.time()
        if self._last is None:
            log.error("no file can be opened (%s): connections are closed as they come", error.strerror)
            loop.call_later(QUIET_SECONDS, self._look, loop)
        self._last = now
        if listener.fileno() not in self._done:  # Python 3.11 makes as many tries at once as the backlog is long
            self._done.add(listener.fileno())
            loop.call_soon(self._done.clear)
            self._shed(listener.fileno())

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._last is not None
        rest = self._last + QUIET_SECONDS - loop.time()
        if rest > 0:
            loop.call_later(rest, self._look, loop)
            return
        self._last = None
        log.info("files can be opened again")

    def _shed(self, listener: int) -> None:
        """Accept what waits, and close it."""
        self._give_back()
        with contextlib.suppress(OSError), socket(fileno=os.dup(listener)) as copy:
            while True:  # until none waits: a listener of asyncio does not block
                copy.accept()[0].close()
        self._spare = [_open(), _open()]

    def _give_back(self) -> None:
        for number in self._spare:
            if number is not None:
                os.close(number)


def _open() -> int | None:
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
