"""What a job's tasks wrote, from their Pods' logs. Called by ``jennah logs``; it makes a client of its own."""

import os
from collections.abc import AsyncIterator

from controller.domain.errors import Invalid, NotFound
from controller.domain.job import Job
from controller.kube.client import KubeClient, load_configuration
from controller.kube.decoding import Decoder
from controller.providers.kubernetes import labels, places
from controller.providers.kubernetes.attempts import attempt_of
from controller.providers.kubernetes.cluster import PODS_PAGE
from controller.providers.kubernetes.wire import Pod, PodList

CALL_SECONDS = 60.0
"""The time limit of one Pod's log. A person waits for it, no lease does."""
LIMIT_BYTES = 32 * 2**20
"""Of each Pod, from its beginning."""

_pods = Decoder(PodList)


async def lines(job: Job) -> AsyncIterator[str]:
    """The lines of each task, all of its attempts in their order; those of an array's tasks begin with ``[INDEX] ``.

    Raises NotFound where no Pod is left or none has run, Forbidden, Unavailable.
    """
    where = places.parse(job.status.resource_path or "")
    if where is None:
        raise NotFound(f"the job {job.metadata.name!r} was not submitted to Kubernetes yet")
    configuration = await load_configuration(os.environ.get("KUBERNETES_JOB_KUBECONFIG", ""))
    async with KubeClient(configuration) as client:
        has_any = False
        for index, pod in await _attempts(client, where.namespace, job.metadata.uid):
            text = await _log(client, where.namespace, pod)
            if text is None:
                continue
            has_any = True
            for line in text.splitlines():
                yield f"[{index}] {line}" if job.spec.completions > 1 else line
            if len(text.encode()) >= LIMIT_BYTES:
                yield f"... cut after {LIMIT_BYTES} bytes: kubectl logs -n {where.namespace} {pod}"
        if not has_any:
            raise NotFound(f"{where.name} has no logs: none of its Pods has run, or they were removed")


async def _attempts(client: KubeClient, namespace: str, uid: str) -> list[tuple[int, str]]:
    """Index and Pod of each attempt, the first ones first."""
    query = {"labelSelector": f"{labels.UID}={uid}", "limit": PODS_PAGE}
    found: list[Pod] = []
    while True:
        page = _pods.decode(await client.read(places.pods(namespace), **query))
        found += page.items or ()
        if not page.metadata.continue_:
            break
        query["continue"] = page.metadata.continue_
    attempts = [(attempt_of(pod).index, str(pod.metadata.creation_timestamp), pod.metadata.name) for pod in found]
    return [(index, name) for index, _, name in sorted(attempts)]


async def _log(client: KubeClient, namespace: str, pod: str) -> str | None:
    """What the container wrote; None where it has not run, or is gone."""
    path = f"{places.pods(namespace)}/{pod}/log"
    try:
        return await client.get_text(
            path, seconds=CALL_SECONDS, container=places.CONTAINER, limitBytes=str(LIMIT_BYTES)
        )
    except (NotFound, Invalid):
        return None
