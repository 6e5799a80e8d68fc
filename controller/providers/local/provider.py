"""Jobs as local processes: the adapter. Everything it knows is in the jobs' folders, so a restart forgets nothing."""

import asyncio
import math
import re
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from controller.domain import reasons
from controller.domain.destination import Destination
from controller.domain.errors import Permanent, Unavailable, Unreachable
from controller.domain.job import JobSpec
from controller.ports import Clock, JobRef, Observation, OwnedJob, SubmitRequest
from controller.providers.local import destination, differences, mapping, rules
from controller.providers.local.folder import JobFolder, Stamp, Unreadable

T = TypeVar("T")

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # and so no way out of the folder of folders


class LocalProvider:
    """`ports.BatchProvider` on this machine.

    Looking also tends: a job whose runner was never started gets one, one whose runner died gets its end.
    """

    name = "local"
    names_are_ids = True
    cancel_erases = False
    remembers_seconds = math.inf

    def __init__(self, data_dir: Path, region: str, clock: Clock) -> None:
        self.region = region
        self._root = data_dir.absolute() / destination.FOLDER
        self._clock = clock
        self._seen: dict[str, tuple[Stamp, mapping.StateFile]] = {}

    @property
    def site(self) -> Destination:
        return Destination(provider=self.name, account=str(self._root))

    def destination(self, spec: JobSpec, namespace: str) -> Destination:
        return self.site

    async def open(self) -> None:
        """Nothing to do: the folder is made with the first job."""

    async def prepare(self, request: SubmitRequest) -> None:
        """Nothing to do: names are ids here."""

    async def submit(self, request: SubmitRequest) -> Observation:
        self._check(request.destination)
        rules.check(request.spec, request.resources, request.sizing, request.env)
        seen = await _in_thread(lambda: self._submit(request))
        return msgspec.structs.replace(seen, remarks=differences.remarks(request))

    async def get(self, ref: JobRef) -> Observation | None:
        self._check(ref.destination)
        return await _in_thread(lambda: self._look(ref.external_name))

    async def observe(self, refs: Collection[JobRef]) -> Mapping[str, Observation]:
        for ref in refs:
            self._check(ref.destination)
        names = {ref.external_name for ref in refs}
        return await _in_thread(lambda: self._look_at_all(names))

    async def unclaimed(self, claimed: Set[str], *, ended_since: datetime | None = None) -> Sequence[OwnedJob]:
        return await _in_thread(lambda: self._unclaimed(claimed, ended_since))

    async def find(self, ref: JobRef) -> Sequence[Observation]:
        seen = await self.get(ref)
        return [seen] if seen is not None and seen.uid == ref.uid else []

    async def cancel(self, ref: JobRef, *, reason: str) -> bool:
        self._check(ref.destination)
        return await _in_thread(lambda: self._cancel(ref.external_name, reason))

    async def delete(self, ref: JobRef) -> None:
        self._check(ref.destination)
        await _in_thread(lambda: self._delete(ref.external_name))

    async def close(self) -> None:
        """Nothing to do: the jobs go on without us."""

    def _check(self, sent: Destination | None) -> None:
        """Raises Unreachable for a destination in another folder."""
        if sent is not None and sent.site != self.site:
            raise Unreachable(f"the job was sent to {sent.site}, and this controller has {self.site}")

    def _submit(self, request: SubmitRequest) -> Observation:
        name = request.external_name
        folder = self._folder(name)
        if folder is None:
            raise Permanent(f"{name!r} is no name for a job", reason=reasons.SUBMISSION_REFUSED)
        if not folder.create(mapping.job_file(request, submitted_at=self._clock.now())):
            job = folder.job()
            if job is None or job.uid != request.uid:
                raise Permanent(f"another job has the name {name!r}", reason=reasons.NAME_TAKEN)
        observation = self._look(name)
        if observation is None:
            raise Unavailable("the job's folder was removed while it was submitted")
        return observation

    def _cancel(self, name: str, reason: str) -> bool:
        folder = self._folder(name)
        if folder is None or not folder.path.is_dir():
            return False
        folder.request_cancel(reason)
        return True

    def _delete(self, name: str) -> None:
        """Remove the folder of a job that has ended, with its logs."""
        folder = self._folder(name)
        state = folder.state() if folder is not None else None
        if folder is not None and state is not None and state.phase.is_terminal:
            shutil.rmtree(folder.path, ignore_errors=True)
            self._seen.pop(name, None)

    def _look_at_all(self, names: Collection[str]) -> dict[str, Observation]:
        found: dict[str, Observation] = {}
        for name in names:
            try:
                observation = self._look(name)
            except Unreadable:
                continue  # in doubt: a get will say more
            if observation is not None:
                found[name] = observation
        self._seen = {name: seen for name, seen in self._seen.items() if name in found}
        return found

    def _unclaimed(self, claimed: Set[str], ended_since: datetime | None) -> list[OwnedJob]:
        found: list[OwnedJob] = []
        for path in sorted(self._root.glob("[!.]*/job.json")):
            try:
                job = JobFolder(path.parent).job()
                if job is None or job.uid in claimed:
                    continue
                seen = self._look(path.parent.name)
            except Unreadable:
                continue  # it does not say whose it is
            if seen is not None and (not seen.has_ended or _is_later(seen.completed_at, ended_since)):
                found.append(mapping.owned(job, seen))
        return found

    def _look(self, name: str) -> Observation | None:
        """How that job stands. None where there is none. Raises Unreadable."""
        folder = self._folder(name)
        if folder is None:
            return None
        try:
            state = self._state(folder)
        except Unreadable:
            state = None  # without a runner that would write it anew it has to be given an end
        if state is None or not state.phase.is_terminal:
            folder.tend(self._clock.now())
            state = self._state(folder)
        place = mapping.Place(region=self.region, folder=folder.path)
        if state is not None:
            return mapping.observation(state, place)
        job = folder.job()
        return mapping.waiting(job, place) if job is not None else None

    def _state(self, folder: JobFolder) -> mapping.StateFile | None:
        """The job's state; a file that did not change is not read again."""
        stamp = folder.state_stamp()
        if stamp is None:
            return None
        seen = self._seen.get(folder.path.name)
        if seen is not None and seen[0] == stamp:
            return seen[1]
        state = folder.state()
        if state is not None:
            self._seen[folder.path.name] = (stamp, state)
        return state

    def _folder(self, name: str) -> JobFolder | None:
        return JobFolder(self._root / name) if _NAME.fullmatch(name) else None


def _is_later(time: datetime | None, since: datetime | None) -> bool:
    return time is not None and since is not None and time >= since


async def _in_thread(call: Callable[[], T]) -> T:
    """What the call returns. Raises Unavailable for what the file system refused."""
    try:
        return await asyncio.to_thread(call)
    except Unreadable as error:
        raise Unavailable(str(error)) from error
    except OSError as error:
        raise Unavailable(f"the jobs' folder cannot be used: {error.strerror}") from error
