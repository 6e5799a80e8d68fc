"""The list-watch against the in-memory API server: gaps, silence, and a history that is gone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from controller.kube import listwatch
from controller.kube.client import KubeClient
from controller.kube.listwatch import ListWatch
from tests.controller.fakes import FakeClock
from tests.faulty_kube import HANG, FaultyKube, faulty_kube, is_watch, status

SECRETS = "/api/v1/namespaces/default/secrets"
SELECTOR = "mine=yes"


class Known:
    """A sink that keeps names, and tells of changes."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.lists = 0
        self.changed = asyncio.Event()

    def replace(self, items: Sequence[dict[str, Any]], version: int) -> None:
        assert version > 0
        self.lists += 1
        self.names = {item["metadata"]["name"] for item in items}

    def put(self, item: dict[str, Any]) -> None:
        self.names.add(item["metadata"]["name"])

    def remove(self, item: dict[str, Any]) -> None:
        self.names.discard(item["metadata"]["name"])


class Setting:
    def __init__(self, front: FaultyKube) -> None:
        self.front = front
        self.clock = FakeClock()
        self.known = Known()
        self.client = KubeClient(front.configuration)
        self.watch = ListWatch(
            self.client,
            SECRETS,
            selector=SELECTOR,
            kind=dict[str, Any],
            sink=self.known,
            clock=self.clock,
            changed=self.known.changed.set,
        )

    async def make(self, name: str, **labels: str) -> None:
        body = {"metadata": {"name": name, "labels": labels or {"mine": "yes"}}, "data": {}}
        await self.front.client.post(SECRETS, body)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Until that is so; pauses are over as soon as they begin."""
        async with asyncio.timeout(30):
            while not condition():
                await self.clock.advance(11)
                self.known.changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.known.changed.wait(), 0.01)

    def watches(self) -> int:
        return self.front.count(lambda method, path, watch: watch)


@pytest.fixture
async def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Setting]:
    monkeypatch.setattr(listwatch, "SILENCE_SECONDS", 1e6)  # by the fake clock, which runs ahead here
    async with faulty_kube(tmp_path) as front:
        made = Setting(front)
        task = asyncio.create_task(made.watch.run())
        yield made
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await made.client.close()


async def test_what_was_there_and_what_comes_and_goes(setting: Setting) -> None:
    await setting.make("a")
    await setting.make("another", mine="no")
    await setting.until(lambda: setting.known.names == {"a"} and not setting.watch.fault())
    await setting.make("b")
    await setting.front.client.delete(f"{SECRETS}/a")
    await setting.until(lambda: setting.known.names == {"b"})
    assert setting.known.lists == 1


async def test_long_lists_come_in_pages(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listwatch, "PAGE", 2)
    for number in range(5):
        await setting.make(f"s{number}")
    await setting.until(lambda: bool(setting.front.watches))
    setting.front.rule = lambda request: status(410) if is_watch(request) else None
    setting.front.drop_watches()
    await setting.until(lambda: setting.known.lists > 1)
    assert len(setting.known.names) == 5


async def test_a_watch_that_is_cut_goes_on_from_where_it_was(setting: Setting) -> None:
    await setting.make("a")
    await setting.until(lambda: bool(setting.front.watches))
    before = setting.watches()
    setting.front.drop_watches()
    await setting.make("b")
    await setting.until(lambda: setting.known.names == {"a", "b"})
    assert setting.watches() > before
    assert setting.known.lists == 1, "nothing was listed again"


async def test_a_history_that_is_gone_is_begun_anew_with_a_list(setting: Setting) -> None:
    await setting.make("a")
    await setting.until(lambda: bool(setting.front.watches))
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}
    answers = [web.json_response(gone)]
    setting.front.rule = lambda request: answers.pop() if is_watch(request) and answers else None
    setting.front.drop_watches()
    await setting.make("b")
    await setting.until(lambda: setting.known.names == {"a", "b"} and setting.known.lists == 2)
    assert setting.watch.fault() == ""


async def test_a_server_that_is_down_is_a_fault_until_it_is_back(setting: Setting) -> None:
    await setting.make("a")
    await setting.until(lambda: setting.watch.fault() == "")
    await setting.front.down()
    await setting.until(lambda: setting.watch.fault() != "")
    await setting.front.up()
    await setting.until(lambda: setting.watch.fault() == "")


@pytest.mark.parametrize("code", [403, 429, 500])
async def test_a_refusal_is_a_fault_that_heals(setting: Setting, code: int) -> None:
    await setting.until(lambda: setting.watch.fault() == "")
    setting.front.rule = lambda request: status(code, "No")
    setting.front.drop_watches()
    await setting.until(lambda: "No" in setting.watch.fault())
    setting.front.rule = lambda request: None
    await setting.until(lambda: setting.watch.fault() == "")


async def test_a_watch_that_is_never_answered_is_a_fault(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.kube.client.TIMEOUT_SECONDS", 0.2)
    await setting.until(lambda: setting.watch.fault() == "")
    setting.front.rule = lambda request: HANG if is_watch(request) else None
    setting.front.drop_watches()
    await setting.until(lambda: "Timeout" in setting.watch.fault())


async def test_a_watch_that_falls_silent_is_noticed_and_begun_again(tmp_path: Path) -> None:
    """The connection lives, and nothing comes of it: no change, no bookmark, no end."""
    async with faulty_kube(tmp_path) as front:
        made = Setting(front)
        opened = asyncio.Event()

        async def silent(request: web.BaseRequest) -> web.StreamResponse:
            if not is_watch(request):
                return await front._pass_on(request)
            response = web.StreamResponse()
            await response.prepare(request)
            opened.set()
            await asyncio.Event().wait()
            return response

        front._handle = silent
        await front.down()
        await front.up()
        task = asyncio.create_task(made.watch.run())
        await opened.wait()
        async with asyncio.timeout(30):
            while made.watch.fault():
                await asyncio.sleep(0.01)
        made.clock.pause(listwatch.SILENCE_SECONDS + 1)
        assert "silent" in made.watch.fault()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await made.client.close()


async def test_silence_ends_the_watch_itself(setting: Setting) -> None:
    """The other half: a read that lasts for too long raises, and the next watch is opened."""
    lines = setting.client.watch(SECRETS, silence=0.1, resourceVersion="1")
    setting.front.rule = lambda request: None
    with pytest.raises(Exception, match="Timeout"):
        async with contextlib.aclosing(lines):
            async for _ in lines:
                pass


async def test_a_surprise_in_one_object_is_got_over(setting: Setting) -> None:
    await setting.until(lambda: setting.watch.fault() == "")
    put, surprises = setting.known.put, [RuntimeError("surprise")]

    def surprised(item: dict[str, Any]) -> None:
        if surprises:
            raise surprises.pop()
        put(item)

    setting.known.put = surprised  # type: ignore[method-assign]
    await setting.make("a")
    await setting.until(lambda: setting.known.names == {"a"} and not surprises)
    await setting.make("b")
    await setting.until(lambda: setting.known.names == {"a", "b"} and not setting.watch.fault())
