"""A SubmitRequest as the service's tasks: pure, and total over the spec.

Sources: providers.md §3d (fields) and §3g (limits), contract.md §3 (profiles).
"""

import itertools
import json
from collections.abc import Iterable, Iterator
from datetime import timedelta

from azure.batch import models
from azure.batch._utils.model_base import SdkJSONEncoder

from controller.cloud_settings import AzureSettings
from controller.domain import images, machines
from controller.domain.job import AzureOptions, JobSpec
from controller.ports import SubmitRequest
from controller.providers import program
from controller.providers.azure import commandline, marker, places, rules
from controller.providers.azure.places import Place
from controller.providers.azure.pools import Pool, Slots, slots, takes_machine

CHUNK_TASKS = 100
CHUNK_BYTES = 950_000
"""Of one call that makes tasks; the service takes 100 tasks and less than 1 MB (providers.md §3d)."""
_DOCKER_SHARES_A_CORE = 1024
_DOCKER_LEAST_MIB = 6
RETENTION = timedelta(days=7)
"""How long a task's files stay on its node, if the node does: the service's default."""


def window(spec: JobSpec) -> int:
    """How many tasks may be under way at once. The service cannot limit the tasks of a set (max_parallel_tasks is not
    there by default, providers.md §3d): so many are made, and as they end the next."""
    return min(spec.parallelism or spec.completions, spec.completions)


