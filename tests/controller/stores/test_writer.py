"""Group commit: who waits for whom, and who hears what."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest

from controller.domain import reasons
from controller.domain.errors import Permanent, Retryable, Throttled, Unavailable
from controller.domain.phases import Phase
from controller.domain.records import JobRow, Recorded, Transition
from controller.metrics import REGISTRY
from controller.ports import RecordFailure
from controller.stores.writer import GATHER_SECONDS, GROUP_ROWS, MAX_COMMITS, GroupWriter

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def transition(job_id: str, number: int = 0) -> Transition:
    row = JobRow(tenant_id="t", job_id=job_id, status=Phase.PENDING, created_at=NOON, updated_at=NOON)
    return Transition(uid=job_id, number=number, from_phase=None, row=row, at=NOON, reason="r")


class GatedStore:
    """Notes each record() call; a call waits at the gate, and fails where one of its jobs is poisoned."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.gate = asyncio.Event()
        self.in_flight = 0
        self.call_fails_with: dict[str, Exception] = {}
        self.row_fails_with: dict[str, Exception] = {}

    async def record(self, transitions: Sequence[Transition]) -> Sequence[Recorded | RecordFailure]:
        jobs = [transition.row.job_id for transition in transitions]
        self.calls.append(jobs)
        self.in_flight += 1
        assert self.in_flight <= MAX_COMMITS
        await self.gate.wait()
        self.in_flight -= 1
        for job in jobs:
            if job in self.call_fails_with:
                raise self.call_fails_with[job]
        return [self._result(transition) for transition in transitions]

    def _result(self, transition: Transition) -> Recorded | RecordFailure:
        error = self.row_fails_with.get(transition.row.job_id)
        if error is not None:
            return RecordFailure(error=error)
        return Recorded(number=transition.number, phase=transition.row.status)


@pytest.fixture
def store() -> GatedStore:
    return GatedStore()


@pytest.fixture
async def writer(store: GatedStore) -> AsyncIterator[GroupWriter]:
    writer = GroupWriter(store)  # type: ignore[arg-type]
    yield writer
    store.gate.set()
    await writer.close()


async def settle() -> None:
    """Let every task run until it waits for something."""
    for _ in range(10):
        await asyncio.sleep(0)


async def start(writer: GroupWriter, *jobs: str) -> list[asyncio.Task[Recorded]]:
    tasks = [asyncio.create_task(writer.write([transition(job)])) for job in jobs]
    await settle()
    return tasks


async def test_a_lone_caller_does_not_wait_for_company(store: GatedStore, writer: GroupWriter) -> None:
    store.gate.set()
    assert await writer.write([transition("a"), transition("a", 1)]) == Recorded(number=1, phase=Phase.PENDING)
    assert store.calls == [["a", "a"]]


async def test_callers_gather_while_a_commit_is_in_flight_and_share_the_next(
    store: GatedStore, writer: GroupWriter
) -> None:
    tasks = await start(writer, "a")
    tasks += await start(writer, "b", "c", "d")
    assert store.calls == [["a"]]
    store.gate.set()
    await asyncio.gather(*tasks)
    assert store.calls == [["a"], ["b", "c", "d"]]


async def test_no_group_is_larger_than_the_limit_but_a_single_caller_may_be(
    store: GatedStore, writer: GroupWriter
) -> None:
    tasks = await start(writer, "first")
    tasks += await start(writer, *(f"j{n}" for n in range(GROUP_ROWS + 1)))
    big = asyncio.create_task(writer.write([transition("big", n) for n in range(GROUP_ROWS + 5)]))
    await settle()
    store.gate.set()
    await asyncio.gather(*tasks, big)
    assert [len(call) for call in store.calls] == [1, GROUP_ROWS, 1, GROUP_ROWS + 5]


async def test_each_caller_hears_its_own_result(store: GatedStore, writer: GroupWriter) -> None:
    refused = Permanent("no", reason=reasons.RECORD_REJECTED)
    store.row_fails_with["bad"] = refused
    tasks = await start(writer, "first", "good", "bad", "also good")
    store.gate.set()
    first, good, bad, also_good = await asyncio.gather(*tasks, return_exceptions=True)
    assert bad is refused
    assert first == good == also_good == Recorded(number=0, phase=Phase.PENDING)


async def test_a_cancelled_caller_takes_nothing_from_the_others_of_its_group(
    store: GatedStore, writer: GroupWriter
) -> None:
    tasks = await start(writer, "in flight")
    tasks += await start(writer, "stays", "leaves")
    tasks[0].cancel()
    tasks[2].cancel()
    await settle()
    store.gate.set()
    assert await tasks[1] == Recorded(number=0, phase=Phase.PENDING)
    assert store.calls == [["in flight"], ["stays"]]
    assert tasks[0].cancelled()
    assert tasks[2].cancelled()


