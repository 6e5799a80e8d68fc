"""One observer a provider: asks for all active jobs at once, compares, and wakes only what changed (design §4)."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from controller import metrics
from controller.clock import wait_for_event
from controller.domain.errors import JennahError, NotLeading
from controller.domain.job import Job
from controller.ports import BatchProvider, Clock, JobRef, Leadership, Observation
from controller.reconcile.decide import Unseen

log = logging.getLogger(__name__)

GROWTH = 1.5
"""How much longer each quiet round makes the interval, up to its maximum."""
ERROR_INTERVAL_SECONDS = 60.0


def ref_of(job: Job) -> JobRef:
    """The job as a provider is asked for it."""
    return JobRef(
        external_name=job.external_name,
        uid=job.key,
        namespace=job.metadata.namespace,
        resource_path=job.status.resource_path,
        submitted_at=job.status.submitted_at,
        spec=job.spec,
        destination=job.status.destination,
        created_at=job.metadata.creation_timestamp,
        tasks_submitted=job.status.tasks.submitted if job.status.tasks else None,
    )


class Observer:
    """What is known of one provider's jobs. `wake` is called with a job's key when that changed."""

    def __init__(
        self,
        provider: BatchProvider,
        *,
        clock: Clock,
        leadership: Leadership,
        wake: Callable[[str], None],
        min_seconds: float,
        max_seconds: float,
        label: str = "",
    ) -> None:
        """`label`: what metrics and log lines call it; the provider's name by default."""
        self._provider = provider
        self._label = label or provider.name
        self._clock = clock
        self._leadership = leadership
        self._wake_key = wake
        self._min, self._max = min_seconds, max_seconds
        self._refs: dict[str, JobRef] = {}
        self._seen: dict[str, Observation | Unseen] = {}
        self._noted: set[str] = set()
        self._news = asyncio.Event()
        self._failing = ""
        self._term = 0

    def __len__(self) -> int:
        """Jobs that are watched."""
        return len(self._refs)

    def seen(self, job: Job) -> Observation | Unseen:
        """The newest knowledge of that job's cloud job."""
        return self._seen.get(job.external_name, Unseen.NOT_ASKED)

    def track(self, job: Job) -> None:
        """Have that job in the rounds to come. The interval becomes short: something moves."""
        ref = ref_of(job)
        known = self._refs.get(ref.external_name)
        self._refs[ref.external_name] = ref
        if known is None or (known.resource_path, known.tasks_submitted) != (ref.resource_path, ref.tasks_submitted):
            self._news.set()

    def untrack(self, job: Job) -> None:
        """Forget that job: it has ended, or its object is gone."""
        self._refs.pop(job.external_name, None)
        self._seen.pop(job.external_name, None)

    def note(self, seen: Observation) -> None:
        """Take in what a single call said of a job."""
        self._seen[seen.external_name] = seen
        self._noted.add(seen.external_name)

    def look(self) -> None:
        """Have the next round soon: the service says that something changed."""
        self._news.set()

    def forget(self) -> None:
        """Forget what was seen, not what is watched: leadership was lost or gained, and a round comes first."""
        self._seen.clear()
        self._noted.clear()
        self._term += 1  # a round that is under way was asked for before
        self._news.set()
        metrics.OBSERVED_JOBS.labels(self._label).set(0)
        metrics.OBSERVATION_FAILING.labels(self._label).set(0)

    async def run(self) -> None:
        """Round after round, while we lead. Runs until it is cancelled."""
        interval = self._min
        while True:
            await self._leadership.wait_until_leader()
            self._news.clear()
            if not self._refs:
                await self._news.wait()
                interval = self._min
                continue
            moved = await self._round()
            if self._failing:
                interval = min(interval * 2, ERROR_INTERVAL_SECONDS)
            else:
                interval = self._min if moved else min(interval * GROWTH, self._max)
            await wait_for_event(self._news, interval, self._clock)
            if self._news.is_set():
                # A new job, or a change: wait the shortest interval, so that a burst of them is one round.
                interval = self._min
                await self._clock.sleep(self._min)

    async def _round(self) -> bool:
        """Ask for all; whether anything had changed."""
        asked, term = dict(self._refs), self._term
        self._noted.clear()
        metrics.OBSERVED_JOBS.labels(self._label).set(len(asked))
        try:
            with metrics.OBSERVATION_SECONDS.labels(self._label).time():
                found = await self._provider.observe(list(asked.values()))
        except NotLeading:
            return False
        except JennahError as error:
            if str(error) != self._failing:
                log.warning("observation failed: %s", error, extra={"provider": self._label})
            self._fails(str(error))
            return False
        except Exception:
            # A surprise in one answer must not end the program: it would come again after each restart.
            log.exception("unexpected failure of an observation", extra={"provider": self._label})
            self._fails("unexpected failure")
            return False
        if self._failing:
            log.info("observation works again", extra={"provider": self._label})
            self._fails("")
        return self._compare(asked, found) if term == self._term else True

    def _fails(self, why: str) -> None:
        """Keep why rounds fail; "" when they work."""
        self._failing = why
        metrics.OBSERVATION_FAILING.labels(self._label).set(bool(why))

    def _compare(self, asked: Mapping[str, JobRef], found: Mapping[str, Observation]) -> bool:
        moved = False
        for name, ref in asked.items():
            if name not in self._refs or name in self._noted:
                continue  # it ended, or a single call told newer things, while we asked
            seen: Observation | Unseen = found.get(name, Unseen.IN_DOUBT)
            if seen != self._seen.get(name):
                self._seen[name] = seen
                self._wake_key(ref.uid)
                moved = True
        return moved
