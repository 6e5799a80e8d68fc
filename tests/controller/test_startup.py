"""Waiting for what a program needs: patiently, in growing pauses that differ, and with one line a change."""

import asyncio
import contextlib
import io
import logging

import pytest

from controller.domain.errors import ConfigError, Throttled, Unavailable
from controller.startup import patiently, say
from tests.controller.fakes import FakeClock, settle


class Needed:
    """Fails with each of these errors in turn, then works."""

    def __init__(self, clock: FakeClock, *errors: Exception) -> None:
        self.clock = clock
        self.errors = list(errors)
        self.tries: list[float] = []

    async def __call__(self) -> None:
        self.tries.append(self.clock.monotonic())
        if self.errors:
            raise self.errors.pop(0)

    @property
    def pauses(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.tries, self.tries[1:], strict=False)]


async def wait_for(needed: Needed) -> bool:
    waiting = asyncio.create_task(patiently(needed, clock=needed.clock, stop=asyncio.Event()))
    await needed.clock.advance(3600)
    return await waiting


async def test_each_change_of_what_is_wrong_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    wrongs = ["down"] * 30 + ["no CRD"] * 10 + ["down"]
    assert await wait_for(Needed(FakeClock(), *(Unavailable(wrong) for wrong in wrongs)))
    assert [record.getMessage() for record in caplog.records] == ["waiting: down", "waiting: no CRD", "waiting: down"]


async def test_pauses_grow_up_to_ten_seconds_and_are_never_the_same() -> None:
    needed = Needed(FakeClock(), *(Unavailable("down") for _ in range(40)))
    await wait_for(needed)
    assert len(needed.pauses) == 40
    assert len(set(needed.pauses)) > 30
    assert 0.5 <= needed.pauses[0] <= 1
    assert all(5 <= pause <= 10.001 for pause in needed.pauses[5:])


async def test_a_server_that_asks_for_a_pause_gets_it() -> None:
    needed = Needed(FakeClock(), Throttled("slowly", delay=42))
    await wait_for(needed)
    assert needed.pauses == [42]


async def test_a_stop_ends_the_wait_and_what_cannot_heal_is_raised() -> None:
    clock, stop = FakeClock(), asyncio.Event()
    waiting = asyncio.create_task(patiently(Needed(clock, Unavailable("down")), clock=clock, stop=stop))
    await settle()
    stop.set()
    assert not await waiting
    with pytest.raises(ConfigError):
        await patiently(Needed(clock, ConfigError(["wrong"])), clock=clock, stop=asyncio.Event())


class Recorder(io.StringIO):
    """Where each write goes out by itself, as with PYTHONUNBUFFERED."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


def test_a_line_is_said_in_one_piece_so_that_no_log_line_comes_into_it() -> None:
    out = Recorder()
    with contextlib.redirect_stdout(out):
        say("Leading as a_1")
    assert out.writes == ["Leading as a_1\n"]
