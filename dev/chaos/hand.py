"""The hand that breaks things: by a seed, one deed after the other, several at once, until it is told to stop.

A deed draws all its choices before it does anything, so the same seed makes the same choices in the same order,
whatever the machine's timing. Afterwards everything is whole again.
"""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence

import msgspec

from controller.clock import SystemClock, wait_for_event
from dev.chaos.links import Link, Trouble
from dev.chaos.members import Member
from dev.chaos.plan import Plan
from dev.chaos.servers import Servers
from dev.chaos.workload import Workload
from dev.emulators.faults import Faults

LONGEST_OUTAGE_SECONDS = 8.0
"""Of a server, or of a program's way to it. More than two leases."""
LONGEST_PAUSE_SECONDS = 10.0
"""Of a process: longer than its lease, and than most of its calls may take."""
LONGEST_ABSENCE_SECONDS = 4.0
"""Until a program that was ended is started again."""
LARGEST_CLOCK_ERROR_SECONDS = 120
STORM = Faults(lost_replies=0.5, lost_requests=0.1, throttled=0.2)
TROUBLES = (Trouble.REFUSED, Trouble.SLOW, Trouble.SILENT, Trouble.REPLIES_LOST)
UNREADABLE = (Trouble.REFUSED, Trouble.SILENT, Trouble.REPLIES_LOST)
REPEATS = 10
"""Submissions that are repeated while the database cannot be read."""

Deed = Coroutine[None, None, None]


