"""Proxies: the rules of kubectl, and each client as it really connects, with a proxy that writes down what comes."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from google.cloud import batch_v1
from kubernetes.aio.client import Configuration

from controller import proxies
from controller.clock import SystemClock
from controller.cloud_settings import AwsSettings
from controller.handlers import log_in
from controller.kube.client import KubeClient
from controller.kube.watch_trace import WatchTrace
from controller.providers.aws.connection import AwsConnection
from controller.providers.azure import clients as azure
from controller.providers.gcp import clients as gcp
from controller.stores.cosmosdb import CosmosStore
from controller.stores.dynamodb import DynamoStore
from controller.stores.spanner import SpannerStore
from tests.recorder import Recorder

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
KEY = "bm90IGEgc2VjcmV0"
SECONDS = 20.0
ELSEWHERE = "nowhere.example:8080"


# --- rules -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "variables", "expected"),
    [
        ("https://a.example", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://a.example", {"https_proxy": "http://p:1"}, "http://p:1"),
        ("https://a.example", {"HTTPS_PROXY": "p:1"}, "http://p:1"),
        ("https://a.example", {"HTTPS_PROXY": "http://upper:1", "https_proxy": "http://lower:1"}, "http://upper:1"),
        ("https://a.example", {"HTTP_PROXY": "http://p:1"}, None),
        ("http://a.example", {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        ("http://a.example", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://a.example", {"ALL_PROXY": "http://p:1", "all_proxy": "http://p:1"}, None),
        ("https://a.example", {}, None),
        ("no url at all", {"HTTP_PROXY": "http://p:1"}, None),
        ("https://host:no-port", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://[::1", {"HTTPS_PROXY": "http://p:1"}, None),
    ],
)
def test_the_variable_of_the_scheme_counts(url: str, variables: dict[str, str], expected: str | None) -> None:
    assert proxies.for_url(url, variables) == expected


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "[::1]", "[::ffff:127.0.0.1]", "localhost."]
)
def test_loopback_has_no_proxy(host: str) -> None:
    assert proxies.for_url(f"https://{host}:6443", {"HTTPS_PROXY": "http://p:1"}) is None


@pytest.mark.parametrize(
    ("entry", "is_direct", "is_proxied"),
    [
        ("a.example", ["a.example", "b.a.example", "A.EXAMPLE"], ["ba.example", "example"]),
        (".a.example", ["b.a.example"], ["a.example"]),
        ("*.a.example", ["b.a.example"], ["a.example"]),
        ("b.example, a.example", ["a.example", "b.example"], ["c.example"]),
        ("*", ["a.example", "10.1.2.3"], []),
        ("10.0.0.0/8", ["10.1.2.3"], ["11.1.2.3", "a.example"]),
        ("fd00::/8", ["[fd00::1]"], ["[fe80::1]", "10.1.2.3"]),
        ("10.1.2.3", ["10.1.2.3"], ["10.1.2.30"]),
        ("fd00::1,[fd00::2]", ["[fd00::1]", "[fd00::2]"], ["[fd00::3]"]),
        ("a.example:443", ["a.example"], ["a.example:8443"]),
        ("[fd00::1]:8443", ["[fd00::1]:8443"], ["[fd00::1]"]),
        ("10.0.0.0/99,,", [], ["10.0.0.0", "a.example"]),
    ],
)
def test_no_proxy_reads_as_kubectl_reads_it(entry: str, is_direct: list[str], is_proxied: list[str]) -> None:
    variables = {"HTTPS_PROXY": "http://p:1", "no_proxy": entry}
    assert [host for host in is_direct if proxies.for_url(f"https://{host}", variables)] == []
    assert [host for host in is_proxied if not proxies.for_url(f"https://{host}", variables)] == []


def test_libraries_that_read_the_variables_find_the_same_in_each_spelling() -> None:
    variables = {"HTTPS_PROXY": "p:1", "http_proxy": "http://q:2", "all_proxy": "http://r:3", "no_proxy": "a.example"}
    proxies.settle(variables)
    assert variables["HTTPS_PROXY"] == variables["https_proxy"] == "http://p:1"
    assert variables["HTTP_PROXY"] == variables["http_proxy"] == "http://q:2"
    assert variables["NO_PROXY"] == variables["no_proxy"] == "a.example,localhost,127.0.0.1,::1,[::1]"
    assert "all_proxy" not in variables


def test_a_server_that_only_a_network_excepts_is_named_for_them_once() -> None:
    variables = {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}
    for _ in range(2):
        proxies.agree("https://10.1.2.3:8000/x", variables)
        proxies.agree("https://11.1.2.3", variables)
        proxies.agree(None, variables)
    assert variables["NO_PROXY"] == "10.0.0.0/8,10.1.2.3"


def test_without_a_proxy_nothing_is_written() -> None:
    variables = {"PATH": "/bin"}
    proxies.settle(variables)
    proxies.agree("http://127.0.0.2", variables)
    assert variables == {"PATH": "/bin"}


# --- each client -------------------------------------------------------------------------------------------


async def kubernetes(url: str) -> None:
    async with KubeClient(Configuration(host=url)) as client:
        await client.get("/version")


async def kopf(url: str) -> None:
    found = await log_in(Configuration(host=url), WatchTrace(listing=lambda _: None, watching=lambda _: None))
    async with found.aiohttp_session as session:
        await session.get(f"{url}/version")


async def gcp_by_rest(url: str) -> None:
    await _gcp(url)


async def gcp_by_grpc(url: str) -> None:
    await _gcp(url.partition("://")[2])


async def _gcp(endpoint: str) -> None:
    client = await gcp.make(endpoint)
    try:
        await client.get_job(batch_v1.GetJobRequest(name="projects/p/locations/l/jobs/j"))
    finally:
        await client.close()


async def aws(url: str) -> None:
    rates = {"calls_per_second": 100.0, "submits_per_second": 100.0}
    settings = AwsSettings(region="eu-west-1", instance="test", job_queue="q", endpoint=url, **rates)
    connection = AwsConnection(settings, SystemClock())
    try:
        await connection.submit({"jobName": "a", "jobQueue": "q", "jobDefinition": "d"}, None)
    finally:
        await connection.close()


async def azure_batch(url: str) -> None:
    client = azure.Client("account", url, KEY)
    try:
        await client.batch.get_job("j")
    finally:
        await client.close()


async def dynamodb(url: str) -> None:
    await _open(DynamoStore("eu-west-1", "table", endpoint=url))


async def cosmosdb(url: str) -> None:
    await _open(CosmosStore(url, "jennah", key=KEY))


async def spanner(url: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPANNER_EMULATOR_HOST", url.partition("://")[2])
        store = SpannerStore("p", "i", "d", call_seconds=1)
        await _open(store)


async def _open(store: DynamoStore | CosmosStore | SpannerStore) -> None:
    try:
        await store.open()
    finally:
        await store.close()


CLIENTS = [kubernetes, kopf, gcp_by_rest, gcp_by_grpc, aws, azure_batch, dynamodb, cosmosdb, spanner]


@pytest.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Recorder]:
    """It is named by the upper-case variables alone, and nothing is excepted."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    async with Recorder("127.0.0.1").running() as recorder:
        for name in (*NAMES, *map(str.lower, NAMES)):
            monkeypatch.setenv(name, "")  # so that each is as before afterwards
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://{recorder.address}")
        proxies.settle()
        yield recorder


async def until_heard(client: Callable[[str], Awaitable[None]], url: str, recorder: Recorder) -> None:
    """Let the client call until the recorder has heard of it."""

    async def call() -> None:
        with contextlib.suppress(Exception):  # 503 is an error of another kind for each
            await client(url)

    task = asyncio.create_task(call())
    async with asyncio.timeout(SECONDS):
        await recorder.has_any.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("client", CLIENTS)
async def test_another_machine_is_reached_through_the_proxy(
    client: Callable[[str], Awaitable[None]], proxy: Recorder
) -> None:
    await until_heard(client, f"http://{ELSEWHERE}", proxy)
    assert all(ELSEWHERE in line for line in proxy.lines), proxy.lines


def is_there(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe, contextlib.suppress(OSError):
        probe.bind((host, 0))
        return True
    return False


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2", "::1"])
@pytest.mark.parametrize("client", CLIENTS)
async def test_loopback_is_reached_directly(
    client: Callable[[str], Awaitable[None]], host: str, proxy: Recorder
) -> None:
    if host != "localhost" and not is_there(host):
        pytest.skip(f"this machine has no {host}")
    async with Recorder(host).running() as server:
        await until_heard(client, f"http://{server.address}", server)
    assert proxy.lines == []
