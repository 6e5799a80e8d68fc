"""The whole operator in this process, and a Kubernetes API that fails in every way: it lives on, and says each once."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web

from controller import databases, handlers, logs, watching
from controller.backoff import Backoff
from controller.clock import SystemClock
from controller.domain.phases import Phase
from controller.kube import client as client_module
from controller.kube import paths
from controller.kube.client import KubeClient
from controller.kube.lease import KubeLease
from controller.main import Controller
from controller.settings import read_operator
from controller.watching import Watch
from tests.controller.fakes import FakeProvider
from tests.faulty_kube import HANG, FaultyKube, faulty_kube, is_watch, status

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
LIMIT = 30.0


class Operator:
    """`controller.main` without its start: the watch and the controller, through the faulty connection."""

    def __init__(self, front: FaultyKube, folder: Path) -> None:
        self.front = front
        self.provider = FakeProvider()
        self.watch: Watch
        self._folder = folder
        self._jobs = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Operator"]:
        settings = read_operator(
            {
                "BATCH_PROVIDER": "local",
                "JENNAH_ALLOW_LOCAL_PROVIDER": "true",
                "DB_PROVIDER": "sqlite",
                "JENNAH_DATA_DIR": str(self._folder),
                "WORKER_LEASE_TTL_SECONDS": "6",
                "WORKER_CLAIM_INTERVAL_SECONDS": "0.2",
                "OBSERVE_MIN_SECONDS": "0.05",
                "OBSERVE_MAX_SECONDS": "0.1",
            }
        )
        store = databases.make_store(settings.common.database)
        await store.open()
        configuration = self.front.configuration
        async with KubeClient(configuration) as client, KubeClient(configuration) as leases:
            lease = KubeLease(leases, "default", "jennah-controller")
            controller = Controller(
                settings, client=client, lease=lease, store=store, provider=self.provider, clock=SystemClock()
            )
            reconciler = controller.reconciler
            self.watch = Watch(configuration, (), upsert=reconciler.upsert, remove=reconciler.remove)
            async with watching.watching(self.watch), controller.running():
                yield self
        await store.close()

    async def run_a_job(self) -> None:
        """From its creation, past the faults, to its end."""
        name = await self.create()
        await self.until_phase(name, Phase.SCHEDULED)
        self.provider.move(Phase.COMPLETED, exit_code=0)
        await self.until_phase(name, Phase.COMPLETED)
        assert len(self.provider.submissions) == self._jobs, "each once"

    async def create(self) -> str:
        self._jobs += 1
        name = f"job-{self._jobs}"
        body = {"apiVersion": "jennah.alphaus.cloud/v1", "kind": "JennahJob", "metadata": {"name": name}}
        await self.front.client.post(paths.jobs("default"), {**body, "spec": {"image": "i"}})
        return name

    async def until_phase(self, name: str, phase: Phase) -> None:
        async def has_it() -> bool:
            found = await self.front.client.get(paths.job("default", name))
            return found.get("status", {}).get("phase") == phase.value

        await eventually(has_it)


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT):
        while True:
            found = condition()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.02)


class Lines(logging.Handler):
    """What the operator says."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("controller.") or record.levelno >= logging.WARNING:
            self.lines.append(f"{record.levelname} {record.getMessage()}")

    def count(self, text: str) -> int:
        return sum(text in line for line in self.lines)


