"""``make demo``: the whole system; jobs submitted in three ways, shown live, checked in Kubernetes and the database.

Exits 0 only if every job ended as it should in both.
"""

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import yaml
from rich.console import Console
from rich.live import Live
from rich.table import Table

from controller.clock import SystemClock
from controller.domain.job import Job, parse
from controller.domain.phases import Phase
from controller.kube import paths
from controller.kube.client import KubeClient, items_of
from controller.ports import JobRef
from controller.providers.local.provider import LocalProvider
from controller.stores.sqlite import SqliteStore
from dev import stack as stacks
from dev.stack import ROOT, Stack, StackError

TENANT = "demo"
NAMESPACE = "default"
BATCH = 20
LIMIT_SECONDS = 60.0
STOP_SECONDS = 12.0
"""The runner gives a job ten seconds between SIGTERM and SIGKILL."""
SAMPLES = ("hello.yaml", "array.yaml", "environment.yaml")
_RPC = "/jennah.v1.DeploymentService/"
_STYLES = {
    Phase.RUNNING: "cyan", Phase.COMPLETED: "green", Phase.FAILED: "red", Phase.CANCELLED: "yellow",
}  # fmt: skip


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """How a job of the demo must end."""

    title: str
    via: str
    phase: Phase = Phase.COMPLETED
    exit_code: int | None = 0
    reason: str | None = None
    cancel: bool = False


async def run(ignored: Collection[str] = ()) -> int:
    """The demo; its exit code. `ignored`: the variables of the shell that do not count."""
    console = Console()
    if ignored:
        console.print(f"Ignored from the environment: {', '.join(ignored)}", highlight=False, soft_wrap=True)
    data_dir = _data_dir()
    log = (data_dir / "demo.log").open("w")
    stack = Stack(
        data_dir,
        api_port=stacks.free_port(stacks.port_from_environment("WORKER_PORT", 8081)),
        kube_port=stacks.free_port(stacks.port_from_environment("KUBE_API_PORT", 6443)),
        on_line=lambda line: print(line, file=log, flush=True),
    )
    began = time.monotonic()
    console.print("Starting the API server, the operator and the API ...")
    try:
        async with stack.running():
            console.print(f"API on {stack.api_url}, Kubernetes on https://127.0.0.1:{stack.kube_port}\n")
            fault = await _demonstrate(stack, console, began)
    except StackError as error:
        raise StackError(f"{error}\nThe log is {log.name}") from error
    except asyncio.CancelledError:  # Ctrl-C
        await _end_jobs(data_dir)
        shutil.rmtree(data_dir, ignore_errors=True)  # a runner may be writing its last state
        raise
    finally:
        log.close()
    if fault:
        console.print(f"[red]The demo failed:[/red] {fault}\nThe log is {log.name}", soft_wrap=True)
        await _end_jobs(data_dir)
        return 1
    shutil.rmtree(data_dir)
    return 0


def _data_dir() -> Path:
    """A new folder, in JENNAH_DATA_DIR where that is set. Raises StackError."""
    above = os.environ.get("JENNAH_DATA_DIR", "") or None
    try:
        if above:
            Path(above).mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="jennah-demo-", dir=above)).absolute()
    except OSError as error:
        raise StackError(f"no folder for the demo's state: {error}") from None


async def _end_jobs(data_dir: Path) -> None:
    """End what still runs: in a real installation jobs outlive the controller, in a demo nothing shall be left."""
    provider = LocalProvider(data_dir, "demo", SystemClock())
    names = [folder.name for folder in (data_dir / "local").glob("*")]
    refs = [JobRef(external_name=name, uid="") for name in names if not name.startswith(".")]
    for ref in refs:
        await provider.cancel(ref, reason="the demo was stopped")
    end = time.monotonic() + STOP_SECONDS
    while time.monotonic() < end:
        seen = await provider.observe(refs)
        if all(job.has_ended for job in seen.values()):
            return
        await asyncio.sleep(0.1)


async def _demonstrate(stack: Stack, console: Console, began: float) -> str:
    """Submit, watch, compare; what went wrong, or ""."""
    async with await stack.client() as kube, aiohttp.ClientSession(stack.api_url) as http:
        expected = await _submit_all(stack, http, kube, console)
        jobs = await _watch(http, kube, expected, console)
        faults = _compare(expected, jobs)
        faults += await _compare_record(stack, expected, jobs)
    if faults:
        return "\n  ".join(["", *faults])
    counts = ", ".join(
        f"{sum(e.phase is phase for e in expected.values())} {phase.value}"
        for phase in (Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED)
    )
    console.print(
        f"\n[green]All {len(expected)} jobs ended as they should, in Kubernetes and in the database:[/green] "
        f"{counts}, in {time.monotonic() - began:.1f} s.",
        soft_wrap=True,
    )
    return ""


