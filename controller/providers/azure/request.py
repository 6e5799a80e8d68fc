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
from controller.domain import images, reasons
from controller.domain.errors import Permanent
from controller.domain.job import AzureOptions, JobSpec
from controller.domain.resources import DEFAULT_BOOT_DISK_GIB, ResourceSet
from controller.ports import SubmitRequest
from controller.providers.azure import commandline, marker, places
from controller.providers.azure.places import Place
from controller.providers.azure.pools import Pool, Slots, slots

CHUNK_TASKS = 100
CHUNK_BYTES = 950_000
"""Of one call that makes tasks; the service takes 100 tasks and less than 1 MB (providers.md §3d)."""
LONGEST_SECONDS = 180 * 24 * 3600
"""The service ends a task that is older (providers.md §3g)."""
_DOCKER_SHARES_A_CORE = 1024
_DOCKER_LEAST_MIB = 6
RETENTION = timedelta(days=7)
"""How long a task's files stay on its node, if the node does: the service's default."""


def check(spec: JobSpec) -> None:
    """Raises Permanent(INVALID_SPEC) for what the service has no place for; the message says what does it there."""
    if fault := images.fault(spec.image):  # the node's agent puts it behind the options of a docker create
        raise _invalid("image", fault)
    if spec.service_account:
        raise _invalid(
            "serviceAccount", "tasks have no identity of their own; give the pool one (its identity setting)"
        )
    if spec.gcp is not None:
        raise _invalid("gcp", "the job goes to Azure Batch; network, disks and identities are settings of the pool")
    if spec.aws is not None:
        raise _invalid("aws", "the job goes to Azure Batch; queues are pools there (azure.pool)")
    for name in spec.cloud_secrets:
        raise _invalid(
            f"env {name}",
            "Azure Batch cannot fill a variable from a vault (cloudSecretRef): use a Secret, or let the program read "
            "Key Vault by the pool's identity",
        )


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
    check(request.spec)
    if not pool.takes_containers:
        raise _invalid(
            "azure.pool" if request.spec.azure and request.spec.azure.pool else "machineType",
            f"the pool {pool.id!r} runs no containers: it was made without containerConfiguration",
        )
    taken = slots(pool, request.resources, settings)
    name = marker.encode(_marker(request, taken))
    command = _command_line(request.spec)
    for index, task_id in itertools.islice(enumerate(where.task_ids), start, stop):
        yield _task(request, where, task_id, index, settings, display_name=name, command=command, taken=taken)


def chunks(made: Iterable[models.BatchTaskCreateOptions]) -> Iterator[list[models.BatchTaskCreateOptions]]:
    """Those tasks in calls of their own, in order.

    Raises Permanent(INVALID_SPEC) for a task that is too large for any call.
    """
    chunk: list[models.BatchTaskCreateOptions] = []
    total = 0
    for task in made:
        size = check_size(task)
        if chunk and (len(chunk) == CHUNK_TASKS or total + size > CHUNK_BYTES):
            yield chunk
            chunk, total = [], 0
        chunk.append(task)
        total += size
    if chunk:
        yield chunk


def check_size(task: models.BatchTaskCreateOptions) -> int:
    """Its bytes. Raises Permanent(INVALID_SPEC) for a task that is too large for any call."""
    size = len(json.dumps(task, cls=SdkJSONEncoder, exclude_readonly=True)) + 1
    if size > CHUNK_BYTES:
        raise _invalid("env", f"a task of the job has {size} bytes, the service takes {CHUNK_BYTES}")
    return size


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
        container_settings=_container(spec, settings, _run_options(request.resources, taken)),
        environment_settings=_environment(request, index),
        constraints=_constraints(request),
        required_slots=taken.taken,
        user_identity=_user(settings),
        output_files=_output(settings, where, task_id),
    )


def _marker(request: SubmitRequest, taken: Slots) -> marker.Marker:
    spec, resources, node = request.spec, request.resources, taken.node
    share = taken.taken / taken.of
    is_exact = (
        node is not None
        and node.cpu_millis * share == resources.cpu_millis
        and node.memory_mib * share == resources.memory_mib
    )
    disk = spec.boot_disk_gib
    return marker.Marker(
        uid=request.uid,
        namespace=request.namespace,
        tenant=request.tenant_id,
        job=request.job_id,
        is_left_alone=spec.deletion_policy == "Orphan",
        tasks=spec.completions,
        parallelism=window(spec) if window(spec) < spec.completions else 0,
        limit=resources.max_run_duration_seconds,
        asked=None if is_exact else (resources.cpu_millis, resources.memory_mib),
        slots=(taken.taken, taken.of),
        node=(node.cpu_millis, node.memory_mib) if node else None,
        memory=taken.memory_limit(resources.memory_mib),
        disk=disk if disk and disk != DEFAULT_BOOT_DISK_GIB else None,
    )


def _command_line(spec: JobSpec) -> str:
    """`command` and `args` as one string. It takes the place of the image's entrypoint, whether there is a `command` or
    `args` alone; an empty one leaves the image to its own (Azure's guide for container tasks; not seen here)."""
    try:
        return commandline.join((*(spec.command or ()), *(spec.args or ())))
    except ValueError as error:
        raise _invalid("command or args", str(error)) from None


def _run_options(resources: ResourceSet, taken: Slots) -> str | None:
    """Arguments of the ``docker create`` that the node makes: slots only count tasks, and hold none to its share.

    A container that needs more memory is killed, as on AWS Batch. The CPU is a weight and no limit: what neighbours
    leave idle may be used, and no number can be more than a node has, which Docker would refuse.
    """
    memory = taken.memory_limit(resources.memory_mib)
    if memory is None:
        return None
    weight = min(max(resources.cpu_millis * _DOCKER_SHARES_A_CORE // 1000, 2), 262_144)
    return f"--cpu-shares={weight} --memory={max(memory, _DOCKER_LEAST_MIB)}m"


def _container(spec: JobSpec, settings: AzureSettings, run_options: str | None) -> models.BatchTaskContainerSettings:
    return models.BatchTaskContainerSettings(
        image_name=spec.image,
        container_run_options=run_options,
        # Nothing of the node is mounted: by default every container could read and write the files of all tasks there.
        container_host_batch_bind_mounts=[],
        registry=_registry(spec, settings),
        # A container without a command line runs where its image says, as it does everywhere else.
        working_directory=models.ContainerWorkingDirectory.CONTAINER_IMAGE_DEFAULT,
    )


def _registry(spec: JobSpec, settings: AzureSettings) -> models.ContainerRegistryReference | None:
    azure = spec.azure or AzureOptions()
    if azure.registry_server and azure.registry_identity:
        return models.ContainerRegistryReference(
            registry_server=azure.registry_server, identity_reference=_identity(azure.registry_identity)
        )
    if azure.registry_server or azure.registry_identity:
        raise _invalid("azure", "registryServer and registryIdentity go together")
    known = settings.registry
    if known is None or not spec.image.startswith(f"{known.server}/"):
        return None
    if known.identity:
        return models.ContainerRegistryReference(
            registry_server=known.server, identity_reference=_identity(known.identity)
        )
    return models.ContainerRegistryReference(
        registry_server=known.server, username=known.username, password=known.password
    )


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
    if seconds > LONGEST_SECONDS:
        raise _invalid("activeDeadlineSeconds", f"the service runs a task for {LONGEST_SECONDS} seconds at most")
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


def _invalid(field: str, fault: str) -> Permanent:
    return Permanent(f"spec.{field}: {fault}", reason=reasons.INVALID_SPEC)