@pytest.fixture
def said() -> AsyncIterator[Lines]:
    logs.drop_unwanted()
    handler, root = Lines(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses in proportion: what is tested is that they are made, not how long they are."""
    monkeypatch.setattr(watching, "BACKOFF", Backoff(first=0.05, cap=0.2))
    monkeypatch.setattr(handlers, "PAUSES", Backoff(first=0.05, cap=0.2))
    monkeypatch.setattr(handlers, "SILENCE_SECONDS", 1.0)
    monkeypatch.setattr(client_module, "TIMEOUT_SECONDS", 1.0)


@pytest.fixture
async def operator(tmp_path: Path, said: Lines) -> AsyncIterator[Operator]:
    """One that leads, and has run a job."""
    async with faulty_kube(tmp_path / "kube") as front, Operator(front, tmp_path).running() as made:
        await asyncio.wait_for(made.watch.ready.wait(), LIMIT)
        await made.run_a_job()
        yield made
    faults = [line for line in said.lines if "unexpected" in line or "Traceback" in line or line.startswith("ERROR")]
    assert not faults, said.lines


async def test_an_api_server_that_is_down_is_told_once_and_found_again(operator: Operator, said: Lines) -> None:
    jobs = [await operator.create() for _ in range(20)]
    for name in jobs:
        await operator.until_phase(name, Phase.SCHEDULED)
    await operator.front.down()
    operator.provider.move(Phase.RUNNING)  # so that all have something to write
    await eventually(lambda: said.count("no longer leading"))  # the lease runs out: minutes would be no different
    operator.provider.move(Phase.COMPLETED, exit_code=0)
    await operator.front.up()
    for name in jobs:
        await operator.until_phase(name, Phase.COMPLETED)
    await operator.run_a_job()
    for line in ("the lease answers again", "the watch reaches", "no longer leading"):
        assert said.count(line) == 1, said.lines
    # Connections break at first, and are refused then: a line each.
    assert all(1 <= said.count(line) <= 2 for line in ("the lease: ", "the watch: ")), said.lines
    assert said.count("leading as") == 2
    assert 1 <= said.count("next try in") <= 3, "not one a job"


@pytest.mark.parametrize("code", [429, 500, 503])
async def test_writes_that_are_refused_for_a_while_are_repeated(operator: Operator, said: Lines, code: int) -> None:
    left = 12

    def rule(request: web.BaseRequest) -> web.Response | None:
        nonlocal left
        if request.method == "GET" or "/leases" in request.path or not left:
            return None
        left -= 1
        return status(code, "Trouble", **({"Retry-After": "0"} if code == 429 else {}))

    operator.front.rule = rule
    names = [await operator.create() for _ in range(3)]
    for name in names:
        await operator.until_phase(name, Phase.SCHEDULED)
    assert left == 0
    assert said.count("Trouble on purpose") == 1, said.lines
    await operator.run_a_job()


@pytest.mark.parametrize("code", [403, 410, 429, 500])
async def test_a_watch_that_is_refused_is_made_again_with_pauses(operator: Operator, said: Lines, code: int) -> None:
    refused, times = 0, 2 if code == 410 else 8  # that one ends kopf, which takes 5 s of it each time

    def rule(request: web.BaseRequest) -> web.Response | None:
        nonlocal refused
        if not is_watch(request) or refused == times:
            return None
        refused += 1
        return status(code, "Trouble")

    operator.front.rule = rule
    operator.front.drop_watches()
    await eventually(lambda: refused == times and said.count("INFO the watch"))
    await operator.run_a_job()
    assert said.count("WARNING the watch") == 1, said.lines
    assert said.count("INFO the watch") == 1, said.lines


async def test_a_watch_that_is_too_old_lists_anew(operator: Operator, said: Lines) -> None:
    def rule(request: web.BaseRequest) -> web.Response | None:
        if not is_watch(request) or rule.is_over:
            return None
        rule.is_over = True
        gone = '{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n'
        return web.Response(text=gone, content_type="application/json")

    rule.is_over = False
    operator.front.rule = rule
    operator.front.drop_watches()
    await operator.run_a_job()
    assert rule.is_over
    assert not said.count("the watch"), "that is everyday life"


async def test_dropped_watches_lose_no_event(operator: Operator, said: Lines) -> None:
    for _ in range(5):
        operator.front.drop_watches()
        await operator.run_a_job()


async def test_a_watch_that_hangs_is_left_for_another(operator: Operator) -> None:
    hanging = 0

    def rule(request: web.BaseRequest) -> str | None:
        nonlocal hanging
        if not is_watch(request) or hanging == 2:
            return None
        hanging += 1
        return HANG

    operator.front.rule = rule
    operator.front.drop_watches()
    await operator.run_a_job()
    assert hanging == 2


async def test_calls_that_hang_end_within_their_limit_and_cost_no_other_job_its_turn(operator: Operator) -> None:
    hanging = await operator.create()

    def rule(request: web.BaseRequest) -> str | None:
        return HANG if f"/{hanging}/" in request.path else None

    operator.front.rule = rule
    other = await operator.create()
    await operator.until_phase(other, Phase.SCHEDULED)
    sent = {request.external_name.rpartition("-")[0] for request in operator.provider.submissions}
    assert other in sent and hanging not in sent, "nothing is sent before it is written down where it goes"
    operator.front.rule = lambda request: None
    await operator.until_phase(hanging, Phase.SCHEDULED)
    operator.provider.move(Phase.COMPLETED, exit_code=0)
    for name in (other, hanging):
        await operator.until_phase(name, Phase.COMPLETED)
    assert len({request.uid for request in operator.provider.submissions}) == len(operator.provider.submissions) == 3


async def test_a_crd_that_comes_later_or_comes_back_is_watched_then(
    tmp_path: Path, said: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LIST_WITHIN_SECONDS", 1.5)
    async with faulty_kube(tmp_path / "kube") as front:
        name = "jennahjobs.jennah.alphaus.cloud"
        crd = await front.client.get(f"{CRDS}/{name}")
        for field in ("resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"):
            crd["metadata"].pop(field, None)
        crd.pop("status", None)
        await front.client.delete(f"{CRDS}/{name}")
        async with Operator(front, tmp_path).running() as operator:
            await eventually(lambda: said.count("there is nothing to watch"))
            assert not operator.watch.ready.is_set()
            starts = front.count(lambda method, path, _: path == "/apis")
            await eventually(lambda: front.count(lambda method, path, _: path == "/apis") >= starts + 2)
            assert said.count("there is nothing to watch") == 1
            await front.client.post(CRDS, crd)
            await operator.run_a_job()
            await front.client.delete(f"{CRDS}/{name}")
            await eventually(lambda: said.count("the watch ended and is started again") >= 2)
            await front.client.post(CRDS, crd)
            await operator.run_a_job()


async def test_a_resource_that_is_not_served_for_a_while_costs_no_object(operator: Operator, said: Lines) -> None:
    """As where an API server, or what stands before it, begins to answer before it knows the CRD."""
    name = await operator.create()
    await operator.until_phase(name, Phase.SCHEDULED)
    answered = 0

    def rule(request: web.BaseRequest) -> web.Response | None:
        nonlocal answered
        if "/jennahjobs/" not in request.path or answered == 4:
            return None
        answered += 1
        return web.Response(status=404, text="404 page not found\n")

    operator.front.rule = rule
    operator.provider.move(Phase.COMPLETED, exit_code=0)
    await operator.until_phase(name, Phase.COMPLETED)
    assert answered == 4
    assert said.count("is the JennahJob CRD installed") == 1


async def test_a_token_that_is_refused_is_asked_for_anew_with_pauses(operator: Operator, said: Lines) -> None:
    refused = 0

    def rule(request: web.BaseRequest) -> web.Response | None:
        nonlocal refused
        if not is_watch(request) or refused == 10:
            return None
        refused += 1
        return status(401, "Unauthorized")

    operator.front.rule = rule
    operator.front.drop_watches()
    await operator.run_a_job()
    assert refused == 10
    assert said.count("the watch: ") == 1
    assert said.count("the watch reaches") == 1