# --- submitting, in three ways ---------------------------------------------------------------------------


async def _submit_all(
    stack: Stack, http: aiohttp.ClientSession, kube: KubeClient, console: Console
) -> dict[str, Expected]:
    """Every job of the demo, by its object's name."""
    expected = await _submit_by_curl(stack, http, console)
    expected |= await _apply_samples(stack, kube, console)
    console.print(f"A batch of {BATCH} through the API\n")
    names = await asyncio.gather(*(_submit(http, request) for request, _ in _batch()))
    return expected | {name: how for name, (_, how) in zip(names, _batch(), strict=True)}


async def _submit_by_curl(stack: Stack, http: aiohttp.ClientSession, console: Console) -> dict[str, Expected]:
    request = {"image_uri": "busybox:1.36", "name": "by-curl", "commands": ["sh", "-c", "echo hello; sleep 1"]}
    url, body = f"{stack.api_url}{_RPC}SubmitJob", json.dumps(request)
    headers = ["-H", "Content-Type: application/json", "-H", f"X-Tenant-Id: {TENANT}"]
    command = ["curl", "-q", "-sS", url, *headers, "-d", body]  # -q: ~/.curlrc does not count
    console.print(
        f"curl -s {url} \\\n  -H 'Content-Type: application/json' -H 'X-Tenant-Id: {TENANT}' \\\n  -d '{body}'",
        markup=False,
        soft_wrap=True,
        highlight=False,
    )
    how = Expected(title="by-curl", via="curl")
    if not shutil.which("curl"):
        return {await _submit(http, request): how}
    reply = await _output(*command)
    console.print(reply, markup=False, soft_wrap=True, highlight=False)
    try:
        return {json.loads(reply)["jobId"]: how}
    except (ValueError, KeyError):
        raise StackError(f"SubmitJob by curl was refused: {reply}") from None


async def _apply_samples(stack: Stack, kube: KubeClient, console: Console) -> dict[str, Expected]:
    """By kubectl where it is installed, else by the request that ``kubectl apply --server-side`` makes."""
    expected = {}
    for file in SAMPLES:
        path = ROOT / "manifests" / "samples" / file
        shown = str(path.relative_to(ROOT))  # kubectl takes a comma for the end of a path
        console.print(f"kubectl apply -f {shown}", highlight=False)
        if shutil.which("kubectl"):
            reply = await _output("kubectl", "--kubeconfig", str(stack.kubeconfig.absolute()), "apply", "-f", shown)
            console.print(reply.rstrip(), highlight=False)
        for document in yaml.safe_load_all(path.read_text()):
            if not shutil.which("kubectl"):
                await _apply(kube, document)
            if document["kind"] == "JennahJob":
                name = document["metadata"]["name"]
                expected[name] = Expected(title=name, via="kubectl")
    return expected


async def _apply(kube: KubeClient, document: Mapping[str, Any]) -> None:
    version, plural = document["apiVersion"], f"{document['kind'].lower()}s"
    root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    path = f"{root}/namespaces/{NAMESPACE}/{plural}/{document['metadata']['name']}"
    query = {"fieldManager": "demo", "force": "true"}
    await kube.call("PATCH", path, body=dict(document), content_type="application/apply-patch+yaml", query=query)


def _batch() -> Sequence[tuple[Mapping[str, object], Expected]]:
    """The 20 requests, and how each must end."""
    batch: list[tuple[Mapping[str, object], Expected]] = [
        (
            _request("exits-with-3", "echo about to fail; exit 3"),
            Expected(title="exits-with-3", via="API", phase=Phase.FAILED, exit_code=3, reason="NonZeroExitCode"),
        ),
        (
            _request("cancelled", "sleep 300"),
            Expected(title="cancelled", via="API", phase=Phase.CANCELLED, exit_code=None, cancel=True),
        ),
        (
            _request("too-slow", "sleep 300", resource_override={"max_run_duration_seconds": 3}),
            Expected(title="too-slow", via="API", phase=Phase.FAILED, exit_code=None, reason="DeadlineExceeded"),
        ),
        (
            _request("distributed", "sleep 1", env_vars={"JENNAH_TASK_COUNT": "6", "JENNAH_PARALLELISM": "2"}),
            Expected(title="distributed", via="API"),
        ),
    ]
    for number in range(BATCH - len(batch)):
        title = f"batch-{number:02}"
        batch.append((_request(title, f"sleep {1 + number % 4}"), Expected(title=title, via="API")))
    return batch


