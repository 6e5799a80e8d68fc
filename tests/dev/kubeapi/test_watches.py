"""Many events, slow readers, tables and bookmarks."""

import asyncio
import json
from typing import Any

import pytest

from .client import MERGE, WIDGETS, Api, widget

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


async def next_event(response: Any) -> tuple[str, Any]:
    event = json.loads(await response.content.readline())
    return event["type"], event["object"]


async def test_every_watcher_gets_every_event_in_order(widgets: Api) -> None:
    async def names(response: Any, count: int) -> list[str]:
        return [(await next_event(response))[1]["metadata"]["name"] for _ in range(count)]

    version = (await widgets.ok("GET", WIDGETS))["metadata"]["resourceVersion"]
    wanted = [f"w{index:03}" for index in range(200)]
    async with (
        widgets.watch(WIDGETS, resourceVersion=version) as one,
        widgets.watch(WIDGETS, resourceVersion=version) as other,
    ):
        reading = [asyncio.create_task(names(response, len(wanted))) for response in (one, other)]
        for name in wanted:
            await widgets.ok("POST", WIDGETS, widget(name))
        assert await asyncio.gather(*reading) == [wanted, wanted]


async def test_the_first_watch_of_a_kind_begins_where_a_list_was_though_other_kinds_changed_since(widgets: Api) -> None:
    version = (await widgets.ok("GET", WIDGETS))["metadata"]["resourceVersion"]
    await widgets.ok("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "other"}})
    async with widgets.watch(WIDGETS, resourceVersion=version) as response:
        await widgets.ok("POST", WIDGETS, widget("w"))
        assert (await next_event(response))[1]["metadata"]["name"] == "w"


async def test_a_reader_that_falls_behind_is_told_and_holds_up_nobody(widgets: Api) -> None:
    await widgets.ok("POST", WIDGETS, widget("w"))
    large = "x" * 200_000
    async with widgets.watch(WIDGETS) as response:
        # Nothing is read meanwhile: the buffers fill up, then the history (50 here) moves on.
        for index in range(150):
            await widgets.ok("PATCH", f"{WIDGETS}/w", {"spec": {"n": index, "text": large}}, MERGE)
        last: Any = None
        while line := await response.content.read(1 << 20):
            last = line
    event = json.loads(last.splitlines()[-1])
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


async def test_what_leaves_a_field_selection_is_deleted_for_its_watcher(api: Api) -> None:
    pods = "/api/v1/namespaces/default/pods"
    await api.ok("POST", pods, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}})
    async with api.watch(pods, fieldSelector="status.phase=Pending") as response:
        assert (await next_event(response))[0] == "ADDED"
        changed = await api.ok("PATCH", f"{pods}/p/status", {"status": {"phase": "Running"}}, MERGE)
        kind, pod = await next_event(response)
        assert (kind, pod["status"]["phase"]) == ("DELETED", "Pending")
        assert pod["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"]


async def test_a_table_watch_names_its_columns_once(widgets: Api) -> None:
    await widgets.ok("POST", WIDGETS, widget("w1"))
    await widgets.ok("POST", WIDGETS, widget("w2"))
    async with widgets.session.get(
        widgets.server.url + WIDGETS, params={"watch": "true"}, headers={"Accept": TABLE}
    ) as response:
        _, first = await next_event(response)
        _, second = await next_event(response)
    assert [column["name"] for column in first["columnDefinitions"]] == ["Name", "Age"]
    assert second["columnDefinitions"] == []
    assert second["rows"][0]["cells"][0] == "w2"


async def test_a_watch_of_one_object_sees_no_other(widgets: Api) -> None:
    await widgets.ok("POST", WIDGETS, widget("other"))
    await widgets.ok("POST", WIDGETS, widget("w"))
    async with widgets.watch(f"{WIDGETS}/w", allowWatchBookmarks="true", timeoutSeconds="1") as response:
        lines = [json.loads(line) async for line in response.content]
    assert [line["type"] for line in lines] == ["ADDED", "BOOKMARK"], "a bookmark marks a regular end"
    assert lines[0]["object"]["metadata"]["name"] == "w"


async def test_stopping_the_server_ends_its_watches(widgets: Api) -> None:
    async with widgets.watch(WIDGETS, allowWatchBookmarks="true") as response:
        await widgets.server.stop()
        assert await response.content.read() == b""


async def test_a_client_that_leaves_while_it_is_written_to_is_no_error(
    widgets: Api, caplog: pytest.LogCaptureFixture
) -> None:
    version = (await widgets.ok("GET", WIDGETS))["metadata"]["resourceVersion"]
    for round_ in range(20):
        async with widgets.watch(WIDGETS, resourceVersion=version) as response:
            writing = [widgets.ok("POST", WIDGETS, widget(f"w{round_}-{n}")) for n in range(5)]
            tasks = [asyncio.create_task(write) for write in writing]
            await next_event(response)
            response.close()
            await asyncio.gather(*tasks)
        version = (await widgets.ok("GET", WIDGETS))["metadata"]["resourceVersion"]
    assert not caplog.records
