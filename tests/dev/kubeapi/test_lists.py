"""Pages that show one moment, selectors, and versions that are too old."""

from .client import CRDS, MERGE, WIDGETS, Api, widget


async def test_pages_show_the_moment_of_the_first_one(widgets: Api) -> None:
    for index in range(9):
        await widgets.ok("POST", WIDGETS, widget(f"w{index}", {"size": 1}))
    first = await widgets.ok("GET", WIDGETS, limit="3")
    # What comes, goes and changes behind the first page shows in none of the others.
    await widgets.ok("POST", WIDGETS, widget("w4b"))
    await widgets.ok("DELETE", f"{WIDGETS}/w5")
    await widgets.ok("PATCH", f"{WIDGETS}/w7", {"spec": {"size": 2}}, MERGE)
    await widgets.ok("DELETE", f"{WIDGETS}/w0")
    pages = [first]
    while token := pages[-1]["metadata"].get("continue"):
        pages.append(await widgets.ok("GET", WIDGETS, **{"limit": "3", "continue": token}))
    items = [item for page in pages for item in page["items"]]
    assert [item["metadata"]["name"] for item in items] == [f"w{index}" for index in range(9)]
    assert {item["spec"]["size"] for item in items} == {1}
    assert [page["metadata"].get("remainingItemCount") for page in pages] == [6, 3, None]
    assert {page["metadata"]["resourceVersion"] for page in pages} == {first["metadata"]["resourceVersion"]}


async def test_a_page_of_a_forgotten_moment_is_expired(widgets: Api) -> None:
    for index in range(3):
        await widgets.ok("POST", WIDGETS, widget(f"w{index}"))
    token = (await widgets.ok("GET", WIDGETS, limit="1"))["metadata"]["continue"]
    for size in range(100):
        await widgets.ok("PATCH", f"{WIDGETS}/w0", {"spec": {"size": size}}, MERGE)
    reply = await widgets.call("GET", WIDGETS, **{"limit": "1", "continue": token})
    assert (reply.code, reply.body["reason"]) == (410, "Expired")
    watch = await widgets.call("GET", WIDGETS, watch="true", resourceVersion="2")
    assert (watch.code, watch.body["type"]) == (200, "ERROR"), "the request is understood: the rest are events"
    assert (watch.body["object"]["code"], watch.body["object"]["reason"]) == (410, "Expired")


async def test_a_list_at_an_exact_version(widgets: Api) -> None:
    created = await widgets.ok("POST", WIDGETS, widget("w"))
    version = created["metadata"]["resourceVersion"]
    await widgets.ok("DELETE", f"{WIDGETS}/w")
    then = await widgets.ok("GET", WIDGETS, resourceVersion=version, resourceVersionMatch="Exact")
    assert [item["metadata"]["name"] for item in then["items"]] == ["w"]


async def test_pages_of_a_selection_do_not_count_the_rest(widgets: Api) -> None:
    for index in range(6):
        await widgets.ok("POST", WIDGETS, widget(f"w{index}", labels={"even": str(index % 2 == 0)}))
    first = await widgets.ok("GET", WIDGETS, limit="2", labelSelector="even=True")
    assert "remainingItemCount" not in first["metadata"]
    token = first["metadata"]["continue"]
    last = await widgets.ok("GET", WIDGETS, **{"limit": "2", "labelSelector": "even=True", "continue": token})
    assert [item["metadata"]["name"] for item in last["items"]] == ["w4"]
    assert last["metadata"]["continue"] == ""


async def test_delete_collection_honours_finalizers(widgets: Api) -> None:
    await widgets.ok("POST", WIDGETS, widget("free"))
    await widgets.ok("POST", WIDGETS, widget("held", finalizers=["example.com/hold"]))
    await widgets.ok("DELETE", WIDGETS)
    left = (await widgets.ok("GET", WIDGETS))["items"]
    assert [item["metadata"]["name"] for item in left] == ["held"]
    assert left[0]["metadata"]["deletionTimestamp"]


async def test_a_second_version_shows_the_same_objects(widgets: Api) -> None:
    stored = await widgets.ok("GET", f"{CRDS}/widgets.example.com")
    versions = stored["spec"]["versions"]
    stored["spec"]["versions"] = [*versions, {**versions[0], "name": "v2", "storage": False}]
    await widgets.ok("PUT", f"{CRDS}/widgets.example.com", stored)
    await widgets.call("GET", WIDGETS)  # too early
    await widgets.ok("POST", WIDGETS, widget("w"))
    second = await widgets.ok("GET", f"{WIDGETS.replace('v1', 'v2')}/w")
    assert second["apiVersion"] == "example.com/v2"
    listed = await widgets.ok("GET", WIDGETS.replace("v1", "v2"))
    assert [item["apiVersion"] for item in listed["items"]] == ["example.com/v2"]
