"""All Jobs of a cluster, each played by a task of its own, as a watch tells of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from controller.kube.client import KubeClient, items_of
from dev.emulators.control import LedgerEntry
from dev.emulators.kubernetes.calls import PATCH, delete, until_done
from dev.emulators.kubernetes.failure_policy import FIRST_SECONDS
from dev.emulators.kubernetes.jobs import JobRun
from dev.emulators.kubernetes.kubelet import Kubelet
from dev.emulators.kubernetes.objects import Object
from dev.emulators.kubernetes.watching import JOBS, OWNED, PODS, Sink, tell_of_a_failure, watching

FOREGROUND = "foregroundDeletion"


class JobController:
    """Use as ``async with JobController(client).running()``."""

    def __init__(
        self,
        client: KubeClient,
        *,
        step_seconds: float = 0.05,
        selector: str = "",
        backoff_seconds: float = FIRST_SECONDS,
    ) -> None:
        """`selector`: labels of the Jobs that are played; by default all are. `backoff_seconds`: from a Pod that failed
        to the next one, doubled each time."""
        self._backoff_seconds = backoff_seconds
        self._selector = selector
        self._client = client
        self._kubelet = Kubelet(client, step_seconds)
        self._runs: dict[str, JobRun] = {}
        """By the Job's uid; also of those that are gone, for the ledger."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._pods: dict[str, dict[str, Object]] = {}
        """By the Job's uid and the Pod's name: those that were there before us."""
        self._are_pods_known = asyncio.Event()

    def ledger(self) -> Sequence[LedgerEntry]:
        return [run.entry for run in self._runs.values()]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["JobController"]:
        pods = watching(self._client, PODS, OWNED, Sink(self._put_pod, self._remove_pod, self._are_pods_known.set))
        jobs = watching(self._client, JOBS, self._selector, Sink(self._put_job, self._remove_job))
        watches = [asyncio.create_task(watch.run()) for watch in (pods, jobs)]
        try:
            yield self
        finally:
            for task in (*watches, *self._tasks.values()):
                task.cancel()
            await asyncio.gather(*watches, *self._tasks.values(), return_exceptions=True)

    # --- what the watch tells --------------------------------------------------------------------------

    def _put_job(self, job: Object) -> None:
        uid = job["metadata"]["uid"]
        run = self._runs.get(uid)
        if run is None:
            run = self._runs[uid] = JobRun(self._client, self._kubelet, job, self._backoff_seconds)
            self._start(run)
            return
        was_suspended, was_deleted = run.is_suspended, run.is_being_deleted
        run.job = job
        if (run.is_suspended, run.is_being_deleted) != (was_suspended, was_deleted):
            self._start(run)

    def _remove_job(self, job: Object) -> None:
        uid = job["metadata"]["uid"]
        run = self._runs.get(uid)
        if run is not None:
            run.job = {**job, "metadata": {**job["metadata"], "deletionTimestamp": "now"}}
            self._start(run)

    def _put_pod(self, pod: Object) -> None:
        uid = pod["metadata"]["labels"][OWNED]
        self._pods.setdefault(uid, {})[pod["metadata"]["name"]] = pod
        if uid in self._runs:
            self._runs[uid].see(pod)

    def _remove_pod(self, pod: Object) -> None:
        uid, name = pod["metadata"]["labels"][OWNED], pod["metadata"]["name"]
        self._pods.get(uid, {}).pop(name, None)
        run = self._runs.get(uid)
        if run is not None and name in run.active:
            run.active[name].gone.set()

    def _start(self, run: JobRun) -> None:
        """Play the Job as it is from now on, and no longer as before."""
        uid = run.job["metadata"]["uid"]
        before = self._tasks.get(uid)

        async def in_turn() -> None:
            if before is not None:
                before.cancel()
                await asyncio.gather(before, return_exceptions=True)
            await self._play(run)

        self._tasks[uid] = asyncio.create_task(in_turn())
        self._tasks[uid].add_done_callback(tell_of_a_failure)

    async def _play(self, run: JobRun) -> None:
        if run.is_being_deleted:
            await self._collect(run)
        elif run.is_suspended:
            await run.suspend()
        else:
            await self._are_pods_known.wait()
            uid = run.job["metadata"]["uid"]
            await run.run(list(self._pods.get(uid, {}).values()))

    async def _collect(self, run: JobRun) -> None:
        """What the garbage collector does for a Job that is deleted, where there is none: its Pods and Secrets go, then
        the finalizer that it waited with."""
        meta = run.job["metadata"]
        await self._are_pods_known.wait()
        await run.remove_pods()
        run.removed()
        namespace = meta["namespace"]
        for name in list(self._pods.get(meta["uid"], {})):
            await delete(self._client, f"/api/v1/namespaces/{namespace}/pods/{name}")
        secrets = f"/api/v1/namespaces/{namespace}/secrets"
        for secret in items_of(await until_done(lambda: self._client.get(secrets)) or {}):
            if any(owner["uid"] == meta["uid"] for owner in secret["metadata"].get("ownerReferences") or ()):
                await delete(self._client, f"{secrets}/{secret['metadata']['name']}")
        if FOREGROUND in (meta.get("finalizers") or ()):
            left = [name for name in meta["finalizers"] if name != FOREGROUND]
            patch = {"metadata": {"finalizers": left, "uid": meta["uid"]}}
            await until_done(lambda: self._client.call("PATCH", run.path, body=patch, content_type=PATCH))
