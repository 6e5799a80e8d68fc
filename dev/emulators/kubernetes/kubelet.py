"""Plays one Pod from its making to its end: the scheduler and the kubelet, without a node or a container."""

import asyncio
import time
from enum import Enum, auto
from functools import partial
from typing import Any

from controller.domain.errors import AlreadyExists, Forbidden, NotFound, Retryable
from controller.kube.client import KubeClient
from controller.kube.listwatch import number_of
from dev.emulators import commands
from dev.emulators.kubernetes import objects
from dev.emulators.kubernetes.calls import AGAIN_SECONDS, PATCH, until_done
from dev.emulators.kubernetes.objects import Object


class Result(Enum):
    """How an attempt ended."""

    SUCCEEDED = auto()
    FAILED = auto()
    DISRUPTED = auto()
    """The cluster put an end to it: podFailurePolicy ignores that."""


class Played:
    """What a Pod came to."""

    def __init__(self, pod: Object) -> None:
        self.pod = pod
        self.is_running = False
        self.ran_seconds = 0.0
        self.exit_code: int | None = None
        self.gone = asyncio.Event()
        """Somebody deleted the Pod, or put an end to it."""

    def see(self, pod: Object) -> None:
        """The Pod as the watch tells of it."""
        if number_of(pod["metadata"]["resourceVersion"]) > number_of(self.pod["metadata"]["resourceVersion"]):
            self.pod = pod
        if (pod.get("status") or {}).get("phase") == "Failed" or "deletionTimestamp" in pod["metadata"]:
            self.gone.set()


class Kubelet:
    """All nodes of the cluster."""

    def __init__(self, client: KubeClient, step_seconds: float) -> None:
        self._client = client
        self._step = step_seconds

    async def make(self, job: Object, index: int, attempt: int, failures: int, disruptions: int) -> Object | None:
        """The Pod for that attempt; None where the namespace goes."""
        body = objects.pod(job, index, attempt, failures, disruptions)
        namespace, name = job["metadata"]["namespace"], body["metadata"]["name"]
        path = f"/api/v1/namespaces/{namespace}/pods"
        while True:
            try:
                return await self._client.post(path, body)
            except AlreadyExists:
                return await until_done(lambda: self._client.get(f"{path}/{name}"))
            except NotFound:
                return None
            except Forbidden as error:
                if "serviceaccount" not in str(error):
                    return None
                await self._make_account(namespace)
            except Retryable:
                await asyncio.sleep(AGAIN_SECONDS)

    async def _make_account(self, namespace: str) -> None:
        """A bare API server has nobody who makes each namespace's own one."""
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        await until_done(lambda: self._client.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", account))

    async def play(self, played: Played, fault: str) -> Result:
        """From the queue to the end; the Pod exists."""
        pod = played.pod
        container = pod["spec"]["containers"][0]
        if fault == "Unschedulable":
            await self._tell(played, objects.unschedulable())
            await played.gone.wait()
            return Result.FAILED
        await self._pause(played)
        await self._tell(played, objects.waiting(container))
        await self._pause(played)
        if fault in ("ImagePullBackOff", "InvalidImageName"):
            for reason in ("ErrImagePull", fault) if fault == "ImagePullBackOff" else (fault,):
                text = objects.MESSAGES[reason].format(image=container["image"])
                await self._tell(played, objects.waiting(container, reason, text))
                await self._pause(played)
            await self._end_at_the_deadline(played, container, fault)
            return Result.FAILED
        await self._wait_for_environment(played, container)
        if played.gone.is_set():
            return Result.FAILED
        started, begun = objects.now(), time.monotonic()
        await self._tell(played, objects.running(container, started))
        played.is_running = True
        try:
            return await self._run(played, container, started, fault)
        finally:
            played.is_running = False
            played.ran_seconds = time.monotonic() - begun

    async def _run(self, played: Played, container: Object, started: str, fault: str) -> Result:
        words = [*(container.get("command") or ()), *(container.get("args") or ())]
        plan = commands.plan([objects.expanded(word) for word in words])
        deadline = played.pod["spec"].get("activeDeadlineSeconds")
        is_late = deadline is not None and plan.seconds > deadline
        await self._sleep(played, deadline if is_late else plan.seconds)
        if played.gone.is_set():
            return Result.FAILED
        status: Object
        result = Result.FAILED
        if fault == "SidecarRunsOn" and not is_late and deadline is not None:
            status = objects.ended(container, started, plan.exit_code)
            await self._tell(played, objects.beside(status, running=True))
            await self._sleep(played, deadline - plan.seconds)
            status = objects.beside(status, running=False)
            status = objects.put_out(status, reason="DeadlineExceeded", message=objects.MESSAGES["Deadline"])
        elif is_late:
            status = objects.ended(container, started, 137)
            status = objects.put_out(status, reason="DeadlineExceeded", message=objects.MESSAGES["Deadline"])
        elif fault == "OOMKilled":
            status = objects.ended(container, started, 137, reason="OOMKilled")
        elif fault == "Evicted":
            status = objects.ended(container, started, 137)
            status = objects.put_out(status, reason="Evicted", message=objects.MESSAGES["Evicted"])
        elif fault in ("Preempted", "PreemptedEachTime"):
            status, result = objects.ended(container, started, 143), Result.DISRUPTED
            text = objects.MESSAGES["Preempted"]
            status = objects.put_out(status, message=text, disruption="PreemptionByScheduler")
        else:
            status = objects.ended(container, started, plan.exit_code)
            result = Result.SUCCEEDED if plan.exit_code == 0 else Result.FAILED
        played.exit_code = status["containerStatuses"][0]["state"]["terminated"]["exitCode"]
        await self._tell(played, status)
        return result

    async def _end_at_the_deadline(self, played: Played, container: Object, reason: str) -> None:
        deadline = played.pod["spec"].get("activeDeadlineSeconds")
        if deadline is None:
            await played.gone.wait()
            return
        await self._sleep(played, deadline)
        if played.gone.is_set():
            return
        text = objects.MESSAGES[reason].format(image=container["image"])
        status = objects.waiting(container, reason, text)
        late = objects.put_out(status, reason="DeadlineExceeded", message=objects.MESSAGES["Deadline"])
        await self._tell(played, late)

    async def _wait_for_environment(self, played: Played, container: Object) -> None:
        """Until each Secret that the container's environment needs is there."""
        path = f"/api/v1/namespaces/{played.pod['metadata']['namespace']}/secrets"
        for source in container.get("envFrom") or ():
            name, is_told = source["secretRef"]["name"], False
            while not played.gone.is_set():
                if await until_done(partial(self._client.get, f"{path}/{name}")):
                    break
                if not is_told:
                    is_told = True
                    text = f'secret "{name}" not found'
                    await self._tell(played, objects.waiting(container, "CreateContainerConfigError", text))
                await self._pause(played)

    async def _tell(self, played: Played, status: Object) -> None:
        """Write the Pod's status. One that is gone, or goes, needs none."""
        meta: dict[str, Any] = played.pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status"
        body = {"status": objects.kept(status, played.pod.get("status") or {})}
        told = await until_done(lambda: self._client.call("PATCH", path, body=body, content_type=PATCH))
        played.pod = told or played.pod

    async def _pause(self, played: Played) -> None:
        await self._sleep(played, self._step)

    async def _sleep(self, played: Played, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await played.gone.wait()
        except TimeoutError:
            return