class Hand:
    """Ends, pauses, cuts off. `run` until enough was done, then `heal`."""

    def __init__(
        self, plan: Plan, servers: Servers, operators: Sequence[Member], api: Member, workload: Workload
    ) -> None:
        self._plan = plan
        self._servers = servers
        self._operators = list(operators)
        self._api = api
        self._workload = workload
        self._dice = random.Random(plan.seed)
        self._over = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._down: set[str] = set()
        """Servers that are not there at the moment, and what else is done only once at a time."""
        self.done: Counter[str] = Counter()
        self.kills = 0
        """SIGKILLs of operators, by whatever deed."""

    async def run(self, enough: Callable[[], bool]) -> None:
        """Until that is so, and the plan's kills are made."""
        while not enough() or self.kills < self._plan.kills:
            await asyncio.sleep(self._dice.uniform(*self._plan.pause_between_deeds))
            name = self._dice.choices(list(self._plan.deeds), list(self._plan.deeds.values()))[0]
            deed = self._choose(name)
            if deed is not None:
                self.done[name] += 1
                self._under_way.add(asyncio.create_task(deed))
                await asyncio.sleep(0)
            over = {one for one in self._under_way if one.done()}
            self._under_way -= over
            for task in over:
                task.result()

    async def heal(self) -> None:
        """Everything runs and is reachable again, with the settings that all began with."""
        self._over.set()
        await asyncio.gather(*self._under_way)
        for member in self._operators:
            if member.settings:
                await self._end(member, is_kill=False, absence=0, settings={})

    def _choose(self, name: str) -> Deed | None:
        """The deed with its choices drawn; None where it does not apply now."""
        dice = self._dice
        member = dice.choice(self._operators)
        seconds, share = dice.uniform(0.5, LONGEST_OUTAGE_SECONDS), dice.random()
        match name:
            case "kill" | "terminate" if not member.is_busy:
                return self._end(member, is_kill=name == "kill", absence=share * LONGEST_ABSENCE_SECONDS)
            case "kill-api" if not self._api.is_busy:
                return self._end(self._api, is_kill=True, absence=share * LONGEST_ABSENCE_SECONDS)
            case "change-settings" if not member.is_busy:
                settings, is_kill = dice.choice(self._servers.alternatives()), dice.random() < 0.5
                return self._end(member, is_kill=is_kill, absence=share * LONGEST_ABSENCE_SECONDS, settings=settings)
            case "pause" if not member.is_busy:
                return self._pause(member, share * LONGEST_PAUSE_SECONDS)
            case "trouble-one":
                links = [link for one in self._members() for link in one.links.values()]
                return self._trouble([dice.choice(links)], dice.choice(TROUBLES), seconds)
            case "trouble-all":
                server = dice.choice(sorted(member.links))
                links = [one.links[server] for one in self._members() if server in one.links]
                return self._trouble(links, dice.choice(TROUBLES), seconds)
            case "cut":
                return self._cut(dice.choice(self._members()))
            case "restart-kubernetes" if self._servers.can_restart_kube and "kubernetes" not in self._down:
                return self._restart_kube(seconds, gracefully=share < 0.5)
            case "restore-kubernetes" if self._servers.can_restore_kube and not self._down & {"kubernetes", "copy"}:
                return self._restore_kube(share * self._plan.backup_age, is_kill=dice.random() < 0.5)
            case "empty-status":
                return self._workload.empty_a_status(share)
            case "crash-database" if "database" not in self._down:
                return self._crash_database(seconds)
            case "unreadable-database":
                return self._unreadable_database(
                    dice.choice(UNREADABLE), seconds, [dice.random() for _ in range(REPEATS)]
                )
            case "storm" if "storm" not in self._down:
                return self._storm(seconds)
            case "set-clock" if member.clock is not None:
                return self._set_clock(member, round((2 * share - 1) * LARGEST_CLOCK_ERROR_SECONDS))
            case _:
                return None

    # --- deeds -----------------------------------------------------------------------------------------

    async def _end(
        self, member: Member, *, is_kill: bool, absence: float, settings: Mapping[str, str] | None = None
    ) -> None:
        member.is_busy = True
        await self._stop(member, is_kill=is_kill)
        await self._for(absence)
        if settings is not None:
            member.settings = settings
        await member.start()
        member.is_busy = False

    async def _pause(self, member: Member, seconds: float) -> None:
        member.is_busy = True
        member.signal(signal.SIGSTOP)
        await self._for(seconds)
        member.signal(signal.SIGCONT)
        member.is_busy = False

    async def _trouble(self, links: Sequence[Link], trouble: Trouble, seconds: float) -> None:
        free = [link for link in links if link.trouble is Trouble.NONE]
        for link in free:
            link.set(trouble)
        await self._for(seconds)
        for link in free:
            link.set(Trouble.NONE)

    async def _cut(self, member: Member) -> None:
        for link in member.links.values():
            link.cut()

    async def _restart_kube(self, seconds: float, *, gracefully: bool) -> None:
        self._down.add("kubernetes")
        await self._servers.stop_kube(gracefully=gracefully)
        await self._for(seconds)
        await self._servers.start_kube()
        self._down.discard("kubernetes")

    async def _restore_kube(self, age: float, *, is_kill: bool) -> None:
        """As docs/operations.md tells it: nobody works with Kubernetes while a copy of that age is put back."""
        self._down.add("copy")
        copy = await self._servers.copy_kube()
        await self._for(age)
        for member in self._members():
            while member.is_busy:
                await asyncio.sleep(0.05)
            member.is_busy = True
        while "kubernetes" in self._down:
            await asyncio.sleep(0.05)
        self._down.add("kubernetes")
        await asyncio.gather(*(self._stop(member, is_kill=is_kill) for member in self._members()))
        await self._servers.restore_kube(copy)
        for member in self._members():
            await member.start()
            member.is_busy = False
        self._down -= {"kubernetes", "copy"}

    async def _unreadable_database(self, trouble: Trouble, seconds: float, repeats: Sequence[float]) -> None:
        """Callers repeat themselves meanwhile."""
        links = [member.links["database"] for member in self._members()]
        again = asyncio.create_task(self._workload.repeat(repeats))
        try:
            await self._trouble(links, trouble, seconds)
        finally:
            await again

    async def _crash_database(self, seconds: float) -> None:
        self._down.add("database")
        await self._servers.crash_database()
        await self._for(seconds)
        await self._servers.start_database()
        self._down.discard("database")

    async def _storm(self, seconds: float) -> None:
        self._down.add("storm")
        hidden = self._plan.faults.hidden_seconds
        await self._servers.set_faults(msgspec.structs.replace(STORM, hidden_seconds=hidden))
        await self._for(seconds)
        await self._servers.set_faults(self._plan.faults)
        self._down.discard("storm")

    async def _set_clock(self, member: Member, seconds: int) -> None:
        """From now on, until it is set again; at the end all are right."""
        member.set_clock(seconds)
        await self._over.wait()
        member.set_clock(0)

    # --- small helpers ---------------------------------------------------------------------------------

    async def _stop(self, member: Member, *, is_kill: bool) -> None:
        self.kills += is_kill and member is not self._api
        await (member.kill() if is_kill else member.terminate())

    def _members(self) -> list[Member]:
        return [*self._operators, self._api]

    async def _for(self, seconds: float) -> None:
        """So long, or until all is to be whole again."""
        await wait_for_event(self._over, seconds, SystemClock())
