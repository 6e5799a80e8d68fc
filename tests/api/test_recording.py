"""The recorder of submissions: what it repeats, what it drops, and how often it asks."""

import uuid
from collections.abc import AsyncIterator, Sequence

import pytest

from api.recording import PENDING_MAX, SubmissionRecorder
from controller.domain.errors import Permanent, Unavailable
from controller.domain.phases import Phase
from controller.domain.records import JobRow, Recorded, Transition
from tests.controller.fakes import START, FakeClock


class Writer:
    """A database that fails as it is told to."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.calls = 0
        self.written: list[str] = []

    async def write(self, transitions: Sequence[Transition]) -> Recorded:
        self.calls += 1
        if self.fault is not None:
            raise self.fault
        self.written += [transition.row.job_id for transition in transitions]
        return Recorded(number=0, phase=Phase.PENDING)


class World:
    """Which jobs still exist."""

    def __init__(self) -> None:
        self.gone: set[str] = set()

    async def is_wanted(self, transition: Transition) -> bool:
        return transition.row.job_id not in self.gone


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def recorder(writer: Writer, clock: FakeClock, world: World) -> AsyncIterator[SubmissionRecorder]:
    recorder = SubmissionRecorder(writer, clock, world.is_wanted)
    yield recorder
    await recorder.close()


def submitted(job_id: str) -> Transition:
    row = JobRow(tenant_id="t", job_id=job_id, status=Phase.PENDING, created_at=START, updated_at=START)
    return Transition(uid=str(uuid.uuid4()), number=0, from_phase=None, row=row, at=START, reason="test")


async def test_a_working_database_is_asked_once(recorder: SubmissionRecorder, writer: Writer) -> None:
    assert await recorder.record(submitted("a")) == Recorded(number=0, phase=Phase.PENDING)
    assert (writer.written, recorder.pending) == (["a"], 0)


async def test_a_database_that_is_down_is_asked_with_one_job_at_a_time_and_ever_more_rarely(
    recorder: SubmissionRecorder, writer: Writer, clock: FakeClock
) -> None:
    writer.fault = Unavailable("down")
    for number in range(10):
        assert await recorder.record(submitted(f"job-{number}")) is None
    writer.calls = 0
    await clock.advance(120)
    assert 6 <= writer.calls <= 8
    writer.fault = None
    await clock.advance(31)
    assert len(writer.written) == 10
    assert recorder.pending == 0


async def test_what_was_deleted_meanwhile_is_dropped(
    recorder: SubmissionRecorder, writer: Writer, clock: FakeClock, world: World
) -> None:
    writer.fault = Unavailable("down")
    one, two, three = (submitted(job_id) for job_id in ("kept", "deleted-here", "deleted-elsewhere"))
    for transition in (one, two, three):
        await recorder.record(transition)
    recorder.forget(two.uid)
    recorder.forget("of no job")
    world.gone.add("deleted-elsewhere")
    writer.fault = None
    await clock.advance(5)
    assert (writer.written, recorder.pending) == (["kept"], 0)


async def test_what_the_database_refuses_for_good_is_not_repeated(recorder: SubmissionRecorder, writer: Writer) -> None:
    writer.fault = Permanent("refused", reason="RecordRejected")
    with pytest.raises(Permanent, match="refused"):
        await recorder.record(submitted("a"))
    assert recorder.pending == 0


async def test_no_more_jobs_are_remembered_than_memory_has_room_for(
    recorder: SubmissionRecorder, writer: Writer
) -> None:
    writer.fault = Unavailable("down")
    for number in range(PENDING_MAX + 5):
        await recorder.record(submitted(f"job-{number}"))
    assert recorder.pending == PENDING_MAX
