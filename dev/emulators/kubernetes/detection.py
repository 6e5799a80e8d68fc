"""Whether kube-controller-manager runs beside an API server: by what it does, as it need not hold a lease."""

import asyncio
import contextlib
import uuid

from controller.domain.errors import NotFound
from controller.kube.client import KubeClient, Object

WITHIN_SECONDS = 10.0
"""So long is waited for what is done at once where it runs."""
LOOK_SECONDS = 0.1
_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"
_JOBS = "/apis/batch/v1/namespaces/default/jobs"


async def has_controllers(client: KubeClient) -> bool:
    """Whether a Job that is made, suspended, in the namespace `default` is told to be so. It is removed again.

    Raises as `KubeClient.call` does.
    """
    try:
        await client.get(_ACCOUNT)
    except NotFound:
        return False  # it makes one in each namespace: none ever ran here
    name = f"jennah-probe-{uuid.uuid4().hex[:8]}"
    await client.post(_JOBS, _probe(name))
    try:
        async with asyncio.timeout(WITHIN_SECONDS):
            while not _is_seen(await client.get(f"{_JOBS}/{name}")):
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        return False
    finally:
        with contextlib.suppress(NotFound):
            await client.delete(f"{_JOBS}/{name}")
    return True


def _probe(name: str) -> Object:
    """A Job that gets no Pods."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "probe", "image": "busybox"}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"suspend": True, "template": {"spec": pod}},
    }


def _is_seen(job: Object) -> bool:
    return any(one["type"] == "Suspended" for one in (job.get("status") or {}).get("conditions") or ())