def tasks(
    request: SubmitRequest,
    where: Place,
    pool: Pool,
    settings: AzureSettings,
    *,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[models.BatchTaskCreateOptions]:
    """The tasks with an index from `start` to before `stop` (None: to the last), made as they are taken: ten thousand
    at once would take seconds. The same request gives the same tasks. Raises Permanent(INVALID_SPEC), naming the
    field, with the first if at all."""
    rules.check(request.spec, request.resources, request.sizing, request.env)
    if not pool.takes_containers:
        raise program.invalid(
            "azure.pool" if request.spec.azure and request.spec.azure.pool else "machineType",
            f"the pool {pool.id!r} runs no containers: it was made without containerConfiguration",
        )
    taken = slots(pool, request, settings)
    name = marker.encode(_marker(request, pool, taken))
    command = commandline.join((*(request.spec.command or ()), *(request.spec.args or ())))
    for index, task_id in itertools.islice(enumerate(where.task_ids), start, stop):
        yield _task(request, where, task_id, index, settings, display_name=name, command=command, taken=taken)


def chunks(made: Iterable[models.BatchTaskCreateOptions]) -> Iterator[list[models.BatchTaskCreateOptions]]:
    """Those tasks in calls of their own, in order; `rules` holds each task to what one call takes."""
    chunk: list[models.BatchTaskCreateOptions] = []
    total = 0
    for task in made:
        size = len(json.dumps(task, cls=SdkJSONEncoder, exclude_readonly=True)) + 1
        if chunk and (len(chunk) == CHUNK_TASKS or total + size > CHUNK_BYTES):
            yield chunk
            chunk, total = [], 0
        chunk.append(task)
        total += size
    if chunk:
        yield chunk


def _task(
    request: SubmitRequest,
    where: Place,
    task_id: str,
    index: int,
    settings: AzureSettings,
    *,
    display_name: str,
    command: str,
    taken: Slots,
) -> models.BatchTaskCreateOptions:
    spec = request.spec
    return models.BatchTaskCreateOptions(
        id=task_id,
        display_name=display_name,
        command_line=command,
        container_settings=_container(spec, settings, _run_options(request, taken)),
        environment_settings=_environment(request, index),
        constraints=_constraints(request),
        required_slots=taken.taken,
        user_identity=_user(settings),
        output_files=_output(settings, where, task_id),
    )


def _marker(request: SubmitRequest, pool: Pool, taken: Slots) -> marker.Marker:
    spec, resources, sizing, node = request.spec, request.resources, request.sizing, taken.node
    share = taken.taken / taken.of
    is_exact = (
        node is not None
        and node.cpu_millis * share == resources.cpu_millis
        and node.memory_mib * share == resources.memory_mib
    )
    asked = None if is_exact or takes_machine(request) else (resources.cpu_millis, resources.memory_mib)
    disk, machine, priority = spec.boot_disk_gib, sizing.machine, spec.priority or 0
    return marker.Marker(
        uid=request.uid,
        namespace=request.namespace,
        tenant=request.tenant_id,
        job=request.job_id,
        is_left_alone=spec.deletion_policy == "Orphan",
        tasks=spec.completions,
        parallelism=window(spec) if window(spec) < spec.completions else 0,
        limit=resources.max_run_duration_seconds,
        preemptions=spec.preemption_limit,
        asked=asked,
        slots=(taken.taken, taken.of),
        node=(node.cpu_millis, node.memory_mib) if node else None,
        memory=taken.memory_limit(resources.memory_mib),
        gpus=_gpus(request, taken),
        is_gpu_type_lost=_is_gpu_type_lost(spec, pool),
        machine=(machine.name, pool.vm_size) if machine and _is_another(machine.name, pool.vm_size) else None,
        is_spot_lost=bool(spec.spot) and pool.has_spot is False,
        disk=disk,
        priority=priority if priority % places.PRIORITY_BAND else 0,
        labels=len(spec.labels or {}),
        is_entrypoint_lost=bool(spec.args) and not spec.command,
    )


def _gpus(request: SubmitRequest, taken: Slots) -> tuple[int, int] | None:
    """The GPUs that were asked for and those of the node (0: not known), where they are not the same."""
    gpu, sizing = request.sizing.gpu, request.sizing
    has = taken.node.gpus if taken.node else None
    if gpu is None or sizing.is_gpu_implied or gpu.count == has:
        return None
    return gpu.count, has or 0


def _is_gpu_type_lost(spec: JobSpec, pool: Pool) -> bool:
    """Whether the type did not choose the pool, and its nodes are not known to have it. Types have more than one name:
    nvidia-tesla-t4 is t4."""
    asked = spec.resources.gpu.type if spec.resources and spec.resources.gpu else None
    if not asked or not (spec.machine_type or (spec.azure and spec.azure.pool)):
        return False
    machine = machines.find(pool.vm_size)
    has = machine.gpu_type.lower() if machine else ""
    return not has or (has not in asked.lower() and asked.lower() not in has)


def _is_another(machine: str, vm_size: str) -> bool:
    return bool(vm_size) and machine.lower() != vm_size.lower()


def _run_options(request: SubmitRequest, taken: Slots) -> str:
    """Arguments of the ``docker create`` that the node makes. GPUs need none: the node's agent gives a container all
    of the node's, and refuses ``--gpus``.

    Slots only count tasks, and hold none to its share. A container that needs more memory is killed, as on AWS Batch.
    The CPU is a weight and no limit: what neighbours leave idle may be used, and no number can be more than a node has,
    which Docker would refuse.
    """
    options = ["--rm"]  # else ended containers stay until the node's disk is full
    memory = taken.memory_limit(request.resources.memory_mib)
    if memory is not None:
        weight = min(max(request.resources.cpu_millis * _DOCKER_SHARES_A_CORE // 1000, 2), 262_144)
        options += [f"--cpu-shares={weight}", f"--memory={max(memory, _DOCKER_LEAST_MIB)}m"]
    if request.sizing.shared_memory_mib:
        options.append(f"--shm-size={request.sizing.shared_memory_mib}m")
    return " ".join(options)


def _container(spec: JobSpec, settings: AzureSettings, run_options: str) -> models.BatchTaskContainerSettings:
    registry = _registry(spec, settings)
    return models.BatchTaskContainerSettings(
        # The service finds credentials by the registry's host in the image's name.
        image_name=images.parse(spec.image).full_name if registry else spec.image,
        container_run_options=run_options,
        # Nothing of the node is mounted: by default every container could read and write the files of all tasks there.
        container_host_batch_bind_mounts=[],
        registry=registry,
        # A container without a command line runs where its image says, as it does everywhere else.
        working_directory=models.ContainerWorkingDirectory.CONTAINER_IMAGE_DEFAULT,
    )


def _registry(spec: JobSpec, settings: AzureSettings) -> models.ContainerRegistryReference | None:
    """The credentials that the image is pulled with; None for an image that they are not for."""
    azure, registry = spec.azure or AzureOptions(), images.parse(spec.image).registry
    if azure.registry_identity:  # `rules` has seen that it is for this registry
        return models.ContainerRegistryReference(
            registry_server=registry, identity_reference=_identity(azure.registry_identity)
        )
    known = settings.registry
    if known is None or images.registry_host(known.server) != registry:
        return None
    if known.identity:
        return models.ContainerRegistryReference(registry_server=registry, identity_reference=_identity(known.identity))
    return models.ContainerRegistryReference(registry_server=registry, username=known.username, password=known.password)


def _identity(resource_id: str) -> models.BatchNodeIdentityReference:
    return models.BatchNodeIdentityReference(resource_id=resource_id)


def _environment(request: SubmitRequest, index: int) -> list[models.EnvironmentSetting]:
    own = {
        "JENNAH_JOB_ID": request.job_id,
        "JENNAH_TENANT_ID": request.tenant_id,
        "BATCH_TASK_INDEX": str(index),
        "BATCH_TASK_COUNT": str(request.spec.completions),
    }
    return [models.EnvironmentSetting(name=name, value=text) for name, text in {**own, **request.env}.items()]


def _constraints(request: SubmitRequest) -> models.BatchTaskConstraints:
    seconds = request.resources.max_run_duration_seconds
    return models.BatchTaskConstraints(
        max_wall_clock_time=timedelta(seconds=seconds) if seconds else None,
        max_task_retry_count=request.spec.backoff_limit,
        retention_time=RETENTION,
    )


def _user(settings: AzureSettings) -> models.UserIdentity | None:
    if not settings.task_user:
        return None
    scope, _, admin = settings.task_user.partition("-")
    level = models.ElevationLevel.ADMIN if admin else models.ElevationLevel.NON_ADMIN
    return models.UserIdentity(
        auto_user=models.AutoUserSpecification(scope=models.AutoUserScope(scope), elevation_level=level)
    )


def _output(settings: AzureSettings, where: Place, task_id: str) -> list[models.OutputFile] | None:
    """stdout.txt and stderr.txt, which are one folder above the task's working directory."""
    if not settings.output_url:
        return None
    identity = _identity(settings.output_identity) if settings.output_identity else None
    folder = places.output_folder(where, task_id)
    return [
        models.OutputFile(
            file_pattern=f"../{name}",
            destination=models.OutputFileDestination(
                container=models.OutputFileBlobContainerDestination(
                    container_url=settings.output_url, path=f"{folder}/{name}", identity_reference=identity
                )
            ),
            upload_options=models.OutputFileUploadConfiguration(
                upload_condition=models.OutputFileUploadCondition.TASK_COMPLETION
            ),
        )
        for name in ("stdout.txt", "stderr.txt")
    ]
