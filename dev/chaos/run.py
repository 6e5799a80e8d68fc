"""One run: everything is started, jobs are submitted, a hand breaks things, and then three ledgers are compared."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import msgspec

from controller.domain.job import Job
from controller.domain.records import NotificationRow
from controller.stores.postgres import PostgresStore
from dev.chaos import rest
from dev.chaos.hand import Hand
from dev.chaos.ledgers import Circumstances, Record, Verdict, cloud_ledger, compare
from dev.chaos.links import Link
from dev.chaos.members import Member, lines_about, lines_of
from dev.chaos.plan import Plan
from dev.chaos.servers import Servers
from dev.chaos.workload import TENANT, Workload
from dev.stack import free_port

Say = Callable[[str], None]

TTL_SECONDS = 3
"""Of the lease: short, so that there are many takeovers in a run."""
MISSING_GRACE_SECONDS = 40
SUSPECTS = 10
"""Jobs at most of which is told what was printed of them."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A run: what was done, what came of it."""

    plan: Plan
    kills: int
    """SIGKILLs of operators."""
    deeds: dict[str, int]
    """All that was done, by name."""
    seconds: float
    surprises: list[str]
    """Lines that no program should print: tracebacks, unexpected failures."""
    verdict: Verdict

    @property
    def is_good(self) -> bool:
        return self.verdict.is_good and not self.surprises


async def run(plan: Plan, folder: Path, say: Say, kubeconfig: Path | None = None) -> Outcome:
    """Run it in that folder. Raises TimeoutError where something has not come to rest in time."""
    begun = time.monotonic()
    async with (
        Servers(plan, folder, kubeconfig).running() as servers,
        _members(plan, servers, folder) as (operators, api, api_url),
    ):
        workload = Workload(plan, api_url=api_url, kube=servers.client(), namespace=servers.namespace)
        left_over: set[str] = set()
        hand = Hand(plan, servers, operators, api, workload)
        try:
            async with asyncio.TaskGroup() as group:
                working = group.create_task(workload.run())
                await hand.run(_is_over(plan, working))
                await hand.heal()
                say(f"all is whole again after {dict(sorted(hand.done.items()))}")
                async with asyncio.timeout(plan.patience):
                    await working
                    case = _circumstances(servers, hand)
                    jobs = await rest.wait(servers, workload, case, left_over, say)
        except BaseException:
            lines_of([*operators, api], say)
            for name in sorted(left_over)[:SUSPECTS]:
                lines_about([*operators, api], name, say)
            raise
        verdict = await _verdict(servers, workload, jobs, case)
        for name in verdict.suspects[:SUSPECTS]:
            lines_about([*operators, api], name, say)
        surprises = [line for member in (*operators, api) for line in member.surprises()]
    return Outcome(
        plan=plan,
        kills=hand.kills,
        deeds=dict(hand.done),
        seconds=round(time.monotonic() - begun, 1),
        surprises=surprises,
        verdict=verdict,
    )


def _is_over(plan: Plan, working: "asyncio.Task[None]") -> Callable[[], bool]:
    """Whether the time of the plan is over, by the clock: callers may be stuck as long as things break."""
    end = time.monotonic() + plan.seconds
    return lambda: time.monotonic() > end if plan.seconds else working.done()


