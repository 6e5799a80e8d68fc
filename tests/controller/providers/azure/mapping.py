"""What the Azure adapter makes of a spec, for the tests that hold all adapters to the same."""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from azure.batch._utils.model_base import SdkJSONEncoder

from controller.cloud_settings import AzureSettings, NodeSize
from controller.domain import names
from controller.domain.job import JobSpec
from controller.domain.resources import Profiles, resolve, size
from controller.ports import SubmitRequest
from controller.providers.azure import marker, places, pools, request, shared_jobs
from controller.providers.azure.pools import Pool
from tests.contract.azure_service import azure_settings
from tests.controller.providers.mapped import Mapped

UID = str(uuid.UUID(int=7))
T0 = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = azure_settings(
    "https://jennah.westeurope.batch.azure.com",
    pools={
        "spot": "jennah-spot",
        "gpu": "jennah-gpu",
        "gpu+spot": "jennah-gpu",
        "nvidia-tesla-t4": "jennah-gpu",
        "a100": "jennah-a100",
        "Standard_F8s_v2": "jennah-f8",
        "Standard_NC4as_T4_v3": "jennah-gpu",
        "n1-standard-4": "jennah-gpu",
        "c2-standard-60": "jennah-large",
    },
    nodes={
        "jennah-a100": NodeSize(cpu_millis=96_000, memory_mib=921_600, gpus=8),
        "jennah-gpu": NodeSize(cpu_millis=4000, memory_mib=28_672, gpus=1),
        "jennah-large": NodeSize(cpu_millis=64_000, memory_mib=262_144, gpus=0),
        "Standard_F8s_v2": NodeSize(cpu_millis=8000, memory_mib=16_384, gpus=0),
        "Standard_F64s_v2": NodeSize(cpu_millis=64_000, memory_mib=131_072, gpus=0),
    },
)
"""A slot of the pools without GPUs has 1 CPU and 2 GiB: the share that the profiles have."""
POOLS = {
    "jennah": Pool(id="jennah", vm_size="Standard_F64s_v2", slots=64, takes_containers=True, has_spot=False),
    "jennah-f8": Pool(id="jennah-f8", vm_size="Standard_F8s_v2", slots=8, takes_containers=True, has_spot=False),
    "jennah-spot": Pool(id="jennah-spot", vm_size="Standard_F64s_v2", slots=64, takes_containers=True, has_spot=True),
    "jennah-gpu": Pool(id="jennah-gpu", vm_size="Standard_NC4as_T4_v3", slots=1, takes_containers=True, has_spot=True),
    "jennah-a100": Pool(id="jennah-a100", vm_size="Standard_ND96asr_v4", slots=1, takes_containers=True),
    "jennah-large": Pool(id="jennah-large", vm_size="Standard_D64s_v5", slots=16, takes_containers=True),
}


def mapped(spec: JobSpec, env: Mapping[str, str], *, settings: AzureSettings = SETTINGS) -> Mapped:
    """The shared job, the first task and how many are made at first; of other tasks only id and index differ."""
    wanted = wanted_of(spec, env)
    request.rules.check(spec, wanted.resources, wanted.sizing, env)
    pool = pool_of(pools.choose(spec, settings))
    shared = places.shared_job(settings, pool.id, spec.priority, T0)
    where = places.place(shared.id(0), wanted.external_name, spec.completions)
    [task] = request.tasks(wanted, where, pool, settings, stop=1)
    return Mapped(
        sent={
            "job": _json(shared_jobs._create_options(shared, 0)),
            "task": _json(task),
            "tasks": {"made": request.window(spec), "of": spec.completions},
        },
        remarks=marker.remarks(marker.decode(task.display_name)),
    )


def wanted_of(spec: JobSpec, env: Mapping[str, str]) -> SubmitRequest:
    """The request that the operator would make of a JennahJob."""
    return SubmitRequest(
        external_name=names.external_name(spec.display_name or "job", UID),
        uid=UID,
        job_id=spec.job_id or UID,
        tenant_id=spec.tenant_id or "team-a",
        namespace="team-a",
        spec=spec,
        resources=resolve(spec, Profiles()),
        sizing=size(spec, Profiles()),
        env=env,
        created_at=T0,
    )


def pool_of(name: str) -> Pool:
    """One of `POOLS`; another that a spec names is like the default one."""
    return POOLS.get(name) or msgspec.structs.replace(POOLS["jennah"], id=name)


def _json(model: Any) -> Any:
    return json.loads(json.dumps(model, cls=SdkJSONEncoder, exclude_readonly=True))
