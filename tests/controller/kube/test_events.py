"""Events are best effort: posted in the background, bounded, and never more than the API server can bear."""

import asyncio
from typing import Any

from controller.domain.errors import Throttled, Unavailable
from controller.domain.job import Job, parse
from controller.kube.events import BURST, EventPoster
from tests.controller.fakes import FakeClock, settle


class Api:
    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        self.fails = False
        self.fault: Exception = Unavailable("down")

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.fails:
            raise self.fault
        self.posted.append(body)
        return body


def job() -> Job:
    return parse({"metadata": {"name": "j", "namespace": "ns", "uid": "u"}, "spec": {"image": "i"}})


async def test_an_event_tells_which_object_and_what_happened() -> None:
    api, clock = Api(), FakeClock()
    poster = EventPoster(api, clock, "me")  # type: ignore[arg-type]
    task = asyncio.create_task(poster.run())
    poster.post(job(), kind="Warning", reason="Failed", message="x" * 5000)
    await settle()
    event = api.posted[0]
    assert event["involvedObject"]["uid"] == "u"
    assert (event["type"], event["reason"], len(event["message"])) == ("Warning", "Failed", 1024)
    task.cancel()


async def test_a_burst_is_cut_and_time_fills_the_bucket_again() -> None:
    clock = FakeClock()
    poster = EventPoster(Api(), clock, "me")  # type: ignore[arg-type]
    for _ in range(BURST + 50):
        poster.post(job(), kind="Normal", reason="R", message="m")
    assert poster.dropped == 50
    await clock.advance(1)
    poster.post(job(), kind="Normal", reason="R", message="m")
    assert poster.dropped == 50


async def test_an_api_server_that_is_down_costs_only_events() -> None:
    api, clock = Api(), FakeClock()
    poster = EventPoster(api, clock, "me")  # type: ignore[arg-type]
    task = asyncio.create_task(poster.run())
    api.fails = True
    poster.post(job(), kind="Normal", reason="R", message="m")
    await settle()
    api.fails = False
    poster.post(job(), kind="Normal", reason="R", message="m")
    await settle()
    assert len(api.posted) == 1
    task.cancel()


async def test_an_api_server_that_asks_for_a_pause_gets_no_events_meanwhile() -> None:
    api, clock = Api(), FakeClock()
    poster = EventPoster(api, clock, "me")  # type: ignore[arg-type]
    task = asyncio.create_task(poster.run())
    api.fails, api.fault = True, Throttled("slowly", delay=30)
    for _ in range(3):
        poster.post(job(), kind="Normal", reason="R", message="m")
    await settle()
    api.fails = False
    await clock.advance(29)
    assert api.posted == []
    await clock.advance(1)
    assert len(api.posted) == 2
    task.cancel()
