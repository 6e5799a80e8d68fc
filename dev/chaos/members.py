"""The programs that are killed, and what each of them connects through."""

import asyncio
import contextlib
import re
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from dev.chaos.links import Link
from dev.processes import Child

ENDED_BY_ITSELF = "ended by itself"
SURPRISES = ("Traceback", "unexpected failure", ENDED_BY_ITSELF)


class Member:
    """One program: an operator, or the API. Its servers are reached through links of its own."""

    def __init__(
        self, name: str, command: str, env: Mapping[str, str], links: Mapping[str, Link], clock: Path | None = None
    ) -> None:
        """`clock`: a file that says how far its wall clock is off, in seconds."""
        self.name = name
        self.links = links
        self.clock = clock
        self.is_busy = False
        """Whether something is being done to it."""
        self._command = command
        self.settings: Mapping[str, str] = {}
        """What it is told differently from its next start on."""
        self._module, self._env = "api.cli", dict(env)
        if clock is not None:
            self.set_clock(0)
            self._module, self._env = "dev.chaos.shifted", {**env, "CHAOS_CLOCK": str(clock)}
        self._child: Child | None = None
        """None while it is being ended, and after that."""
        self._watching: asyncio.Task[None] | None = None
        self.lines: list[str] = []
        """All that it has printed, over its restarts."""

    async def start(self) -> None:
        """Start it, and wait for its first line, not until it works: what it needs may be down."""
        arguments = ["-m", self._module, self._command]
        env = {**self._env, **self.settings}
        self._child = await Child.start(self.name, arguments, env=env, on_line=self.lines.append, ready_text="")
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

    def set_clock(self, seconds: int) -> None:
        """Have its wall clock so far off."""
        assert self.clock is not None
        new = self.clock.with_suffix(".new")
        new.write_text(str(seconds))
        new.rename(self.clock)

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


def lines_about(members: list[Member], job: str, say: Callable[[str], None]) -> None:
    """Tell what they printed of that job, for who looks for a fault."""
    mentions = re.compile(rf"{re.escape(job)}(?!\d)")
    for member in members:
        for line in member.lines:
            if mentions.search(line):
                say(f"{member.name}: {line}")


def lines_of(members: list[Member], say: Callable[[str], None], last: int = 40) -> None:
    """Tell what they printed last, for who looks for a fault."""
    for member in members:
        for line in member.lines[-last:]:
            say(f"{member.name}: {line}")
