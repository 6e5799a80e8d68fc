"""A SubmitRequest as the service's CreateJobRequest: pure, and total over the spec.

Sources: providers.md §1d (fields) and §1g (limits), contract.md §3 (profiles, boot disk).
"""

import re
import uuid

from google.cloud import batch_v1
from google.protobuf import duration_pb2

from controller.domain import images, reasons
from controller.domain.errors import Permanent
from controller.domain.job import GcpOptions, JobSpec
from controller.domain.resources import DEFAULT_BOOT_DISK_GIB
from controller.ports import SubmitRequest
from controller.providers.gcp import labels
from controller.providers.gcp.places import Place

PROGRAM_EXIT_CODES = range(1, 256)
"""What a container can end with when it fails."""
SERVICE_EXIT_CODES = range(50000, 50007)
"""What the service ends a task with by itself; a preemption is one of them."""
TIMED_OUT_EXIT_CODE = 50005
"""What a task ends with that ran longer than its limit: the program's failure, not a machine's."""
SPOT_RETRIES = 3
"""Second chances of a spot task whose spec allows no retries: for the loss of its VM only."""

MAX_DEFINITION_BYTES = 1_000_000
MAX_TASKS = 100_000
MAX_PARALLEL_TASKS = 5_000
MAX_RETRIES = 10
MIN_BOOT_DISK_GIB = 10

_INT64_MAX = 2**63 - 1
_SECRET = re.compile(r"projects/[^/]+/secrets/[^/]+/versions/[^/]+")
_LOCATION = re.compile(r"(regions|zones)/[a-z0-9-]+")
_REQUEST_IDS = uuid.UUID("0d0e5f63-8a35-5f6f-b0f4-6a656e6e6168")  # fixed for ever: a retry must send the same id


def create_request(request: SubmitRequest, place: Place) -> batch_v1.CreateJobRequest:
    """The call that makes the job. The same request gives the same call, so that it can be repeated.

    `request_id` makes the service ignore a repeat for at least 60 minutes (providers.md §1a); after that the
    name alone does it, by "already exists". Raises Permanent(INVALID_SPEC), naming the field.
    """
    job = _job(request, place)
    size = batch_v1.Job.pb(job).ByteSize()
    if size > MAX_DEFINITION_BYTES:
        raise _invalid(
            _largest(request), f"the job's definition has {size} bytes, the service takes {MAX_DEFINITION_BYTES}"
        )
    return batch_v1.CreateJobRequest(
        parent=place.parent,
        job_id=request.external_name,
        job=job,
        request_id=str(uuid.uuid5(_REQUEST_IDS, request.external_name)),
    )


def _job(request: SubmitRequest, place: Place) -> batch_v1.Job:
    spec = request.spec
    all_labels = labels.merged(spec.labels or {}, labels.ours(request, place.instance))
    return batch_v1.Job(
        priority=spec.priority or 0,
        task_groups=[_task_group(request)],
        allocation_policy=_allocation(spec, place, all_labels),
        labels=all_labels,
        # Unset means that the service keeps no logs at all.
        logs_policy=batch_v1.LogsPolicy(destination=batch_v1.LogsPolicy.Destination.CLOUD_LOGGING),
    )


def _task_group(request: SubmitRequest) -> batch_v1.TaskGroup:
    spec = request.spec
    if spec.completions > MAX_TASKS:
        raise _invalid("completions", f"the service takes {MAX_TASKS} tasks a job")
    parallelism = min(spec.parallelism or 0, spec.completions)  # more than there are tasks may be refused
    if parallelism > MAX_PARALLEL_TASKS:
        raise _invalid("parallelism", f"the service runs {MAX_PARALLEL_TASKS} tasks of a job at once")
    return batch_v1.TaskGroup(task_spec=_task_spec(request), task_count=spec.completions, parallelism=parallelism)


def _task_spec(request: SubmitRequest) -> batch_v1.TaskSpec:
    spec, resources = request.spec, request.resources
    for field, amount in (("cpu", resources.cpu_millis), ("memory", resources.memory_mib)):
        if amount > _INT64_MAX:
            raise _invalid(f"resources.{field}", "is beyond every machine")
    task = batch_v1.TaskSpec(
        runnables=[batch_v1.Runnable(container=_container(spec))],
        environment=_environment(request),
        compute_resource=batch_v1.ComputeResource(cpu_milli=resources.cpu_millis, memory_mib=resources.memory_mib),
        max_retry_count=min(spec.backoff_limit, MAX_RETRIES),
    )
    if resources.max_run_duration_seconds:
        # The service's limit is for each attempt of each task.
        task.max_run_duration = duration_pb2.Duration(seconds=resources.max_run_duration_seconds)
    if spec.spot:
        task.max_retry_count = task.max_retry_count or SPOT_RETRIES
        task.lifecycle_policies = [_spot_policy(spec.backoff_limit)]
    return task


def _spot_policy(backoff_limit: int) -> batch_v1.LifecyclePolicy:
    """What is retried on a spot VM: all failures as often as was asked for, or only the loss of the VM.

    A preemption counts as a failure there, and backoffLimit is a promise about failures of the program. The SDK has two
    texts on codes that a policy does not list: they get the opposite of its action (LifecyclePolicy.action), or are
    retried (TaskSpec.lifecycle_policies). Which one holds is UNCONFIRMED, so both policies mean the same under
    either: the one for retries lists every code that there is, the other one says what is final and leaves the rest to
    be retried.
    """
    actions = batch_v1.LifecyclePolicy.Action
    action, codes = actions.RETRY_TASK, [*SERVICE_EXIT_CODES, *PROGRAM_EXIT_CODES]
    if not backoff_limit:
        action, codes = actions.FAIL_TASK, [*PROGRAM_EXIT_CODES, TIMED_OUT_EXIT_CODE]
    return batch_v1.LifecyclePolicy(
        action=action, action_condition=batch_v1.LifecyclePolicy.ActionCondition(exit_codes=codes)
    )


