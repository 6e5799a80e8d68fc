"""A SubmitRequest as the service's CreateJobRequest: pure, and total over the spec that `rules` lets through.

Sources: providers.md §1d (fields) and §1g (limits), contract.md §3 (profiles, boot disk).
"""

import uuid

from google.cloud import batch_v1
from google.protobuf import duration_pb2

from controller.domain.job import GcpOptions
from controller.domain.resources import DEFAULT_BOOT_DISK_GIB
from controller.ports import SubmitRequest
from controller.providers.gcp import exit_codes, gpus, labels, places, rules
from controller.providers.gcp.places import Place
from controller.providers.gcp.remarks import MAX_PARALLEL_TASKS

_REQUEST_IDS = uuid.UUID("0d0e5f63-8a35-5f6f-b0f4-6a656e6e6168")  # fixed for ever: a retry must send the same id


def create_request(request: SubmitRequest, place: Place) -> batch_v1.CreateJobRequest:
    """The call that makes the job. The same request gives the same call, so that it can be repeated.

    `request_id` makes the service ignore a repeat for at least 60 minutes (providers.md §1a); after that the
    name alone does it, by "already exists". Raises Permanent(INVALID_SPEC), naming the field.
    """
    rules.check(request.spec, request.resources, request.sizing, request.env)
    return batch_v1.CreateJobRequest(
        parent=place.parent,
        job_id=request.external_name,
        job=_job(request, place),
        request_id=str(uuid.uuid5(_REQUEST_IDS, request.external_name)),
    )


def _job(request: SubmitRequest, place: Place) -> batch_v1.Job:
    spec = request.spec
    all_labels = {**labels.sanitised(spec.labels or {}), **labels.ours(request, place.instance)}
    return batch_v1.Job(
        priority=spec.priority or 0,
        task_groups=[_task_group(request)],
        allocation_policy=_allocation(request, place, all_labels),
        labels=all_labels,
        # Unset means that the service keeps no logs at all.
        logs_policy=batch_v1.LogsPolicy(destination=batch_v1.LogsPolicy.Destination.CLOUD_LOGGING),
    )


def _task_group(request: SubmitRequest) -> batch_v1.TaskGroup:
    spec = request.spec
    # More than there are tasks, or than the service runs at once, may be refused.
    parallelism = min(spec.parallelism or 0, spec.completions, MAX_PARALLEL_TASKS)
    return batch_v1.TaskGroup(task_spec=_task_spec(request), task_count=spec.completions, parallelism=parallelism)


def _task_spec(request: SubmitRequest) -> batch_v1.TaskSpec:
    resources, retries = request.resources, exit_codes.retries(request.spec)
    task = batch_v1.TaskSpec(
        runnables=[batch_v1.Runnable(container=_container(request))],
        environment=_environment(request),
        compute_resource=batch_v1.ComputeResource(cpu_milli=resources.cpu_millis, memory_mib=resources.memory_mib),
        max_retry_count=retries.count,
    )
    if resources.max_run_duration_seconds:
        # The service's limit is for each attempt of each task.
        task.max_run_duration = duration_pb2.Duration(seconds=resources.max_run_duration_seconds)
    if retries.final:
        policy = batch_v1.LifecyclePolicy
        task.lifecycle_policies = [
            policy(
                action=policy.Action.FAIL_TASK,
                action_condition=policy.ActionCondition(exit_codes=retries.final),
            )
        ]
    return task


def _container(request: SubmitRequest) -> batch_v1.Runnable.Container:
    """The service's entrypoint is one word: the others of `command` go in front of the arguments."""
    spec, shared_mib = request.spec, request.sizing.shared_memory_mib
    gcp = spec.gcp or GcpOptions()
    command, args = spec.command or (), spec.args or ()
    return batch_v1.Runnable.Container(
        image_uri=spec.image,
        entrypoint=command[0] if command else "",
        commands=[*command[1:], *args],
        options=f"--shm-size={shared_mib}m" if shared_mib else "",  # of the VM's docker run
        username=gcp.registry_username_secret or "",
        password=gcp.registry_password_secret or "",
    )


def _environment(request: SubmitRequest) -> batch_v1.Environment:
    """Plain values, and names of secrets that the VM reads itself; a name that is both is the secret's."""
    secrets = request.spec.cloud_secrets
    known = {"JENNAH_JOB_ID": request.job_id, "JENNAH_TENANT_ID": request.tenant_id, **request.env}
    return batch_v1.Environment(
        variables={name: text for name, text in known.items() if name not in secrets}, secret_variables=secrets
    )


def _allocation(request: SubmitRequest, place: Place, all_labels: dict[str, str]) -> batch_v1.AllocationPolicy:
    spec = request.spec
    gcp = spec.gcp or GcpOptions()
    locations = gcp.allowed_locations or (f"regions/{place.region}",)
    policy = batch_v1.AllocationPolicy(
        location=batch_v1.AllocationPolicy.LocationPolicy(allowed_locations=locations),
        instances=[_instances(request, gcp)],
        labels=all_labels,
        tags=gcp.tags or (),
    )
    if spec.service_account or gcp.service_account_scopes:
        policy.service_account = batch_v1.ServiceAccount(
            email=spec.service_account or "", scopes=gcp.service_account_scopes or ()
        )
    if not gcp.instance_template and (gcp.network or gcp.subnetwork or gcp.no_external_ip):
        interface = batch_v1.AllocationPolicy.NetworkInterface(
            network=places.network(gcp.network or "") or "",
            subnetwork=places.subnetwork(gcp.subnetwork or "", place.region) or "",
            no_external_ip_address=bool(gcp.no_external_ip),
        )
        policy.network = batch_v1.AllocationPolicy.NetworkPolicy(network_interfaces=[interface])
    return policy


def _instances(request: SubmitRequest, gcp: GcpOptions) -> batch_v1.AllocationPolicy.InstancePolicyOrTemplate:
    """The VMs: by template, which then says all, or by the spec's own fields. Drivers come with every GPU, also with
    those that a machine type brings with it."""
    spec, sizing = request.spec, request.sizing
    kind = batch_v1.AllocationPolicy.InstancePolicyOrTemplate
    has_gpus = bool(spec.resources and spec.resources.gpu)
    if gcp.instance_template:
        return kind(instance_template=gcp.instance_template, install_gpu_drivers=has_gpus)
    has_gpus = has_gpus or sizing.gpu is not None or gpus.brings_gpus(spec.machine_type)
    return kind(policy=_instance_policy(request, gcp), install_gpu_drivers=has_gpus)


def _instance_policy(request: SubmitRequest, gcp: GcpOptions) -> batch_v1.AllocationPolicy.InstancePolicy:
    spec, allocation = request.spec, batch_v1.AllocationPolicy
    models = allocation.ProvisioningModel
    gpu = gpus.accelerator(spec, request.resources, request.sizing)
    return allocation.InstancePolicy(
        machine_type=spec.machine_type or "",
        min_cpu_platform=gcp.min_cpu_platform or "",
        provisioning_model=models.SPOT if spec.spot else models.STANDARD,
        boot_disk=allocation.Disk(
            size_gb=spec.boot_disk_gib or DEFAULT_BOOT_DISK_GIB,
            type_=gcp.boot_disk_type or "",
            image=gcp.boot_disk_image or None,
        ),
        reservation=gcp.reservation or "",
        accelerators=[allocation.Accelerator(type_=gpu.type, count=gpu.count)] if gpu else [],
    )
