"""The places that jobs are at, each with the provider that reaches it and the observer that asks it.

Today's settings give one site. Jobs that were sent under other settings stay where they are: the site of such a job is
made when the first of them is met, from the destination that was written down, and lives as long as the process. A site
that cannot be reached slows no other: it has a client, rounds and limits of its own.
"""

import asyncio
from collections.abc import Callable, Iterator

import msgspec

from controller.domain.destination import Destination
from controller.domain.errors import ConfigError, NotLeading, Retryable, Unreachable
from controller.domain.job import Job
from controller.ports import BatchProvider, Clock
from controller.reconcile.observer import Observer
from controller.reconcile.orphans import Orphans

TRY_AGAIN_SECONDS = 60.0
"""The pause before a site that could not be opened is tried again, for all of its jobs together."""


class Site(msgspec.Struct, kw_only=True):
    """One provider, and what asks it: for the jobs that are known, and for those whose objects are gone."""

    provider: BatchProvider
    observer: Observer
    orphans: Orphans


class Sites:
    """All sites of this process; `home` is that of today's settings."""

    def __init__(self, home: Site, *, make: Callable[[Destination], Site], clock: Clock) -> None:
        """`make`: another site, its provider not opened yet; raises ConfigError."""
        self.home = home
        self._make = make
        self._clock = clock
        self._others: dict[Destination, Site] = {}
        self._faults: dict[Destination, tuple[float, str]] = {}
        """Of sites that could not be opened: when, and why."""
        self._opening = asyncio.Lock()
        self._news = asyncio.Event()

    def __iter__(self) -> Iterator[Site]:
        yield self.home
        yield from self._others.values()

    def known(self, job: Job) -> Site | None:
        """The job's site, if there is a client of it already."""
        destination = job.status.destination
        if destination is None:
            name = job.status.provider
            return self.home if name in (None, "", self.home.provider.name) else None
        site = destination.site
        return self.home if site == self.home.provider.site else self._others.get(site)

    async def of(self, job: Job) -> Site:
        """The job's site. Raises Unreachable where this process has no client of it and can make none, and Retryable
        while one is being made."""
        known = self.known(job)
        if known is not None:
            return known
        destination = job.status.destination
        if destination is None:
            raise Unreachable(f"provider {job.status.provider} is not set up in this controller")
        if self._opening.locked():  # no worker waits for a place that may not answer
            raise Retryable(f"the client for {destination.site} is being made", delay=1.0)
        async with self._opening:
            return await self._open(destination.site)

    async def _open(self, site: Destination) -> Site:
        failed_at, fault = self._faults.get(site, (0.0, ""))
        left = failed_at + TRY_AGAIN_SECONDS - self._clock.monotonic()
        if fault and left > 0:
            raise Unreachable(fault, delay=left)
        try:
            made = self._make(site)
            try:
                await made.provider.open()
                if made.provider.site != site:
                    raise ConfigError([f"today's credentials and settings reach {made.provider.site}"])
            except BaseException:
                await made.provider.close()
                raise
        except NotLeading:
            raise
        except (ConfigError, Retryable) as error:
            told = f"the job was sent to {site}, which this controller cannot reach: {error}"
            self._faults[site] = self._clock.monotonic(), told
            raise Unreachable(told, delay=TRY_AGAIN_SECONDS) from error
        self._faults.pop(site, None)
        self._others[site] = made
        self._news.set()
        return made

    async def run(self) -> None:
        """Have all sites observed and searched, later ones too. Runs until it is cancelled, or one fails."""
        running = 0
        async with asyncio.TaskGroup() as group:
            while True:
                self._news.clear()
                for site in [*self][running:]:
                    group.create_task(site.observer.run())
                    group.create_task(site.orphans.run())
                    running += 1
                await self._news.wait()

    async def close(self) -> None:
        """Close the clients of all sites but the first, which its maker closes."""
        for site in self._others.values():
            await site.provider.close()
