"""Plays one Job: what the Job controller of kube-controller-manager does with it, in the order of Kubernetes 1.31."""

import asyncio
import time
from collections.abc import Sequence

from controller.kube.client import KubeClient
from controller.providers.kubernetes.observation import indexes
from dev.emulators.control import LedgerEntry
from dev.emulators.kubernetes import failure_policy, objects
from dev.emulators.kubernetes.calls import PATCH, delete, until_done
from dev.emulators.kubernetes.kubelet import Kubelet, Played, Result
from dev.emulators.kubernetes.objects import Object

GROUP = "jennah.alphaus.cloud"


def entry_of(job: Object, *, state: str, ran_seconds: float, exit_code: int | None) -> LedgerEntry:
    """What the ledger has of a Job."""
    meta = job["metadata"]
    labels = meta.get("labels") or {}
    return LedgerEntry(
        id=meta["uid"],
        name=labels.get(f"{GROUP}/external-name", meta["name"]),
        uid=labels.get(f"{GROUP}/uid", ""),
        state=state,
        created_at=time.mktime(time.strptime(meta["creationTimestamp"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone,
        ran_seconds=ran_seconds,
        exit_code=exit_code,
    )


class JobFails(Exception):
    """The failure policy ends the whole Job, for that Pod."""

    def __init__(self, pod: Object) -> None:
        self.pod = pod


class JobRun:
    """One Job. `run` plays it; its Pods are renewed by `see`."""

    def __init__(self, client: KubeClient, kubelet: Kubelet, job: Object, backoff_seconds: float) -> None:
        self.job = job
        self._backoff_seconds = backoff_seconds
        self._client = client
        self._kubelet = kubelet
        self.active: dict[str, Played] = {}
        """By the Pod's name."""
        self._succeeded: set[int] = set()
        self._failed: set[int] = set()
        self._pods: dict[str, Object] = {}
        """By name, those that failed as well."""
        self._moved = asyncio.Event()
        """Set, and another one from then on, when a Pod changes."""
        self._tries: dict[int, int] = {}
        """Failures that count, of each task."""
        self._uncounted: set[int] = set()
        """Tasks whose last Pod failed and is counted once the next one is made, or none is."""
        self._disrupted: dict[int, int] = {}
        status = job.get("status") or {}
        self._started = status.get("startTime") or ""
        self._conditions = {one["type"]: one for one in status.get("conditions") or ()}
        self._counted = status.get("failed") or 0
        """Failures that were written once: a counter never goes back, though a Pod that was deleted is seen no more."""
        self._ran_seconds = 0.0
        self._exit_code: int | None = None
        self._state = "Active"
        self._remade = 0

    @property
    def path(self) -> str:
        meta = self.job["metadata"]
        return f"/apis/batch/v1/namespaces/{meta['namespace']}/jobs/{meta['name']}"

    @property
    def is_being_deleted(self) -> bool:
        return "deletionTimestamp" in self.job["metadata"]

    @property
    def is_suspended(self) -> bool:
        return bool(self.job["spec"].get("suspend"))

    @property
    def entry(self) -> LedgerEntry:
        ran_seconds = self._ran_seconds + sum(one.is_running for one in self.active.values())
        return entry_of(self.job, state=self._state, ran_seconds=ran_seconds, exit_code=self._exit_code)

    def see(self, pod: Object) -> None:
        """A Pod of the Job as the watch tells of it."""
        name = pod["metadata"]["name"]
        if name in self.active:
            self.active[name].see(pod)
        self._pods[name] = pod
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def removed(self) -> None:
        """The Job is gone."""
        if self._state == "Active":
            self._state = "Deleted"

    async def run(self, pods: Sequence[Object]) -> None:
        """To its end and the end of its TTL. Cancelled when the Job is suspended, deleted or gone.

        `pods`: of the Job, by an earlier run of this program.
        """
        if "Complete" in self._conditions or "Failed" in self._conditions:
            self._state = "Complete" if "Complete" in self._conditions else "Failed"
        else:
            if "Suspended" in self._conditions:
                resumed = objects.condition("Suspended", False, reason="JobResumed", message="Job resumed")
                self._conditions["Suspended"] = resumed
            await self._take_over(pods)
            self._started = self._started or objects.now()
            await self._work()
        ttl = self.job["spec"].get("ttlSecondsAfterFinished")
        if ttl is not None:
            await asyncio.sleep(ttl)
            await until_done(lambda: self._client.delete(self.path, propagation="Foreground"))

    async def suspend(self) -> None:
        """All Pods go, and a condition says so."""
        await self.remove_pods()
        self._started = ""
        told = objects.condition("Suspended", reason="JobSuspended", message="Job suspended")
        await self._tell(told)

    async def remove_pods(self) -> None:
        """Delete the Pods that have not ended."""
        for name in list(self.active):
            await self._delete_pod(name)
            self._put_away(name)

    async def _delete_pod(self, name: str) -> None:
        await delete(self._client, f"/api/v1/namespaces/{self.job['metadata']['namespace']}/pods/{name}")

    # --- the tasks -------------------------------------------------------------------------------------

    async def _take_over(self, pods: Sequence[Object]) -> None:
        """Count the Pods that there are. Those that have not ended are made anew."""
        self._tries.clear()
        status = self.job.get("status") or {}
        self._succeeded |= set(indexes(status.get("completedIndexes") or ""))
        self._failed |= set(indexes(status.get("failedIndexes") or ""))
        for pod in pods:
            self._pods[pod["metadata"]["name"]] = pod
            phase = (pod.get("status") or {}).get("phase")
            index = _index(pod)
            if phase == "Succeeded":
                self._succeeded.add(index)
            elif phase == "Failed":
                counted = self._disrupted if failure_policy.action(self.job, pod) == "Ignore" else self._tries
                counted[index] = counted.get(index, 0) + 1
            else:
                self._remade += 1
                await self._delete_pod(pod["metadata"]["name"])
        if (self.job["spec"].get("completions") or 1) == 1:
            self._tries[0] = max(self._tries.get(0, 0), self._counted)

    async def _work(self) -> None:
        spec = self.job["spec"]
        total = spec.get("completions") or 1
        slots = asyncio.Semaphore(spec.get("parallelism") or 1)
        left = [index for index in range(total) if index not in self._succeeded | self._failed]
        await self._tell()
        try:
            async with asyncio.timeout(spec.get("activeDeadlineSeconds")):
                await self._try_all(left, slots)
        except TimeoutError:
            await self._finish("DeadlineExceeded")
            return
        except JobFails as failure:
            await self._finish("PodFailurePolicy", failure.pod)
            return
        if len(self._succeeded) == total:
            await self._finish("CompletionsReached")
        else:
            await self._finish("FailedIndexes" if self._is_limited_per_index else "BackoffLimitExceeded")

    async def _try_all(self, left: Sequence[int], slots: asyncio.Semaphore) -> None:
        """All those tasks. Raises JobFails as soon as a Pod has failed that ends the Job."""
        try:
            async with asyncio.TaskGroup() as group:
                policy = group.create_task(self._fail_by_policy())
                await asyncio.gather(*(group.create_task(self._task(index, slots)) for index in left))
                policy.cancel()
        except BaseExceptionGroup as group_of:
            raise group_of.exceptions[0] from None

    async def _fail_by_policy(self) -> None:
        while True:
            for pod in self._pods.values():
                if failure_policy.action(self.job, pod) == "FailJob":
                    raise JobFails(pod)
            await self._moved.wait()

    @property
    def _is_limited_per_index(self) -> bool:
        return "backoffLimitPerIndex" in self.job["spec"]

    async def _task(self, index: int, slots: asyncio.Semaphore) -> None:
        spec = self.job["spec"]
        limit = spec.get("backoffLimitPerIndex", spec.get("backoffLimit", 6))
        async with slots:
            while self._tries.get(index, 0) <= limit:
                result, name = await self._attempt(index)
                if result is Result.SUCCEEDED:
                    self._succeeded.add(index)
                    if len(self._succeeded) < (spec.get("completions") or 1):
                        await self._tell()
                    return
                if not await self._is_tried_again(index, name, limit):
                    return
            self._failed.add(index)

    async def _is_tried_again(self, index: int, name: str, limit: int) -> bool:
        """Count the Pod that failed, and wait until its task may have another; False where it shall not."""
        action = self._action(name)
        if action == "FailJob":
            await asyncio.Event().wait()  # for the end of the Job, which is near
        is_over = action == "FailIndex" or (action != "Ignore" and self._tries.get(index, 0) >= limit)
        if action == "Ignore":
            self._disrupted[index] = self._disrupted.get(index, 0) + 1
        elif is_over or not self._is_limited_per_index:
            self._tries[index] = self._tries.get(index, 0) + 1
        else:
            self._uncounted.add(index)
        if is_over:
            self._failed.add(index)
        await self._tell()
        if is_over:
            return False
        ended = self._tries.get(index, 0) + self._disrupted.get(index, 0) + (index in self._uncounted)
        is_marked = await self._wait_for_policy(name, failure_policy.pause(self._backoff_seconds, ended))
        if index in self._uncounted or (is_marked and action == "Ignore"):
            self._uncounted.discard(index)
            self._tries[index] = self._tries.get(index, 0) + 1
            if is_marked:
                self._failed.add(index)
            await self._tell()
        return not is_marked

    async def _wait_for_policy(self, name: str, seconds: float) -> bool:
        """For so long; True as soon as the policy says of that Pod that its task is not tried again."""
        try:
            async with asyncio.timeout(seconds):
                while self._action(name) != "FailIndex":
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    def _action(self, name: str) -> str:
        """What the failure policy says of that Pod; one that is gone is a failure."""
        pod = self._pods.get(name)
        return (failure_policy.action(self.job, pod) if pod is not None else "") or failure_policy.COUNT

    async def _attempt(self, index: int) -> tuple[Result, str]:
        """How the next Pod of that task ended, and its name."""
        fault = objects.fault_of(self.job["spec"]["template"].get("metadata", {}))
        if fault == "Preempted" and self._disrupted.get(index):
            fault = ""  # once is enough
        failures = self._tries.get(index, 0)
        attempt = failures + self._disrupted.get(index, 0) + self._remade
        pod = await self._kubelet.make(self.job, index, attempt, failures, self._disrupted.get(index, 0))
        if pod is None:
            return Result.FAILED, ""
        played = self.active[pod["metadata"]["name"]] = Played(pod)
        result = await self._kubelet.play(played, fault)
        # One that was cut off stays among the active: `remove_pods` sees to it.
        self._exit_code = played.exit_code
        name = pod["metadata"]["name"]
        self._put_away(name)
        self.see(played.pod)
        return result, name

    def _put_away(self, name: str) -> None:
        played = self.active.pop(name, None)
        if played is not None:
            self._ran_seconds += played.ran_seconds

    # --- status ----------------------------------------------------------------------------------------

    async def _finish(self, reason: str, culprit: Object | None = None) -> None:
        """First what is decided, then, once no Pod is left, the end. `culprit`: the Pod that the policy ends the Job
        for."""
        is_good = reason == "CompletionsReached"
        message = failure_policy.message(self.job, culprit) if culprit is not None else objects.MESSAGES[reason]
        if culprit is not None:
            # Pods that still run count as failed, and so does that one if it was not counted before.
            for index in {_index(culprit), *map(_index, (one.pod for one in self.active.values())), *self._uncounted}:
                self._tries[index] = self._tries.get(index, 0) + 1
        decided, end = ("SuccessCriteriaMet", "Complete") if is_good else ("FailureTarget", "Failed")
        await self._tell(objects.condition(decided, reason=reason, message=message))
        await self.remove_pods()
        last = objects.condition(end, reason=reason, message=message)
        self._uncounted.clear()
        await self._tell(last, completed=objects.now() if is_good else "")
        self._state = end

    async def _tell(self, *conditions: Object, completed: str = "") -> None:
        self._conditions |= {one["type"]: one for one in conditions}
        self._counted = max(self._counted, sum(self._tries.values()))
        status = objects.job_status(
            self.job,
            started=self._started,
            active=len(self.active),
            ready=sum(one.is_running for one in self.active.values()),
            succeeded=self._succeeded,
            failures=self._counted,
            failed=self._failed,
            conditions=list(self._conditions.values()),
            completed=completed,
        )
        path = f"{self.path}/status"
        await until_done(lambda: self._client.call("PATCH", path, body={"status": status}, content_type=PATCH))


def _index(pod: Object) -> int:
    return int((pod["metadata"].get("annotations") or {}).get(objects.INDEX, 0))
