"""The programs that are killed, and what each of them connects through."""

import asyncio
import contextlib
import os
import platform
import signal
from collections.abc import Awaitable, Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from dev.chaos.links import Link
from dev.processes import Child

FIRST_LINE = "Starting worker..."
ENDED_BY_ITSELF = "ended by itself"
SURPRISES = ("Traceback", "unexpected failure", ENDED_BY_ITSELF)


class Member:
    """One program: an operator, or the API. Its servers are reached through links of its own."""

    def __init__(
        self, name: str, command: str, env: Mapping[str, str], links: Mapping[str, Link], clock: Path | None = None
    ) -> None:
        """`clock`: a file that says how far its wall clock is off, as ``+300`` seconds."""
        self.name = name
        self.links = links
        self.clock = clock
        self.is_busy = False
        """Whether something is being done to it."""
        self._command = command
        self._env = {**env, **(_shifted_by(clock) if clock else {})}
        self._child: Child | None = None
        """None while it is being ended, and after that."""
        self._watching: asyncio.Task[None] | None = None
        self.lines: list[str] = []
        """All that it has printed, over its restarts."""

    async def start(self, ready_text: str = "") -> None:
        """Start it, and do not wait until it works: what it needs may be down."""
        arguments = ["-m", "api.cli", self._command]
        self._child = await Child.start(
            self.name, arguments, env=self._env, on_line=self.lines.append, ready_text=ready_text
        )
        self._watching = asyncio.create_task(self._watch(self._child))

    async def kill(self) -> None:
        """SIGKILL."""
        await self._end(lambda child: child.kill())

    async def terminate(self) -> None:
        """SIGTERM, and SIGKILL when it takes too long."""
        await self._end(lambda child: child.stop())

    def signal(self, number: signal.Signals) -> None:
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                self._child.process.send_signal(number)

    async def _end(self, by: Callable[[Child], Awaitable[None]]) -> None:
        child, self._child = self._child, None
        if child is None or child.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            child.process.send_signal(signal.SIGCONT)
            await by(child)

    async def _watch(self, child: Child) -> None:
        code = await child.wait()
        if self._child is child:
            self.lines.append(f"{ENDED_BY_ITSELF}: exit code {code}")

    def surprises(self) -> list[str]:
        """What it should not have printed; of a traceback the line that it was logged with."""
        before = ["", *self.lines]
        found = [(last, line) for last, line in zip(before, self.lines, strict=False) if is_surprise(line)]
        return [f"{self.name}: {line if 'Traceback' not in line else last or line}" for last, line in found]


def is_surprise(line: str) -> bool:
    """Whether no program of ours should print that."""
    return any(text in line for text in SURPRISES)


def clock_library() -> Path | None:
    """libfaketime: moves the wall clock of one process, and not what it measures time by. None where there is none."""
    found = find_spec("libfaketime")
    if found is None or found.origin is None or platform.machine() != "x86_64" or platform.system() != "Linux":
        return None
    library = Path(found.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
    return library if library.exists() else None


def _shifted_by(clock: Path) -> dict[str, str]:
    clock.write_text("+0\n")
    return {
        "LD_PRELOAD": os.fspath(clock_library() or ""),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def lines_of(members: list[Member], say: Callable[[str], None], last: int = 40) -> None:
    """Tell what they printed last, for who looks for a fault."""
    for member in members:
        for line in member.lines[-last:]:
            say(f"{member.name}: {line}")