def _request(name: str, script: str, **more: object) -> Mapping[str, object]:
    return {"image_uri": "busybox:1.36", "name": name, "commands": ["sh", "-c", script], **more}


async def _submit(http: aiohttp.ClientSession, request: Mapping[str, object]) -> str:
    return str((await _call(http, "SubmitJob", request))["jobId"])


async def _call(http: aiohttp.ClientSession, method: str, request: Mapping[str, object]) -> dict[str, object]:
    async with http.post(_RPC + method, json=request, headers={"X-Tenant-Id": TENANT}) as response:
        reply: dict[str, object] = await response.json()
        if response.status != 200:
            raise StackError(f"{method} was refused: {reply}")
        return reply


async def _output(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise StackError(f"{command[0]} failed: {output.decode()}")
    return output.decode()


# --- watching --------------------------------------------------------------------------------------------


async def _watch(
    http: aiohttp.ClientSession, kube: KubeClient, expected: Mapping[str, Expected], console: Console
) -> dict[str, Job]:
    """Redraw until all have ended or the time is over; cancel what is to be cancelled once it runs."""
    end = time.monotonic() + LIMIT_SECONDS
    to_cancel = {name for name, how in expected.items() if how.cancel}
    jobs: dict[str, Job] = {}
    with Live(console=console, auto_refresh=False) as live:
        while time.monotonic() < end:
            listed = items_of(await kube.get(paths.jobs(NAMESPACE)))
            jobs = {job.spec.job_id or job.metadata.name: job for job in map(parse, listed)}
            live.update(_table(expected, jobs), refresh=True)
            if all(name in jobs and jobs[name].is_finished for name in expected):
                break
            for name in [n for n in to_cancel if n in jobs and jobs[n].status.phase is Phase.RUNNING]:
                to_cancel.discard(name)
                await _call(http, "CancelJob", {"job_id": name})
            await asyncio.sleep(0.25)
    return jobs


def _table(expected: Mapping[str, Expected], jobs: Mapping[str, Job]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("JOB", "VIA", "PROGRESS", "PHASE", "DURATION", "EXIT", "REASON"):
        table.add_column(column, justify="right" if column in ("DURATION", "EXIT") else "left")
    for name, how in expected.items():
        job = jobs.get(name)
        status = job.status if job else None
        phase = status.phase if status else None
        table.add_row(
            how.title,
            how.via,
            _progress(job),
            f"[{_STYLES.get(phase, 'default')}]{phase.value}[/]" if phase else "",
            _duration(job),
            str(status.exit_code) if status and status.exit_code is not None else "",
            (status.reason or "") if status and status.phase is Phase.FAILED else "",
        )
    return table


def _progress(job: Job | None) -> str:
    tasks = job.status.tasks if job else None
    if tasks is None or not tasks.total:
        return "·" * 8
    done = round(8 * (tasks.succeeded + tasks.failed) / tasks.total)
    return "█" * done + "·" * (8 - done) + f" {tasks.succeeded}/{tasks.total}"


def _duration(job: Job | None) -> str:
    if job is None or job.status.started_at is None:
        return ""
    end = job.status.completed_at or datetime.now(UTC)
    return f"{(end - job.status.started_at).total_seconds():.1f} s"


# --- checking --------------------------------------------------------------------------------------------


def _compare(expected: Mapping[str, Expected], jobs: Mapping[str, Job]) -> list[str]:
    faults = []
    for name, how in expected.items():
        status = jobs[name].status if name in jobs else None
        if status is None or status.phase is not how.phase:
            phase = status.phase if status else "nothing"
            faults.append(f"{how.title}: {phase} in Kubernetes, should be {how.phase}: {status and status.message}")
        elif how.exit_code is not None and status.exit_code != how.exit_code:
            faults.append(f"{how.title}: exit code {status.exit_code}, should be {how.exit_code}")
        elif how.reason and status.reason != how.reason:
            faults.append(f"{how.title}: reason {status.reason}, should be {how.reason}")
    return faults


async def _compare_record(stack: Stack, expected: Mapping[str, Expected], jobs: Mapping[str, Job]) -> list[str]:
    """What the database says of each job, read past the API and the operator."""
    store = SqliteStore(stack.database)
    await store.open()
    try:
        faults = []
        for name, how in expected.items():
            if name not in jobs:
                continue
            status = jobs[name].status
            row = await store.get_job(status.tenant_id or "", status.job_id or "")
            found = row.status if row else "nothing"
            if row is None or row.status is not how.phase:
                faults.append(f"{how.title}: {found} in the database, should be {how.phase}")
        return faults
    finally:
        await store.close()
