"""The nodes alone: plays the Pods that a real Job controller makes, where there are no nodes that would run them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import msgspec

from controller.kube.client import KubeClient
from dev.emulators.control import LedgerEntry
from dev.emulators.kubernetes import objects
from dev.emulators.kubernetes.jobs import entry_of
from dev.emulators.kubernetes.kubelet import Kubelet, Played, Result
from dev.emulators.kubernetes.objects import Object
from dev.emulators.kubernetes.watching import JOBS, OWNED, PODS, Sink, tell_of_a_failure, watching

ENDS = ("Complete", "Failed")


class _Job(msgspec.Struct):
    """A Job as it was seen last, and what ran of it."""

    job: Object
    is_gone: bool = False
    runs: list[Played] = []

    @property
    def entry(self) -> LedgerEntry:
        conditions = (self.job.get("status") or {}).get("conditions") or ()
        ends = [one["type"] for one in conditions if one["type"] in ENDS and one["status"] == "True"]
        # Of a Job that was deleted before it was told to have ended nobody knows how its last Pod did.
        codes = [one.exit_code for one in self.runs if one.exit_code is not None and ends]
        return entry_of(
            self.job,
            state=next(iter(ends), "Deleted" if self.is_gone else "Active"),
            ran_seconds=sum(one.ran_seconds + one.is_running for one in self.runs),
            exit_code=codes[-1] if codes else None,
        )


class Nodes:
    """Use as ``async with Nodes(client).running()``."""

    def __init__(self, client: KubeClient, *, step_seconds: float = 0.05, selector: str = "") -> None:
        """`selector`: labels of the Jobs, and of their Pods, that are played; by default all are."""
        self._client = client
        self._selector = selector
        self._kubelet = Kubelet(client, step_seconds)
        self._jobs: dict[str, _Job] = {}
        """By uid; also those that are gone, for the ledger."""
        self._runs: dict[str, list[Played]] = {}
        """By the Job's uid: its Pods may be told of before it is."""
        self._pods: dict[str, Played] = {}
        """By the Pod's uid."""
        self._disrupted: set[tuple[str, str]] = set()
        """Uids of Jobs and indexes of tasks that were preempted: once is enough."""
        self._tasks: set[asyncio.Task[None]] = set()

    def ledger(self) -> Sequence[LedgerEntry]:
        return [one.entry for one in self._jobs.values()]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Nodes"]:
        owned = ",".join(filter(None, (self._selector, OWNED)))
        pods = watching(self._client, PODS, owned, Sink(self._put_pod, self._remove_pod))
        jobs = watching(self._client, JOBS, self._selector, Sink(self._put_job, self._remove_job))
        watches = [asyncio.create_task(watch.run()) for watch in (pods, jobs)]
        try:
            yield self
        finally:
            for task in (*watches, *self._tasks):
                task.cancel()
            await asyncio.gather(*watches, *self._tasks, return_exceptions=True)

    # --- what the watch tells --------------------------------------------------------------------------

    def _put_job(self, job: Object) -> None:
        uid = job["metadata"]["uid"]
        self._jobs[uid] = _Job(job, runs=self._runs.setdefault(uid, []))

    def _remove_job(self, job: Object) -> None:
        self._put_job(job)
        self._jobs[job["metadata"]["uid"]].is_gone = True

    def _put_pod(self, pod: Object) -> None:
        meta = pod["metadata"]
        known = self._pods.get(meta["uid"])
        if known is not None:
            known.see(pod)
        elif "deletionTimestamp" not in meta and (pod.get("status") or {}).get("phase") == "Pending":
            self._start(pod)

    def _remove_pod(self, pod: Object) -> None:
        known = self._pods.get(pod["metadata"]["uid"])
        if known is not None:
            known.gone.set()

    def _start(self, pod: Object) -> None:
        meta = pod["metadata"]
        played = self._pods[meta["uid"]] = Played(pod)
        self._runs.setdefault(meta["labels"][OWNED], []).append(played)
        task = asyncio.create_task(self._play(played))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(tell_of_a_failure)

    async def _play(self, played: Played) -> None:
        meta = played.pod["metadata"]
        task = (meta["labels"][OWNED], meta["labels"].get(objects.INDEX, ""))
        fault = objects.fault_of(meta)
        result = await self._kubelet.play(played, "" if fault == "Preempted" and task in self._disrupted else fault)
        if result is Result.DISRUPTED:
            self._disrupted.add(task)
