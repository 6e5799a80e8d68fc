"""What only a job's tasks tell (exit code, retries): asked for after its end, remembered, waited for where it is late.

No failure here is the caller's: the job's own state is known, and one job's tasks are never worth a round of
observation, nor the knowledge that a submission made a job.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from controller.domain.errors import Forbidden, Retryable, Throttled
from controller.ports import Clock
from controller.providers.gcp import events, observation, places
from controller.providers.gcp.calls import Refused, Unimplemented, for_each

log = logging.getLogger(__name__)

TASKS_PAGE_SIZE = 1000
CALLS_A_ROUND = 200
"""ListTasks calls of one round of observation; the jobs that are left come in the next."""
FAILURES_A_ROUND = 16
"""So many jobs whose tasks could not be read, and the others wait for the next round: it is not about one job."""
THROTTLES_A_ROUND = 4
"""The same for calls that were throttled."""
LATE_SECONDS = 30.0
"""How long the end of a job that ran is held back while neither its events nor its tasks tell the exit code: tasks can
come minutes later (providers.md §1c), but an end that nobody is told of is worse than one without an exit code."""
UNREADABLE_SECONDS = 600.0
"""The same where the service fails to tell."""
AGAIN_SECONDS = 600.0
"""How long tasks that may not be read, or were not there in time, are not asked for again."""
KEEP_SECONDS = 3600.0
"""How long a job is remembered that nobody asks for any more."""

ListTasks = Callable[[str], Awaitable[list[Any]]]
"""All tasks of the group of that resource name; none where the service knows none. Raises errors of ours."""


class _Ended(msgspec.Struct):
    """A job that ended. Times are `Clock.monotonic`."""

    since: float
    """When this process first saw it ended."""
    used: float
    asked: float
    """When its tasks were asked for last; before that, `since`."""
    told: observation.Tasks | None = None
    again_at: float = float("inf")
    """When they are asked for although there is something to tell."""


class Details:
    """What the tasks of ended jobs told, by the job's name and the service's uid of it. Shared by single calls and
    rounds."""

    def __init__(self, clock: Clock, list_tasks: ListTasks) -> None:
        self._clock = clock
        self._list_tasks = list_tasks
        self._ended: dict[tuple[str, str], _Ended] = {}
        self._has_warned = False

    def of(self, job: Any) -> observation.Tasks | None:
        """What that job's tasks told; None: its end is to be held back."""
        entry = self._ended.get(_key(job))
        return entry.told if entry is not None else None

    async def ask(self, jobs: Iterable[Any]) -> None:
        """Find out about these, which `observation.needs_tasks` named, as far as that is due and the round's calls go.

        Who was not asked for the longest comes first, so that none waits for ever.
        """
        now = self._clock.monotonic()
        self._forget(now)
        due = [job for job in jobs if self._is_due(job, now)]
        due.sort(key=lambda job: self._ended[_key(job)].asked)
        calls, failures = 0, 0

        async def ask(job: Any) -> None:
            nonlocal calls, failures
            if calls >= CALLS_A_ROUND or failures >= FAILURES_A_ROUND:
                return
            calls += 1
            try:
                made = await self._ask(job)
            except Throttled:  # each one is a pause of all calls: few are worth waiting for
                failures += FAILURES_A_ROUND // THROTTLES_A_ROUND
            except Retryable:
                failures += 1
            else:
                calls += made - 1

        await for_each(ask, due)

    def _is_due(self, job: Any, now: float) -> bool:
        entry = self._ended.setdefault(_key(job), _Ended(since=now, used=now, asked=now))
        entry.used = now
        return entry.told is None or now >= entry.again_at

    async def _ask(self, job: Any) -> int:
        """The number of calls. Raises Retryable where the tasks could not be read now."""
        entry = self._ended[_key(job)]
        now = entry.asked = self._clock.monotonic()
        try:
            tasks = await self._list_tasks(places.task_group(job))
        except (Forbidden, Refused, Unimplemented) as error:
            self._warn(job, error)
            self._give_up(entry, now)
            return 1
        except Retryable as error:
            if not isinstance(error, Throttled) and now - entry.since >= UNREADABLE_SECONDS:
                log.warning("the end of %s is told without its tasks: %s", job.name, error)
                self._give_up(entry, now)
            raise
        self._has_warned = False
        if now - entry.since < LATE_SECONDS and _are_late(job, tasks):
            return 1
        is_sure = not _are_late(job, tasks)
        entry.told, entry.again_at = observation.tasks_of(tasks), float("inf") if is_sure else now + AGAIN_SECONDS
        return max(-(-len(tasks) // TASKS_PAGE_SIZE), 1)

    def _give_up(self, entry: _Ended, now: float) -> None:
        """Tell the end by the job's own events, unless its tasks were read once."""
        entry.told = entry.told or observation.Tasks()
        entry.again_at = now + AGAIN_SECONDS

    def _warn(self, job: Any, error: Exception) -> None:
        if not self._has_warned:  # for all jobs: the next one will most likely be refused as well
            self._has_warned = True
            log.warning("tasks may not be read, so ends are told without exit codes of theirs: %s: %s", job.name, error)

    def _forget(self, now: float) -> None:
        self._ended = {key: entry for key, entry in self._ended.items() if now - entry.used < KEEP_SECONDS}


def _key(job: Any) -> tuple[str, str]:
    return job.name, job.uid


def _are_late(job: Any, tasks: Iterable[Any]) -> bool:
    """Whether the service does not show yet what made the job fail: none of its tasks failed, and it ran, or nothing
    says that it did not; and its own events do not tell the exit code."""
    if job.status.state != observation.State.FAILED or _has_failure(tasks):
        return False
    if events.exit_code_in(events.why_it_failed(job.status.status_events)) is not None:
        return False
    return observation.has_run(job) or events.times(job.status.status_events).ended_at is None


def _has_failure(tasks: Iterable[Any]) -> bool:
    return any(task.status.state == observation.TaskState.FAILED for task in tasks)
