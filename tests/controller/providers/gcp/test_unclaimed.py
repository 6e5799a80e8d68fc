"""What nobody claims, on Google Cloud: all jobs are read once, then those since the last look or the oldest left."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud import batch_v1

from controller.domain.errors import Unavailable
from controller.ports import Observation
from controller.providers.gcp import labels
from controller.providers.gcp.bulk import Bulk, Page
from controller.providers.gcp.places import Place
from controller.providers.gcp.unclaimed import Unclaimed
from tests.controller.fakes import START, FakeClock

PLACE = Place(project="p", region="r", instance="here")
State = batch_v1.JobStatus.State


def job(uid: str, state: int, created: datetime) -> Any:
    made = batch_v1.Job.pb(batch_v1.Job())
    made.name, made.uid = PLACE.path(f"job-{uid}"), f"service-{uid}"
    made.labels.update({labels.UID: uid, labels.NAMESPACE: "team", labels.INSTANCE: PLACE.instance})
    made.status.state = state
    made.create_time.FromDatetime(created.replace(tzinfo=None))
    made.update_time.FromDatetime(created.replace(tzinfo=None))
    return made


class Service:
    def __init__(self, jobs: Sequence[Any]) -> None:
        self.jobs = jobs
        self.filters: list[str] = []
        self.unreachable: tuple[str, ...] = ()

    async def list_page(self, text: str, token: str, size: int, mask: str) -> Page:
        self.filters.append(text)
        return Page(jobs=self.jobs, next_token="", unreachable=self.unreachable)


def unclaimed(service: Service, clock: FakeClock) -> Unclaimed:
    def meaning(job: Any) -> Observation:
        return Observation(external_name="n", uid=job.labels[labels.UID], resource_path=job.name, phase=None)

    return Unclaimed(Bulk(PLACE, service.list_page, clock), PLACE.instance, clock, meaning)


async def test_the_second_look_goes_no_further_back_than_the_first_one() -> None:
    old = START - timedelta(days=30)
    service = Service([job("a", State.RUNNING, old), job("b", State.SUCCEEDED, old)])
    clock = FakeClock()
    looking = unclaimed(service, clock)
    assert await looking.look({"a"}, None) == []
    clock.pause(300)
    assert await looking.look({"a"}, None) == []
    ours = 'labels."jennah-instance" = "here"'
    assert service.filters == [ours, f'{ours} AND createTime >= "2025-12-31T23:50:00Z"']


async def test_it_goes_back_to_the_oldest_that_was_unclaimed() -> None:
    old = START - timedelta(days=30)
    service = Service([job("a", State.RUNNING, START), job("b", State.QUEUED, old), job("c", State.FAILED, old)])
    clock = FakeClock()
    looking = unclaimed(service, clock)
    for _ in range(2):
        found = await looking.look({"a"}, None)
        assert [(one.seen.uid, one.namespace, one.has_ended) for one in found] == [("b", "team", False)]
    assert service.filters[1].endswith('createTime >= "2025-12-01T23:50:00Z"')


async def test_what_ended_is_told_only_where_that_is_asked_for() -> None:
    new, old = job("new", State.FAILED, START), job("old", State.FAILED, START - timedelta(days=2))
    looking = unclaimed(Service([new, old]), FakeClock())
    assert await looking.look(set(), None) == []
    found = await looking.look(set(), datetime(2025, 12, 31, tzinfo=UTC))
    assert [(one.seen.uid, one.has_ended) for one in found] == [("new", True)]


async def test_a_place_that_cannot_be_read_is_read_by_the_next_look_from_the_beginning() -> None:
    service = Service([])
    looking = unclaimed(service, FakeClock())
    service.unreachable = ("projects/p/locations/r",)
    with pytest.raises(Unavailable, match="could not read"):
        await looking.look(set(), None)
    service.unreachable, service.jobs = (), [job("a", State.RUNNING, START - timedelta(days=3))]
    assert [one.seen.uid for one in await looking.look(set(), None)] == ["a"]


async def test_a_job_of_another_installation_is_not_ours_whatever_the_filter_let_through() -> None:
    theirs, nobodys = job("a", State.RUNNING, START), job("b", State.RUNNING, START)
    theirs.labels[labels.INSTANCE] = "there"
    del nobodys.labels[labels.INSTANCE]
    assert await unclaimed(Service([theirs, nobodys]), FakeClock()).look(set(), START - timedelta(days=1)) == []