@contextlib.asynccontextmanager
async def _members(plan: Plan, servers: Servers, folder: Path) -> AsyncIterator[tuple[list[Member], Member, str]]:
    """The operators and the API, each behind links of its own; the API's URL."""
    async with contextlib.AsyncExitStack() as stack:

        async def link(name: str, address: tuple[str, int]) -> Link:
            made = Link(name, *address)
            await made.start()
            stack.push_async_callback(made.stop)
            return made

        shared: list[Link] = []

        async def to_the_cloud(name: str, address: tuple[str, int]) -> Link:
            """A link of its own; all operators have one where another URL would be another place."""
            if not servers.is_cloud_known_by_url:
                return await link(f"{name} to the cloud", address)
            if not shared:
                shared.append(await link("operators to the cloud", address))
            return shared[0]

        async def member(name: str, command: str, env: Mapping[str, str]) -> Member:
            links = {
                "kubernetes": await link(f"{name} to Kubernetes", servers.kube_address),
                "database": await link(f"{name} to the database", servers.database_address),
            }
            if command == "operator" and servers.cloud_address is not None:
                links["cloud"] = await to_the_cloud(name, servers.cloud_address)
                env = {**env, **servers.cloud_settings(links["cloud"].port)}
            kubeconfig = servers.kubeconfig_through(links["kubernetes"].port, folder / f"kubeconfig-{name}")
            env = {
                **env,
                "KUBECONFIG": str(kubeconfig),
                "DB_PROVIDER": "postgres",
                "DB_ENDPOINT": servers.database_url(links["database"].port),
                "WORKER_ID": name,
            }
            clock = folder / f"clock-{name}" if command == "operator" else None
            made = Member(name, command, env, links, clock)
            stack.push_async_callback(made.terminate)
            return made

        operators = [
            await member(f"operator-{n}", "operator", _operator_env(plan, servers)) for n in range(plan.controllers)
        ]
        port = free_port(0)
        api = await member("api", "api", _api_env(plan, servers, port))
        way_in = await link("callers to the API", ("127.0.0.1", port))
        api.links = {**api.links, "callers": way_in}
        for one in (*operators, api):
            await one.start()
        yield operators, api, f"http://127.0.0.1:{way_in.port}"


def _operator_env(plan: Plan, servers: Servers) -> dict[str, str]:
    return {
        "BATCH_PROVIDER": plan.provider,
        "WATCH_NAMESPACES": servers.namespace,
        "JENNAH_NAMESPACE": servers.namespace,
        "LEASE_NAMESPACE": servers.namespace,
        "WORKER_LEASE_TTL_SECONDS": str(TTL_SECONDS),
        "WORKER_CLAIM_INTERVAL_SECONDS": "0.5",
        "SUBMIT_SETTLE_SECONDS": str(plan.settle),
        "DUPLICATE_WATCH_SECONDS": str(2 * plan.settle),
        # A deleted job that a restored Kubernetes has again is looked for so long: its cloud job went with it.
        "MISSING_GRACE_SECONDS": str(MISSING_GRACE_SECONDS),
        # The search for orphans must end what was forced away, and nothing else.
        "ORPHANS": "cancel",
        "ORPHAN_SWEEP_SECONDS": str(rest.ORPHAN_SWEEP_SECONDS),
        "JENNAH_INSTANCE": servers.namespace,
        "OBSERVE_MIN_SECONDS": "0.5",
        "OBSERVE_MAX_SECONDS": "2",
    }


def _api_env(plan: Plan, servers: Servers, port: int) -> dict[str, str]:
    return {
        "BATCH_PROVIDER": plan.provider,
        "JENNAH_NAMESPACE": servers.namespace,
        "JOB_TTL_SECONDS": str(plan.ttl),
        "WORKER_PORT": str(port),
        "WORKER_HOST": "127.0.0.1",
        "STOP_DELAY_SECONDS": "0",
        "STOP_GRACE_SECONDS": "2",
    }


def _circumstances(servers: Servers, hand: Hand) -> Circumstances:
    return Circumstances(restored=servers.restored, are_places_left=hand.done["change-settings"] > 0)


async def _verdict(servers: Servers, workload: Workload, jobs: Mapping[str, Job], case: Circumstances) -> Verdict:
    store = PostgresStore(servers.database_url())
    await store.open()
    try:
        rows = {row.job_id: row for row in (await store.list_jobs(TENANT)).jobs}
        audits = {job_id: await store.transitions(TENANT, job_id) for job_id in rows}
        notifications: dict[str, list[NotificationRow]] = defaultdict(list)
        for note in await store.list_notifications(TENANT, limit=10 * len(workload.asked)):
            notifications[note.job_id].append(note)
    finally:
        await store.close()
    record = Record(rows=rows, audits=audits, notifications=notifications)
    return compare(workload.asked, jobs, record, await cloud_ledger(servers.cloud_control), case)
