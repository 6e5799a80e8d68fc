"""What Kubernetes itself allows: a bare client that makes the writes of a job's life and nothing else.

For each job: the object, its Secret, and as many status patches as its life has at our operator, with the same bodies:
where it is sent, submitted, running, completed; where the operator finds a job ended that it had not yet told to be
running, that one is left out. Everything is prepared; what is left is the call and its answer.
"""

import asyncio
import os
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import aiohttp
import msgspec

from api import mapping
from controller.domain.job import Job, parse
from controller.domain.phases import Phase
from controller.domain.resources import Profiles, resolve
from controller.kube import paths
from controller.kube.client import MERGE_PATCH, load_configuration, open_session
from controller.ports import Observation
from controller.reconcile import statuses
from controller.reconcile.draft import Draft
from dev.bench import callers, instant
from dev.bench.installation import TENANT, Cpu, Installation
from dev.bench.turns import ENVIRONMENT, Turn

CONCURRENCIES = (4, 8, 16, 32, 64)
LIFE = (Phase.PENDING, Phase.RUNNING, Phase.COMPLETED)
ALL, SHORT = (0, 1, 2, 3), (0, 1, 3)
"""Patches of a job by number; of one that was not seen running."""
_UID = re.compile(rb'"uid":\s*"([0-9a-f-]{36})"')
_A_UID = "00000000-0000-4000-8000-000000000000"


class Client:
    """A session, and the bodies of all calls."""

    def __init__(self, session: aiohttp.ClientSession, host: str, namespace: str) -> None:
        self._session = session
        self._host = host
        self._namespace = namespace
        self._patches = [msgspec.json.encode({"status": patch}) for patch in status_patches()]
        secret = mapping.secret_object(ENVIRONMENT, name="NAME-env", job_name="NAME", namespace=namespace, uid=_A_UID)
        self._secret = msgspec.json.encode(secret)

    async def lead(self, job_id: str, body: bytes, patches: Sequence[int]) -> None:
        """One job through its life, of which it has those patches."""
        name = callers.object_name(job_id)
        made = await self._call("POST", paths.jobs(self._namespace), body)
        uid = _UID.search(made)
        assert uid is not None
        secret = self._secret.replace(_A_UID.encode(), uid[1]).replace(b"NAME", name.encode())
        await self._call("POST", paths.secrets(self._namespace), secret)
        path = paths.job_status(self._namespace, name)
        for number in patches:
            await self._call("PATCH", path, self._patches[number], MERGE_PATCH)

    async def _call(self, method: str, path: str, body: bytes, kind: str = "application/json") -> bytes:
        headers = {"Content-Type": kind}
        async with self._session.request(method, self._host + path, data=body, headers=headers) as answer:
            answer.raise_for_status()
            return await answer.read()

    def job(self, job_id: str) -> bytes:
        return msgspec.json.encode(job_object(job_id, self._namespace))


async def take_turn(made: Installation, jobs: int, concurrency: int, patches: float = len(ALL)) -> Turn:
    """So many jobs, at most `concurrency` at once, with so many status patches a job on average."""
    configuration = await load_configuration(str(made.kubeconfig))
    token = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
    headers = {"Authorization": token} if token else {}
    async with open_session(configuration, limit=0, headers=headers) as session:
        client = Client(session, configuration.host, made.namespace)
        await _lead_all(client, 2 * concurrency, concurrency, patches)  # connections, and what is loaded at first use
        cpu, version, begin = (
            Cpu(client=os.getpid(), api_server=made.server_pid),
            await made.version(),
            time.monotonic(),
        )
        await _lead_all(client, jobs, concurrency, patches)
        return Turn(
            jobs=jobs,
            seconds=time.monotonic() - begin,
            cpu_ms_a_job=cpu.ms_a_job(jobs),
            counts_a_job={"kubernetes_writes": (await made.version() - version) / jobs},
        )


async def _lead_all(client: Client, jobs: int, concurrency: int, patches: float) -> None:
    ids = [str(uuid.uuid4()) for _ in range(jobs)]
    whole = round((patches - len(SHORT)) * jobs)  # so many have all of them
    prepared = iter([(job_id, client.job(job_id), ALL if n < whole else SHORT) for n, job_id in enumerate(ids)])

    async def lead() -> None:
        for job_id, body, numbers in prepared:
            await client.lead(job_id, body, numbers)

    await asyncio.gather(*(lead() for _ in range(concurrency)))


def job_object(job_id: str, namespace: str, args: Sequence[str] = ()) -> dict[str, object]:
    """The object that SubmitJob would make."""
    request, secret_name = callers.request(job_id, **ENVIRONMENT), f"{callers.object_name(job_id)}-env"
    spec = mapping.job_spec(request, tenant_id=TENANT, job_id=job_id, secret_name=secret_name)
    spec = msgspec.structs.replace(spec, args=tuple(args) or spec.args)
    return mapping.job_object(spec, namespace=namespace, at=datetime.now(UTC), is_new_id=False)


def status_patches() -> Iterator[dict[str, object]]:
    """The patches of a job's life, as the operator makes them."""
    now = datetime.now(UTC)
    raw = job_object("bench", "default")
    metadata = {"name": "bench", "uid": _A_UID, "resourceVersion": "1", "creationTimestamp": now.isoformat()}
    job = parse({**raw, "metadata": {**msgspec.to_builtins(raw["metadata"]), **metadata}})
    job, patch = sent_status(job, now)
    yield patch
    for phase in LIFE:
        seen = instant.observation(job.external_name, job.key, phase, now)
        job, patch = next_status(job, seen, now)
        yield patch


def sent_status(job: Job, at: datetime) -> tuple[Job, dict[str, object]]:
    """The job once it is accepted and it is written down where it goes, and the status patch that makes it so."""
    draft = Draft(job, resolve(job.spec, Profiles()))
    status = statuses.accepted(job, tenant_id=TENANT, provider=instant.NAME)
    draft.set_status(statuses.sent_to(status, msgspec.structs.replace(instant.SITE, at=at)), at)
    return draft.job, draft.patch()


def next_status(job: Job, seen: Observation, at: datetime) -> tuple[Job, dict[str, object]]:
    """The job as the operator has it once that was seen, and the status patch that makes it so."""
    draft = Draft(job, resolve(job.spec, Profiles()))
    if not job.is_accepted:
        draft.set_status(statuses.accepted(job, tenant_id=TENANT, provider=instant.NAME), at)
    draft.set_status(statuses.observed(draft.job, seen, at), at)
    return draft.job, draft.patch()
