"""What made-up tokens cost the others: a place in a short queue, and nothing more."""

import asyncio

import pytest

from api.auth import asking
from api.auth.asking import ANSWER_SECONDS, AT_ONCE, WAITING_MAX, WAITING_MAX_OF_ONE, Asking
from api.connect.errors import Code, ConnectError
from controller.domain.errors import Unavailable
from tests.controller.fakes import FakeClock, settle


class Other:
    """The program that is asked. It knows what begins with "good", and answers while it may."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.asking: Asking[str] = Asking(self.clock)
        self.asked: list[str] = []
        self.under_way = self.most = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.is_down = False

    async def about(self, thing: str, asker: str = "") -> str | None:
        return await self.asking.about(thing.encode(), asker or thing, lambda: self._answer(thing))

    async def _answer(self, thing: str) -> str | None:
        self.asked.append(thing)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.may_answer.wait()
        self.under_way -= 1
        if self.is_down:
            raise Unavailable("down")
        return thing if thing.startswith("good") else None

    async def flood(self, number: int, asker: str = "") -> list[asyncio.Task[str | None]]:
        """So many callers with something made up, each with another thing; all have come as far as they can."""
        self.may_answer.clear()
        tasks = [asyncio.create_task(self.about(f"made-up-{each}", asker)) for each in range(number)]
        await settle()
        return tasks

    async def end(self, *tasks: asyncio.Task[str | None]) -> list[str | BaseException | None]:
        self.may_answer.set()
        return await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def other() -> Other:
    return Other()


async def test_an_answer_counts_for_a_minute(other: Other) -> None:
    for _ in range(3):
        assert (await other.about("good"), await other.about("bad")) == ("good", None)
    assert other.asked == ["good", "bad"]
    other.clock.pause(ANSWER_SECONDS)
    assert (await other.about("good"), await other.about("bad")) == ("good", None)
    assert other.asked == ["good", "bad"] * 2


async def test_one_thing_is_asked_about_once_whoever_waits(other: Other) -> None:
    other.may_answer.clear()
    tasks = [asyncio.create_task(other.about("good")) for _ in range(20)]
    await settle()
    tasks[0].cancel()  # who asked first gives up, as at the end of a call's time
    assert (await other.end(*tasks))[1:] == ["good"] * 19
    assert other.asked == ["good"]


async def test_what_was_good_before_waits_for_nothing_that_is_made_up(other: Other) -> None:
    """Also where its answer is too old: on a busy replica that is so for each token, every minute."""
    await other.about("good")
    other.clock.pause(ANSWER_SECONDS)
    made_up = await other.flood(12_000)
    good = asyncio.create_task(other.about("good"))
    await settle()
    assert other.asked[-1] == "good", "it is asked about at once"
    assert await other.end(good) == ["good"]
    await other.end(*made_up)


async def test_a_new_caller_is_told_at_once_that_too_many_wait_and_comes_in_later(other: Other) -> None:
    made_up = await other.flood(12_000)
    assert (len(other.asked), other.most) == (AT_ONCE, AT_ONCE)
    with pytest.raises(ConnectError) as busy:
        await other.about("good")
    assert (busy.value.code, busy.value.retry_after) == (Code.UNAVAILABLE, 2)
    answers = await other.end(*made_up)
    assert answers.count(None) == WAITING_MAX
    assert other.most == AT_ONCE
    assert await other.about("good") == "good"


async def test_one_asker_leaves_room_for_others(other: Other) -> None:
    made_up = await other.flood(12_000, asker="one")
    good = asyncio.create_task(other.about("good", "another"))
    await settle()
    answers = await other.end(good, *made_up)
    assert answers[0] == "good"
    assert answers.count(None) == WAITING_MAX_OF_ONE


async def test_refusals_push_no_good_answer_out(other: Other, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "REMEMBERED_MAX", 10)
    await other.about("good")
    for number in range(30):
        await other.about(f"made-up-{number}")
    assert len(other.asking._refused) == 10
    await other.about("good")
    assert other.asked.count("good") == 1


async def test_no_answer_is_not_remembered(other: Other) -> None:
    other.is_down = True
    with pytest.raises(Unavailable):
        await other.about("good")
    other.is_down = False
    assert await other.about("good") == "good"


async def test_what_is_not_good_any_more_is_new_again(other: Other) -> None:
    other.asked.clear()
    assert await other.asking.about(b"x", "", lambda: other._answer("good")) == "good"
    other.clock.pause(ANSWER_SECONDS)
    assert await other.asking.about(b"x", "", lambda: other._answer("bad")) is None
    assert await other.asking.about(b"x", "", lambda: other._answer("good")) is None, "remembered"
    assert other.asking._good == {}
