"""What Kubernetes does otherwise than a spec says, told by conditions. Pure: computed from the request alone."""

from collections.abc import Iterator

from controller.domain import differences, reasons
from controller.domain.differences import Difference, Remark
from controller.ports import SubmitRequest
from controller.providers.kubernetes import allocatable


def remarks(request: SubmitRequest) -> tuple[Remark, ...]:
    """The remarks of every observation that a submission returns."""
    return differences.remarks(_found(request))


def _found(request: SubmitRequest) -> Iterator[Difference]:
    spec, sizing, machine = request.spec, request.sizing, request.sizing.machine
    if machine is not None and (sizing.takes_all_cpu or sizing.takes_all_memory):
        told = []
        if sizing.takes_all_cpu:
            told.append(f"{allocatable.cpu_millis(machine)}m of its {machine.cpu_millis}m CPU")
        if sizing.takes_all_memory:
            told.append(f"{allocatable.memory_mib(machine)} MiB of its {machine.memory_mib} MiB memory")
        yield Difference(
            field="machineType",
            reason=reasons.HELD_BACK,
            message=f"a node of the type {machine.name} keeps some of itself: on Kubernetes the task asks for "
            f"{' and '.join(told)}, without a limit, so it may use all that is free there",
        )
    if sizing.is_unknown_machine:
        cpu, memory = request.resources.cpu_millis, request.resources.memory_mib
        yield Difference(
            field="machineType",
            reason=reasons.UNKNOWN_MACHINE_TYPE,
            message=f"the size of {spec.machine_type} is not known: on Kubernetes the task gets {cpu}m CPU and "
            f"{memory} MiB of it; set resources, or its size in JOB_CONFIG_PATH (machineTypeResources)",
        )
