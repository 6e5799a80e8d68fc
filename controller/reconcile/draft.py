"""What one pass over a job has decided and not yet written: its next status and the transitions that lead there."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from controller.domain.destination import Destination
from controller.domain.job import Job, JobStatus, status_to_wire
from controller.domain.phases import Phase
from controller.domain.records import JobRow, Transition, job_row
from controller.domain.resources import ResourceSet
from controller.reconcile import statuses


class Draft:
    """`base` is the object as Kubernetes has it, `job` the same with the status that it shall get."""

    def __init__(self, base: Job, resources: ResourceSet) -> None:
        self.base = base
        self.job = base
        self.env: Mapping[str, str] | None = None
        """What EnvVarsJson shows; None: not known in this pass, the column stays."""
        self.events: list[tuple[str, str, str]] = []
        """Kubernetes events to post once the status is written: kind, reason, message."""
        self._resources = resources
        self._recorded = base
        self._moves: list[tuple[JobStatus, Job, datetime]] = []
        """The transitions to be written: the status before, the job after it, and when."""

    def set_status(self, status: JobStatus, now: datetime) -> None:
        """Go on from that status. A new transition number becomes a transition of the record."""
        before = self.job.status
        self.job = msgspec.structs.replace(self.job, status=status)
        if status.transition != before.transition:
            self._moves.append((before, self.job, now))

    def finish(self, phase: Phase, *, reason: str, message: str, now: datetime) -> None:
        """Have the job ended, by our own decision."""
        status = statuses.moved(self.job, self.job.status, phase, reason=reason, message=message, at=now, now=now)
        self.set_status(status, now)

    def mark(self, kind: str, value: bool, *, reason: str, message: str, now: datetime) -> None:
        """Set one condition."""
        self.set_status(statuses.marked(self.job, kind, value, reason=reason, message=message, now=now), now)

    def transitions(
        self, now: datetime, destination: Destination | None = None, *, is_asked: bool = False
    ) -> list[Transition]:
        """What the record must be told: the changes of phase, else facts that the row shows and lacks; with `is_asked`
        at least the last change once more, which makes the record answer. `destination`: where the job is about to be
        sent."""
        if self._moves:
            # The last one carries all facts as they are now, also those that came after it in this pass.
            *earlier, (before, job, at) = self._moves
            last = self._transition(before, job, at, self._row(self.job, now), destination)
            return [*(self._transition(*move, self._row(*move[1:]), destination) for move in earlier), last]
        row = self._row(self.job, now)
        is_known = not is_asked and row == self._row(self._recorded, now)
        if self.job.status.transition is None or is_known:
            return []
        return [self._transition(self.job.status, self.job, now, row, destination)]

    def restart_from(self, job: Job) -> None:
        """Kubernetes has this version now: nothing is left to write."""
        self.base = self.job = self._recorded = job
        self._moves = []

    def take_intent(self, written: Job) -> None:
        """Kubernetes has the intent to submit and where; all else of this pass is still to be written."""
        status = msgspec.structs.replace(
            self.job.status, submission=written.status.submission, destination=written.status.destination
        )
        self.job = msgspec.structs.replace(self.job, metadata=written.metadata, status=status)
        self.base = written

    def mark_recorded(self) -> None:
        """The database has all of it; Kubernetes not yet."""
        self._recorded = self.job
        self._moves = []

    def patch(self) -> dict[str, object]:
        """The merge patch from the base's status to the job's; empty where they are the same."""
        return _merge_patch(status_to_wire(self.base.status), status_to_wire(self.job.status))

    def _transition(
        self, before: JobStatus, job: Job, at: datetime, row: JobRow, destination: Destination | None
    ) -> Transition:
        number = job.status.transition or 0
        sent_to = destination or self.job.status.destination
        return Transition(
            uid=job.key,
            number=number,
            from_phase=before.phase if number else None,
            row=row,
            at=at,
            reason=": ".join(text for text in (job.status.reason, job.status.message) if text),
            destination=sent_to.to_text() if sent_to is not None else None,
        )

    def _row(self, job: Job, now: datetime) -> JobRow:
        tenant_id = self.job.status.tenant_id or ""
        return job_row(job, tenant_id=tenant_id, resources=self._resources, env=self.env, now=now)


def _merge_patch(old: Mapping[str, object], new: Mapping[str, object]) -> dict[str, object]:
    """RFC 7386: what changed; members that went away as null. Lists are replaced whole."""
    patch: dict[str, object] = {}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            if value != before:
                patch[name] = _merge_patch(before, value)
        elif value != before:
            patch[name] = value
    return patch | {name: None for name in old if name not in new}
