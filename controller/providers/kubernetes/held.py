"""What the watch has told: the Jobs of this installation and the attempts of those that have not ended.

Of a Job that has ended its Observation is kept and nothing of its Pods; of one that is gone its end, for a while: a Job
that was deleted tells nothing any more, and that it was is how a cancelled job ends.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import msgspec

from controller.domain import names
from controller.kube.listwatch import number_of
from controller.ports import Clock, Observation
from controller.providers.kubernetes import observation
from controller.providers.kubernetes.attempts import Attempt, State, attempt_of
from controller.providers.kubernetes.places import Place, job_name
from controller.providers.kubernetes.reruns import Mark, Tasks
from controller.providers.kubernetes.wire import Job, Pod

REMEMBERED = 10_000
REMEMBERED_SECONDS = 3600.0
"""So many ends of Jobs that are gone are kept, and so long."""


class _Held(msgspec.Struct):
    """One Job."""

    job: Job
    seen: Observation | None = None
    """What it means; None: to be thought about again."""
    is_fixed: bool = False
    """Whether it has ended and all of its Pods were known then."""


class _Gone(msgspec.Struct):
    job_uid: str
    seen: Observation
    at: float
    is_sure: bool
    """Whether it is known that it was deleted. A watch also stops telling of a Job whose labels somebody edits."""


class Held:
    """Jobs by place. Filled by the list-watches (`jobs_of` and `pods_of` a namespace), asked by the provider."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs: dict[Place, _Held] = {}
        self._places: dict[str, Place] = {}
        """By the Job's own uid."""
        self._attempts: dict[str, dict[str, Attempt]] = {}
        """By the Job's own uid and the Pod's name."""
        self._gone: OrderedDict[Place, _Gone] = OrderedDict()
        self._suspects: set[str] = set()
        """Uids of Jobs of which a Pod may have to be marked (`reruns`)."""

    # --- what the provider asks ------------------------------------------------------------------------

    def seen(self, place: Place) -> Observation | None:
        """How the job there stands, or ended before it was removed."""
        held = self._jobs.get(place)
        if held is None:
            gone = self._gone.get(place)
            return gone.seen if gone is not None else None
        if held.seen is None:
            held.seen = observation.observation(held.job, self._of(held.job))
        return held.seen

    def is_unsure(self, place: Place) -> bool:
        """Whether the Job there may be there still, though the watch says that it is gone."""
        gone = self._gone.get(place)
        return gone is not None and not gone.is_sure and place not in self._jobs

    def job(self, place: Place) -> Job | None:
        """The Job that is there."""
        held = self._jobs.get(place)
        return held.job if held is not None else None

    def unexplained(self, place: Place) -> Job | None:
        """The Job there, if it has ended and the watch has not told of all of its Pods."""
        held = self._jobs.get(place)
        return held.job if held is not None and observation.has_ended(held.job) and not held.is_fixed else None

    def marks(self) -> list[Mark]:
        """Pods of all Jobs that are to be marked, where anything changed since this was asked last."""
        suspects, self._suspects = self._suspects, set()
        found: list[Mark] = []
        for uid in suspects:
            if uid in self._places:
                held = self._jobs[self._places[uid]]
                found += Tasks(held.job, self._of(held.job)).marks()
        return found

    def suspect(self, job_uid: str) -> None:
        """Have `marks` look at that Job's Pods once more."""
        self._suspects.add(job_uid)

    def all(self) -> Iterator[tuple[Job, Observation]]:
        """All Jobs that are there."""
        for place in list(self._jobs):
            seen, held = self.seen(place), self._jobs[place]
            if seen is not None:
                yield held.job, seen

    # --- what is told by calls -------------------------------------------------------------------------

    def explain(self, job: Job, seen: Observation) -> None:
        """The end of that Job, read with all of its Pods."""
        held = self._jobs.get(_place(job))
        if held is not None and held.job.metadata.uid == job.metadata.uid:
            self._fix(held, seen)

    def bury(self, place: Place, known: Job | None) -> None:
        """A call says that no Job is there, where that one was known before: the watch will."""
        if known is not None:
            self.remove_job(known)
        gone = self._gone.get(place)
        if gone is not None and place not in self._jobs:
            gone.is_sure = True

    def unbury(self, job: Job) -> None:
        """A call says that this Job is there, though the watch had told that it is gone."""
        if self.is_unsure(_place(job)) and self._gone[_place(job)].job_uid == job.metadata.uid:
            del self._gone[_place(job)]

    # --- what the watch tells --------------------------------------------------------------------------

    def put_job(self, job: Job) -> None:
        place, held = _place(job), self._jobs.get(_place(job))
        gone = self._gone.get(place)
        if not _is_ours(job) or (gone is not None and gone.job_uid == job.metadata.uid):
            return  # of one that is gone the watch may tell late
        if held is not None and held.job.metadata.uid != job.metadata.uid:
            self.remove_job(held.job)
            held = None
        if held is None:
            held = self._jobs[place] = _Held(job)
            self._places[job.metadata.uid] = place
            self.suspect(job.metadata.uid)
        elif _version(job) <= _version(held.job):
            return
        held.job = job
        if not held.is_fixed:
            held.seen = None
            self._fix_if_ended(held)

    def remove_job(self, job: Job) -> None:
        """It is gone; as it was last."""
        place = _place(job)
        held = self._jobs.get(place)
        if held is None or held.job.metadata.uid != job.metadata.uid:
            return
        if not held.is_fixed and _version(job) > _version(held.job):
            held.job, held.seen = job, None
        seen = self.seen(place)
        del self._jobs[place]
        self._places.pop(job.metadata.uid, None)
        self._attempts.pop(job.metadata.uid, None)
        if seen is not None:
            deleted = job.metadata.deletion_timestamp
            ended = observation.removed(seen, deleted or self._clock.now())
            is_sure = deleted is not None or seen.has_ended
            self._gone[place] = _Gone(job.metadata.uid, ended, self._clock.monotonic(), is_sure)
        self._forget_the_oldest()

    def replace_jobs(self, jobs: Sequence[Job], version: int, namespace: str) -> None:
        """All Jobs of that namespace ("": of all) at that version; what was made since is kept."""
        there = {job.metadata.uid for job in jobs}
        for held in list(self._jobs.values()):
            is_covered = not namespace or held.job.metadata.namespace == namespace
            if is_covered and held.job.metadata.uid not in there and _version(held.job) <= version:
                self.remove_job(held.job)
        for job in jobs:
            self.put_job(job)

    def put_pod(self, pod: Pod) -> None:
        attempt = attempt_of(pod)
        held = self._owner(attempt)
        if held is not None and held.is_fixed:
            return
        known = self._attempts.setdefault(attempt.job_uid, {})
        before = known.get(attempt.name)
        if before is not None and before.is_removed:
            attempt = msgspec.structs.replace(attempt, is_removed=True)
        known[attempt.name] = attempt
        if attempt.is_final or attempt.is_disrupted:
            self.suspect(attempt.job_uid)
        if held is not None:
            held.seen = None
            self._fix_if_ended(held)

    def remove_pod(self, pod: Pod) -> None:
        attempt = attempt_of(pod)
        held = self._owner(attempt)
        known = self._attempts.get(attempt.job_uid, {})
        if held is not None and held.is_fixed:
            return
        before = known.get(attempt.name, attempt)
        if held is not None and (attempt.has_ended or before.started_at is not None):
            known[attempt.name] = _cleared(attempt, before)
        else:
            known.pop(attempt.name, None)
            if not known:
                self._attempts.pop(attempt.job_uid, None)
        if held is not None:
            held.seen = None

    def replace_pods(self, pods: Sequence[Pod], version: int, namespace: str) -> None:
        """All Pods of that namespace ("": of all) at that version."""
        there: dict[str, set[str]] = {}
        for pod in pods:
            for owner in pod.metadata.owner_references:
                there.setdefault(owner.uid, set()).add(pod.metadata.name)
        for uid, known in list(self._attempts.items()):
            for name, attempt in list(known.items()):
                is_covered = not namespace or attempt.namespace == namespace
                if not is_covered or name in there.get(uid, ()):
                    continue
                if uid in self._places and (attempt.has_ended or attempt.started_at is not None):
                    known[name] = _cleared(attempt, attempt)
                else:
                    del known[name]
            if not known:
                del self._attempts[uid]
            if uid in self._places:
                held = self._jobs[self._places[uid]]
                held.seen = held.seen if held.is_fixed else None
        for pod in pods:
            self.put_pod(pod)

    # --- small helpers ---------------------------------------------------------------------------------

    def _of(self, job: Job) -> Sequence[Attempt]:
        return tuple(self._attempts.get(job.metadata.uid, {}).values())

    def _owner(self, attempt: Attempt) -> _Held | None:
        place = self._places.get(attempt.job_uid)
        return self._jobs.get(place) if place is not None else None

    def _fix_if_ended(self, held: _Held) -> None:
        if observation.has_ended(held.job):
            attempts = self._of(held.job)
            if observation.is_accounted_for(held.job, attempts):
                self._fix(held, observation.observation(held.job, attempts))

    def _fix(self, held: _Held, seen: Observation) -> None:
        held.seen, held.is_fixed = seen, True
        self._attempts.pop(held.job.metadata.uid, None)

    def _forget_the_oldest(self) -> None:
        limit = self._clock.monotonic() - REMEMBERED_SECONDS
        while self._gone and (len(self._gone) > REMEMBERED or next(iter(self._gone.values())).at < limit):
            self._gone.popitem(last=False)


