"""Child processes of the stack: started one after the other, their output passed on, ended by their id."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

STOP_SECONDS = 4.0
LINES_TOLD = 20
"""Of what a child said before it failed."""
_PR_SET_PDEATHSIG = 1


class ProcessFailed(Exception):
    """A child failed, ended that should have run on, or did not become ready in time. The message has its own words."""


def output(*command: str | Path, timeout: float = 120, **options: Any) -> str:
    """What a program prints on stdout. `options` are those of subprocess.run; `timeout` is in seconds.

    Raises ProcessFailed with what the program said where it cannot be started, fails or takes too long.
    """
    name, words = Path(command[0]).name, [str(word) for word in command]
    try:
        done = subprocess.run(words, capture_output=True, timeout=timeout, check=False, **options)
    except subprocess.TimeoutExpired as error:
        raise ProcessFailed(f"{name} took more than {timeout:g} s: {_words(error.stderr, error.stdout)}") from None
    except OSError as error:
        raise ProcessFailed(f"{name} cannot be started: {error}") from None
    if done.returncode:
        raise ProcessFailed(f"{name} ended with {done.returncode}: {_words(done.stderr, done.stdout)}")
    return str(done.stdout, "utf-8", "replace")


def _words(*streams: bytes | None) -> str:
    """What was said, on the first of the streams that has anything."""
    said = (stream.decode("utf-8", "replace").strip() for stream in streams if stream)
    return next(filter(None, said), "it said nothing")


class Child:
    """One process of the stack. Its lines go to `on_line`; stdout and stderr alike."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, on_line: Callable[[str], None]) -> None:
        self.name = name
        self.process = process
        self._on_line = on_line
        self._ready = asyncio.Event()
        self._ready_text = ""
        self._last: deque[str] = deque(maxlen=LINES_TOLD)
        self._reader = asyncio.create_task(self._read())
        self._exit = asyncio.create_task(process.wait())

    @classmethod
    async def start(
        cls,
        name: str,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str],
        on_line: Callable[[str], None],
        ready_text: str,
        seconds: float = 30.0,
    ) -> "Child":
        """Start it and wait for the line that says it is ready. Raises ProcessFailed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C goes to the stack alone, which stops its children in order
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            limit=2**20,
        )
        child = cls(name, process, on_line)
        child._ready_text = ready_text
        ready = asyncio.create_task(child._ready.wait())
        done, _ = await asyncio.wait((ready, child._exit), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if ready not in done:
            ready.cancel()
            await child.stop()
            said = "\n  ".join(child._last) or "it said nothing"
            raise ProcessFailed(f"{name} did not start (exit code {process.returncode}):\n  {said}")
        return child

    async def wait(self) -> int:
        """Its exit code, once it has ended."""
        return await asyncio.shield(self._exit)

    async def stop(self) -> None:
        """End it: SIGTERM, and SIGKILL when it takes too long."""
        if not self._exit.done():
            self.process.send_signal(signal.SIGTERM)
        done, _ = await asyncio.wait((self._exit,), timeout=STOP_SECONDS)
        if not done:
            self.process.kill()
        await asyncio.wait((self._exit, self._reader))

    async def kill(self) -> None:
        """End it at once, as a crash would: SIGKILL."""
        self.process.kill()
        await asyncio.wait((self._exit, self._reader))

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for raw in self.process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            self._on_line(line)
            self._last.append(line)
            if self._ready_text in line:
                self._ready.set()


def _die_with_parent() -> None:
    """Ask Linux to end this process when the stack dies, so that a killed stack leaves no servers behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
