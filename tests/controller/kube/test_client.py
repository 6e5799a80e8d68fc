"""The client's errors: what a reply of the API server, or none, becomes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client as kube

from controller import permission
from controller.domain.errors import (
    AlreadyExists,
    Conflict,
    Invalid,
    JennahError,
    NotFound,
    NotLeading,
    Throttled,
    Unavailable,
)
from controller.kube import client as client_module
from controller.kube import kubeconfigs
from controller.kube.client import KubeClient, load_configuration

Reply = Callable[[web.Request], Awaitable[web.Response]]


class Setting:
    def __init__(self) -> None:
        self.reply: Reply = self.ok
        self.seen: list[web.Request] = []

    async def ok(self, request: web.Request) -> web.Response:
        return web.json_response({"kind": "Thing"})

    async def handle(self, request: web.Request) -> web.Response:
        self.seen.append(request)
        return await self.reply(request)

    def answer(self, status: int, reason: str = "", **headers: str) -> None:
        async def reply(request: web.Request) -> web.Response:
            body = {"kind": "Status", "reason": reason, "message": f"{reason} message", "details": {"name": "x"}}
            return web.json_response(body, status=status, headers=headers)

        self.reply = reply


@pytest.fixture
async def setting() -> AsyncIterator[tuple[Setting, KubeClient]]:
    made = Setting()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    async with TestServer(app) as server:
        configuration = kube.Configuration(host=str(server.make_url("")).rstrip("/"))
        configuration.api_key["BearerToken"] = "Bearer abc"
        async with KubeClient(configuration) as client:
            yield made, client


@pytest.mark.parametrize(
    ("status", "reason", "error"),
    [
        (404, "NotFound", NotFound),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (422, "Invalid", Invalid),
        (400, "BadRequest", Invalid),
        (401, "Unauthorized", Unavailable),
        (403, "Forbidden", Unavailable),
        (429, "TooManyRequests", Throttled),
        (500, "InternalError", Unavailable),
        (503, "ServiceUnavailable", Unavailable),
        (504, "Timeout", Unavailable),
    ],
)
async def test_each_status_becomes_our_error(
    setting: tuple[Setting, KubeClient], status: int, reason: str, error: type[Exception]
) -> None:
    made, client = setting
    made.answer(status, reason)
    with pytest.raises(error, match=f"{reason} message"):
        await client.get("/x")


@pytest.mark.parametrize(
    "reply",
    [
        web.Response(status=404, text="404 page not found\n"),
        web.json_response({"kind": "Status", "reason": "NotFound", "message": "no such resource"}, status=404),
    ],
    ids=["as an API server", "as what stands before it"],
)
async def test_a_resource_that_is_not_served_is_an_outage_and_says_nothing_of_its_objects(
    setting: tuple[Setting, KubeClient], reply: web.Response
) -> None:
    made, client = setting

    async def answer(request: web.Request) -> web.Response:
        return reply

    made.reply = answer
    with pytest.raises(Unavailable, match="is the JennahJob CRD installed"):
        await client.get("/x")


async def test_a_throttled_call_waits_as_long_as_the_server_says(setting: tuple[Setting, KubeClient]) -> None:
    made, client = setting
    made.answer(429, "TooManyRequests", **{"Retry-After": "7"})
    with pytest.raises(Throttled) as caught:
        await client.get("/x")
    assert caught.value.delay == 7


@pytest.mark.parametrize(("value", "seconds"), [("86400", 60), ("0", 0), ("Wed, 21 Oct 2026 07:28:00 GMT", 1), ("", 1)])
async def test_a_pause_is_never_longer_than_a_minute_and_a_second_where_it_cannot_be_read(
    setting: tuple[Setting, KubeClient], value: str, seconds: float
) -> None:
    made, client = setting
    made.answer(429, "TooManyRequests", **{"Retry-After": value})
    with pytest.raises(Throttled) as caught:
        await client.get("/x")
    assert caught.value.delay == seconds


@pytest.mark.parametrize("status", [500, 503, 504])
async def test_an_outage_that_says_how_long_it_lasts_is_one_all_the_same(
    setting: tuple[Setting, KubeClient], status: int
) -> None:
    """As an API server that stops, or whose etcd does not answer: it asks for no fewer calls."""
    made, client = setting
    made.answer(status, "ServiceUnavailable", **{"Retry-After": "2"})
    with pytest.raises(Unavailable) as caught:
        await client.get("/x")
    assert caught.value.delay == 2


async def test_an_outage_reads_the_same_for_every_object_and_a_refusal_names_it(
    setting: tuple[Setting, KubeClient],
) -> None:
    made, client = setting
    said = {}
    for status in (500, 503, 429, 403, 404):
        made.answer(status, "Trouble")
        texts = []
        for path in ("/one", "/other"):
            with pytest.raises(JennahError) as caught:
                await client.get(path)
            texts.append(str(caught.value))
        said[status] = texts[0] == texts[1]
    assert said == {500: True, 503: True, 429: True, 403: False, 404: False}


async def test_a_reply_that_is_no_json_is_told_shortly(setting: tuple[Setting, KubeClient]) -> None:
    made, client = setting

    async def html(request: web.Request) -> web.Response:
        return web.Response(status=502, text="<html>bad gateway</html>" * 100)

    made.reply = html
    with pytest.raises(Unavailable) as caught:
        await client.get("/x")
    assert len(str(caught.value)) < 400


async def test_a_server_that_does_not_answer_is_unavailable_within_the_limit(
    setting: tuple[Setting, KubeClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, client = setting
    monkeypatch.setattr(client_module, "TIMEOUT_SECONDS", 0.05)
    done = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await done.wait()
        return web.Response()

    made.reply = hang
    with pytest.raises(Unavailable, match="Timeout"):
        await client.get("/x")
    done.set()


async def test_the_token_is_sent_and_never_in_an_error(setting: tuple[Setting, KubeClient]) -> None:
    made, client = setting
    made.answer(500, "InternalError")
    with pytest.raises(Unavailable) as caught:
        await client.get("/x")
    assert made.seen[0].headers["Authorization"] == "Bearer abc"
    assert "abc" not in str(caught.value)


async def test_patches_are_sent_as_merge_patches_and_deletes_with_their_uid(
    setting: tuple[Setting, KubeClient],
) -> None:
    made, client = setting
    bodies = []

    async def keep(request: web.Request) -> web.Response:
        bodies.append((request.method, request.content_type, await request.json()))
        return web.json_response({})

    made.reply = keep
    await client.merge_patch("/x", {"a": 1})
    await client.delete("/x", uid="u")
    assert bodies[0] == ("PATCH", "application/merge-patch+json", {"a": 1})
    assert bodies[1][2]["preconditions"] == {"uid": "u"}


async def test_text_that_is_no_unicode_is_sent_escaped(setting: tuple[Setting, KubeClient]) -> None:
    made, client = setting
    bodies = []

    async def keep(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.json_response({})

    made.reply = keep
    await client.post("/x", {"message": "broken \udc80 text"})
    assert bodies == [b'{"message": "broken \\udc80 text"}']


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, r"no Kubernetes configuration: /\S+/mine does not exist$"),
        ("kind: Config\n", r"no Kubernetes configuration: /\S+/mine is not usable \(.*current-context"),
        ("no mapping", r"no Kubernetes configuration: /\S+/mine is not usable \("),
        ("a: b: c", r"no Kubernetes configuration: /\S+/mine is not usable \("),
    ],
)
async def test_a_kubeconfig_that_cannot_be_used_is_named(
    content: str | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(Unavailable, match=words):
        await load_configuration()


@pytest.mark.parametrize(
    ("context", "namespace"),
    [
        ("{cluster: c, user: u, namespace: team-a}", "team-a"),
        ("{cluster: c, user: u}", "default"),
        ("{cluster: c, user: u, namespace: }", "default"),
    ],
)
def test_the_namespace_is_that_of_the_context_as_with_kubectl(
    context: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine"
    others = "clusters: [{name: c, cluster: {server: s}}]\nusers: [{name: u, user: {}}]"
    path.write_text(f"kind: Config\ncurrent-context: x\ncontexts: [{{name: x, context: {context}}}]\n{others}\n")
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert kubeconfigs.namespace() == namespace


@pytest.mark.parametrize("content", [None, "no mapping", "kind: Config\n"])
def test_a_kubeconfig_without_a_context_means_the_namespace_default(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert kubeconfigs.namespace() == "default"


async def test_without_any_configuration_the_error_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(Unavailable, match=r"no KUBECONFIG, no ~/\.kube/config, and this is no pod"):
        await load_configuration()


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
async def test_a_change_that_waited_for_a_connection_asks_again_before_it_is_sent(method: str) -> None:
    """Leadership may have ended meanwhile. What only reads is sent all the same."""
    made, leads, answered = Setting(), asyncio.Event(), asyncio.Event()
    leads.set()

    def ask() -> None:
        if not leads.is_set():
            raise NotLeading("no longer")

    async def late(request: web.Request) -> web.Response:
        await answered.wait()
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    async with TestServer(app) as server:
        configuration = kube.Configuration(host=str(server.make_url("")).rstrip("/"))
        async with KubeClient(configuration, connections=1) as client:
            made.reply = late
            before = asyncio.create_task(client.get("/before"))
            while not made.seen:
                await asyncio.sleep(0.001)
            with permission.asked_of(ask):
                waiting = asyncio.create_task(client.call(method, "/change", body={}))
                reading = asyncio.create_task(client.get("/read"))
                await asyncio.sleep(0)
            leads.clear()
            answered.set()
            assert await before == await reading == {}
            with pytest.raises(NotLeading):
                await waiting
            assert [one.path for one in made.seen] == ["/before", "/read"]
            leads.set()
            with permission.asked_of(ask):
                assert await client.call(method, "/change", body={}) == {}