def _container(spec: JobSpec) -> batch_v1.Runnable.Container:
    """The service's entrypoint is one word: the others of `command` go in front of the arguments."""
    gcp = spec.gcp or GcpOptions()
    command, args = spec.command or (), spec.args or ()
    if fault := images.fault(spec.image):  # the VM's agent makes a docker run of it
        raise _invalid("image", fault)
    return batch_v1.Runnable.Container(
        image_uri=spec.image,
        entrypoint=command[0] if command else "",
        commands=[*command[1:], *args],
        username=_secret("gcp.registryUsernameSecret", gcp.registry_username_secret),
        password=_secret("gcp.registryPasswordSecret", gcp.registry_password_secret),
    )


def _environment(request: SubmitRequest) -> batch_v1.Environment:
    """Plain values, and names of secrets that the VM reads itself; a name that is both is the secret's."""
    secrets = {name: _secret(f"env {name}", secret) for name, secret in request.spec.cloud_secrets.items()}
    known = {"JENNAH_JOB_ID": request.job_id, "JENNAH_TENANT_ID": request.tenant_id, **request.env}
    return batch_v1.Environment(
        variables={name: text for name, text in known.items() if name not in secrets}, secret_variables=secrets
    )


def _allocation(spec: JobSpec, place: Place, all_labels: dict[str, str]) -> batch_v1.AllocationPolicy:
    gcp = spec.gcp or GcpOptions()
    locations = gcp.allowed_locations or (f"regions/{place.region}",)
    for location in locations:
        if not _LOCATION.fullmatch(location):
            raise _invalid("gcp.allowedLocations", f"{location!r} is not of the form regions/R or zones/Z")
    policy = batch_v1.AllocationPolicy(
        location=batch_v1.AllocationPolicy.LocationPolicy(allowed_locations=locations),
        instances=[_instances(spec, gcp)],
        labels=all_labels,
        tags=gcp.tags or (),
    )
    if spec.service_account or gcp.service_account_scopes:
        policy.service_account = batch_v1.ServiceAccount(
            email=spec.service_account or "", scopes=gcp.service_account_scopes or ()
        )
    if not gcp.instance_template and (gcp.network or gcp.subnetwork or gcp.no_external_ip):
        interface = batch_v1.AllocationPolicy.NetworkInterface(
            network=gcp.network or "",
            subnetwork=gcp.subnetwork or "",
            no_external_ip_address=bool(gcp.no_external_ip),
        )
        policy.network = batch_v1.AllocationPolicy.NetworkPolicy(network_interfaces=[interface])
    return policy


def _instances(spec: JobSpec, gcp: GcpOptions) -> batch_v1.AllocationPolicy.InstancePolicyOrTemplate:
    """The VMs: by template, which then says all, or by the spec's own fields."""
    gpu = spec.resources.gpu if spec.resources else None
    if gcp.instance_template:
        return batch_v1.AllocationPolicy.InstancePolicyOrTemplate(
            instance_template=gcp.instance_template, install_gpu_drivers=gpu is not None
        )
    return batch_v1.AllocationPolicy.InstancePolicyOrTemplate(
        policy=_instance_policy(spec, gcp), install_gpu_drivers=gpu is not None
    )


def _instance_policy(spec: JobSpec, gcp: GcpOptions) -> batch_v1.AllocationPolicy.InstancePolicy:
    allocation = batch_v1.AllocationPolicy
    models = allocation.ProvisioningModel
    size = spec.boot_disk_gib or DEFAULT_BOOT_DISK_GIB
    if size < MIN_BOOT_DISK_GIB:
        raise _invalid("bootDiskGiB", f"the service takes no less than {MIN_BOOT_DISK_GIB}")
    policy = allocation.InstancePolicy(
        machine_type=spec.machine_type or "",
        min_cpu_platform=gcp.min_cpu_platform or "",
        provisioning_model=models.SPOT if spec.spot else models.STANDARD,
        boot_disk=allocation.Disk(size_gb=size, type_=gcp.boot_disk_type or "", image=gcp.boot_disk_image or None),
        reservation=gcp.reservation or "",
    )
    gpu = spec.resources.gpu if spec.resources else None
    if gpu is not None and gpu.type:
        policy.accelerators = [allocation.Accelerator(type_=gpu.type, count=gpu.count)]
    elif gpu is not None and not spec.machine_type:  # some machine types bring their GPUs with them
        raise _invalid("resources.gpu.type", "is needed unless machineType is one that has GPUs")
    return policy


def _secret(field: str, name: str | None) -> str:
    """The name of a Secret Manager secret. A value in its place would be shown to everyone who sees the job."""
    if name and not _SECRET.fullmatch(name):
        raise _invalid(field, "must be the name of a secret: projects/P/secrets/S/versions/V")
    return name or ""


def _largest(request: SubmitRequest) -> str:
    spec = request.spec
    sizes = {
        "env": sum(len(name) + len(text.encode()) for name, text in request.env.items()),
        "command": sum(len(word.encode()) for word in spec.command or ()),
        "args": sum(len(word.encode()) for word in spec.args or ()),
    }
    return max(sizes, key=lambda field: sizes[field])


def _invalid(field: str, fault: str) -> Permanent:
    return Permanent(f"spec.{field}: {fault}", reason=reasons.INVALID_SPEC)
