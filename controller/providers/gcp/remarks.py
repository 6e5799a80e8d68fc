"""What a job gets otherwise than its spec says. Pure: the same request has the same remarks, whenever it is asked.

Sources: quotas of the service (providers.md §1g); what a job is sent as is in `request`.
"""

from collections.abc import Callable, Iterator, Mapping

from controller.domain import reasons
from controller.domain.differences import ONE_COUNT, Difference, Remark
from controller.domain.differences import remarks as as_remarks
from controller.domain.job import GcpOptions, JobSpec
from controller.ports import SubmitRequest
from controller.providers.gcp import labels

SERVICE = "Google Cloud Batch"
LONGEST_RUN_SECONDS = 14 * 86400
"""After this a job that runs is ended, whatever its tasks' limits are."""
LONGEST_QUEUE_SECONDS = 2 * 86400
"""After this a job that is QUEUED fails."""
MAX_PARALLEL_TASKS = 5_000
_LABELS_TOLD = 4

_BY_TEMPLATE: Mapping[str, Callable[[JobSpec, GcpOptions], object]] = {
    "machineType": lambda spec, gcp: spec.machine_type,
    "bootDiskGiB": lambda spec, gcp: spec.boot_disk_gib,
    "spot": lambda spec, gcp: spec.spot,
    "resources.gpu": lambda spec, gcp: spec.resources and spec.resources.gpu,
    "gcp.network": lambda spec, gcp: gcp.network,
    "gcp.subnetwork": lambda spec, gcp: gcp.subnetwork,
    "gcp.noExternalIp": lambda spec, gcp: gcp.no_external_ip,
    "gcp.bootDiskType": lambda spec, gcp: gcp.boot_disk_type,
    "gcp.bootDiskImage": lambda spec, gcp: gcp.boot_disk_image,
    "gcp.minCpuPlatform": lambda spec, gcp: gcp.min_cpu_platform,
    "gcp.reservation": lambda spec, gcp: gcp.reservation,
}
"""Fields that gcp.instanceTemplate takes the place of."""


def remarks(request: SubmitRequest) -> tuple[Remark, ...]:
    """The conditions that go with the job; the operator sets them once it is submitted."""
    return as_remarks(_differences(request))


def _differences(request: SubmitRequest) -> Iterator[Difference]:
    spec = request.spec
    yield from _of_machine(request)
    yield from _of_limits(request)
    if spec.spot and spec.backoff_limit and spec.preemption_limit:
        yield Difference(
            field="preemptionLimit",
            reason=reasons.NOT_SUPPORTED,
            message=ONE_COUNT.format(SERVICE, spec.preemption_limit, spec.backoff_limit),
        )
    if changed := labels.changed(spec.labels or {}):
        told = [f"{written} is {became}" for written, became in list(changed.items())[:_LABELS_TOLD]]
        more = f" and {len(changed) - len(told)} more" if len(changed) > len(told) else ""
        yield Difference(
            field="labels",
            reason=reasons.LIMITED,
            message=f"{SERVICE} takes lower case letters, digits, _ and - in labels: {', '.join(told)}{more}",
        )


def _of_machine(request: SubmitRequest) -> Iterator[Difference]:
    spec, gcp, resources = request.spec, request.spec.gcp or GcpOptions(), request.resources
    template = gcp.instance_template
    if template:
        for field, given in _BY_TEMPLATE.items():
            if given(spec, gcp):
                yield Difference(
                    field=field,
                    reason=reasons.NOT_SUPPORTED,
                    message=f"{field} changes nothing: gcp.instanceTemplate decides it",
                )
    wanted = spec.resources
    is_sized = wanted is not None and wanted.cpu is not None and wanted.memory is not None
    if (template or request.sizing.is_unknown_machine) and not is_sized:
        what = "the machine of gcp.instanceTemplate" if template else f"the machine type {spec.machine_type}"
        yield Difference(
            field="resources",
            reason=reasons.UNKNOWN_MACHINE_TYPE,
            message=f"the size of {what} is not known: each task gets {resources.cpu_millis}m CPU and "
            f"{resources.memory_mib} MiB of it; set resources.cpu and resources.memory",
        )


def _of_limits(request: SubmitRequest) -> Iterator[Difference]:
    spec, longest = request.spec, request.resources.max_run_duration_seconds
    if longest > LONGEST_RUN_SECONDS:
        yield Difference(
            field="activeDeadlineSeconds",
            reason=reasons.LIMITED,
            message=f"{SERVICE} ends a job that has run for {LONGEST_RUN_SECONDS} s (14 days): "
            f"{longest} s are not reached",
        )
    if (spec.pending_deadline_seconds or 0) > LONGEST_QUEUE_SECONDS:
        yield Difference(
            field="pendingDeadlineSeconds",
            reason=reasons.LIMITED,
            message=f"{SERVICE} fails a job that is queued for {LONGEST_QUEUE_SECONDS} s (2 days): "
            f"{spec.pending_deadline_seconds} s are not reached",
        )
    at_once = min(spec.parallelism or 0, spec.completions)
    if at_once > MAX_PARALLEL_TASKS:
        yield Difference(
            field="parallelism",
            reason=reasons.LIMITED,
            message=f"{SERVICE} runs {MAX_PARALLEL_TASKS} tasks of a job at once, not {at_once}",
        )