class JobSink:
    """`listwatch.Sink` for the Jobs of a namespace."""

    def __init__(self, held: Held, namespace: str) -> None:
        self.put, self.remove = held.put_job, held.remove_job
        self._held, self._namespace = held, namespace

    def replace(self, items: Sequence[Job], version: int) -> None:
        self._held.replace_jobs(items, version, self._namespace)


class PodSink:
    """`listwatch.Sink` for the Pods of a namespace."""

    def __init__(self, held: Held, namespace: str) -> None:
        self.put, self.remove = held.put_pod, held.remove_pod
        self._held, self._namespace = held, namespace

    def replace(self, items: Sequence[Pod], version: int) -> None:
        self._held.replace_pods(items, version, self._namespace)


def _cleared(attempt: Attempt, before: Attempt) -> Attempt:
    """An attempt that ran and whose Pod is gone. That one which had ended was cleared away changes nothing."""
    if attempt.has_ended:
        return msgspec.structs.replace(attempt, is_removed=before.is_removed)
    return msgspec.structs.replace(attempt, state=State.REMOVED, started_at=before.started_at, is_removed=True)


def _place(job: Job) -> Place:
    return Place(job.metadata.namespace, job.metadata.name)


def _version(job: Job) -> int:
    return number_of(job.metadata.resource_version)


def _is_ours(job: Job) -> bool:
    """Whether its name and labels agree, as they do where we made it: who may make Jobs can label them as he likes."""
    carried = job.metadata.labels
    return names.uid_in(carried.external_name) == carried.uid and job_name(carried.external_name) == job.metadata.name