async def test_callers_gather_for_a_short_time_only_while_a_commit_hangs(
    store: GatedStore, writer: GroupWriter
) -> None:
    tasks = await start(writer, "hangs")
    tasks += await start(writer, "a", "b")
    assert store.calls == [["hangs"]]
    await asyncio.sleep(GATHER_SECONDS * 2)
    assert store.calls == [["hangs"], ["a", "b"]]
    store.gate.set()
    await asyncio.gather(*tasks)


async def test_a_full_group_does_not_wait_for_the_commit_before_it(store: GatedStore, writer: GroupWriter) -> None:
    tasks = await start(writer, "hangs")
    tasks += await start(writer, *(f"j{n}" for n in range(GROUP_ROWS + 1)))
    assert [len(call) for call in store.calls] == [1, GROUP_ROWS]
    store.gate.set()
    await asyncio.gather(*tasks)
    assert [len(call) for call in store.calls] == [1, GROUP_ROWS, 1]


async def test_a_store_that_does_not_answer_is_asked_by_few_groups_at_once(
    store: GatedStore, writer: GroupWriter
) -> None:
    tasks: list[asyncio.Task[Recorded]] = []
    for n in range(MAX_COMMITS + 3):
        tasks += await start(writer, f"a{n}", f"b{n}")
        await asyncio.sleep(GATHER_SECONDS * 1.5)
    assert store.in_flight == MAX_COMMITS
    store.gate.set()
    await asyncio.gather(*tasks)
    assert len(store.calls) == MAX_COMMITS + 1
    assert store.calls[-1] == [f"{letter}{n}" for n in range(MAX_COMMITS, MAX_COMMITS + 3) for letter in "ab"]


async def test_two_hundred_callers_at_once_are_one_commit(store: GatedStore, writer: GroupWriter) -> None:
    store.gate.set()
    await asyncio.gather(*(writer.write([transition(f"j{n}")]) for n in range(GROUP_ROWS)))
    assert [len(call) for call in store.calls] == [GROUP_ROWS]


async def test_a_group_that_fails_as_a_whole_is_split_until_the_cause_is_alone(
    store: GatedStore, writer: GroupWriter
) -> None:
    store.call_fails_with["poison"] = RuntimeError("poison")
    tasks = await start(writer, "first")
    tasks += await start(writer, "a", "b", "poison", "c")
    store.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [Recorded, Recorded, Recorded, RuntimeError, Recorded]
    assert store.calls[1:] == [["a", "b", "poison", "c"], ["a", "b"], ["poison", "c"], ["poison"], ["c"]]


@pytest.mark.parametrize("error", [Unavailable("away"), Throttled("too much", delay=1)])
async def test_a_database_that_is_away_or_overloaded_is_so_for_the_whole_group_at_once(
    store: GatedStore, writer: GroupWriter, error: Retryable
) -> None:
    store.call_fails_with["b"] = error
    tasks = await start(writer, "first")
    tasks += await start(writer, "a", "b")
    store.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[1:] == [error, error]
    assert len(store.calls) == 2


async def test_metrics_count_the_commits_by_their_result(store: GatedStore, writer: GroupWriter) -> None:
    def count(result: str) -> float:
        return REGISTRY.get_sample_value("jennah_record_commits_total", {"result": result}) or 0

    before = count("ok"), count("Unavailable")
    store.gate.set()
    store.call_fails_with["a"] = Unavailable("away")
    with pytest.raises(Unavailable):
        await writer.write([transition("a")])
    await writer.write([transition("b")])
    assert (count("ok"), count("Unavailable")) == (before[0] + 1, before[1] + 1)


async def test_the_writer_goes_on_after_a_failure(store: GatedStore, writer: GroupWriter) -> None:
    store.gate.set()
    store.call_fails_with["a"] = Unavailable("away")
    with pytest.raises(Unavailable):
        await writer.write([transition("a")])
    assert await writer.write([transition("b")]) == Recorded(number=0, phase=Phase.PENDING)


async def test_closing_writes_what_waits_and_takes_no_more(store: GatedStore, writer: GroupWriter) -> None:
    tasks = await start(writer, "a")
    tasks += await start(writer, "b")
    closing = asyncio.create_task(writer.close())
    await settle()
    with pytest.raises(Unavailable, match="closed"):
        await writer.write([transition("late")])
    store.gate.set()
    await closing
    assert [task.done() for task in tasks] == [True, True]
    assert store.calls == [["a"], ["b"]]


async def test_closing_twice_or_unused_is_no_error(store: GatedStore, writer: GroupWriter) -> None:
    await writer.close()
    await writer.close()
    assert store.calls == []


async def test_nothing_to_write_is_a_mistake_of_the_caller(writer: GroupWriter) -> None:
    with pytest.raises(ValueError, match="nothing"):
        await writer.write([])
