"""GPUs by the names that Compute Engine has for them, and the machines that bring them. Pure.

Sources: "Create and run a job that uses GPUs" of the service's guides, "GPU machine types" of Compute Engine.
"""

import re

from controller.domain import machines
from controller.domain.job import Gpu, JobSpec
from controller.domain.machines import Machine
from controller.domain.resources import ResourceSet, Sizing
from controller.providers.program import invalid

ATTACHABLE = {
    "nvidia-tesla-t4": (1, 2, 4),
    "nvidia-tesla-p4": (1, 2, 4),
    "nvidia-tesla-p100": (1, 2, 4),
    "nvidia-tesla-v100": (1, 2, 4, 8),
}
"""What N1 machines can be given, and how many of it. All others come with machine types of their own."""
BUILT_IN = (
    "nvidia-l4",
    "nvidia-tesla-a100",
    "nvidia-a100-80gb",
    "nvidia-h100-80gb",
    "nvidia-h100-mega-80gb",
    "nvidia-h200-141gb",
    "nvidia-b200",
    "nvidia-gb200",
    "nvidia-rtx-pro-6000",
)
_TYPES = (*ATTACHABLE, *BUILT_IN)
_FULL_NAME = re.compile(r"nvidia-[a-z0-9]+(-[a-z0-9]+)*")
_GPU_FAMILY = re.compile(r"(a[2-4]x?|g[24])-")


def brings_gpus(machine_type: str | None) -> bool:
    """Whether machines of that type have GPUs by themselves: known by the family where the type is not."""
    machine = machines.find(machine_type)
    return bool(machine and machine.gpus) or _GPU_FAMILY.match(machine_type or "") is not None


def accelerator(spec: JobSpec, resources: ResourceSet, sizing: Sizing) -> Gpu | None:
    """What has to be attached to the job's machines; None where they bring it, or there is nothing to attach.

    Raises Permanent(INVALID_SPEC) for GPUs that no such machine has.
    """
    gpu = spec.resources.gpu if spec.resources else None
    if gpu is None:
        return None
    if spec.gcp and spec.gcp.instance_template:
        return None
    names = _names(gpu.type)
    if brings_gpus(spec.machine_type):
        _check_built_in(gpu, names, sizing.machine)
        return None
    if not names:
        raise invalid("resources.gpu.type", f"is needed unless machineType is one that has GPUs: {_legal()}")
    if spec.machine_type:
        return _on_named_machine(gpu, names, spec.machine_type)
    return _on_any_machine(gpu, names, resources)


def _names(text: str | None) -> list[str]:
    """The service's names that this may mean, the closest first; [] for None. "a100" is nvidia-tesla-a100 before it is
    nvidia-a100-80gb. A full name that is not known here is one that is newer."""
    if text is None:
        return []
    plain = machines.plain_gpu_type(text)
    found = [name for name in _TYPES if machines.plain_gpu_type(name) == plain]
    found += [name for name in _TYPES if machines.plain_gpu_type(name).startswith(f"{plain}-")]
    if found:
        return found
    if _FULL_NAME.fullmatch(text):
        return [text]
    raise invalid("resources.gpu.type", f"{text!r} is no GPU of Google Cloud: {_legal()}")


def _check_built_in(gpu: Gpu, names: list[str], machine: Machine | None) -> None:
    if machine is None:
        return  # a type of that family that is newer than the table
    if names and machine.gpu_type not in names:
        raise invalid(
            "resources.gpu.type", f"{gpu.type!r} is not what {machine.name} has: {machine.gpus} x {machine.gpu_type}"
        )
    if gpu.count != machine.gpus:
        raise invalid(
            "resources.gpu.count",
            f"{machine.name} has {machine.gpus} GPUs, and {gpu.count} are asked for; ask for as many, or leave out gpu",
        )


def _on_named_machine(gpu: Gpu, names: list[str], machine_type: str) -> Gpu:
    if names[0] in BUILT_IN:
        raise invalid(
            "resources.gpu.type",
            f"{names[0]} comes only with machine types of its own{_examples(names[0])}, and cannot be attached to "
            f"{machine_type}; name one of these, or leave out machineType",
        )
    return _attached(gpu, names[0])


def _on_any_machine(gpu: Gpu, names: list[str], resources: ResourceSet) -> Gpu:
    """The service picks the machine by the GPUs: take the meaning of the name that one with such GPUs has room for."""
    if names[0] in ATTACHABLE:
        return _attached(gpu, names[0])
    exact = [name for name in names if machines.plain_gpu_type(name) == machines.plain_gpu_type(gpu.type or "")]
    if not exact and len(names) > 1:
        raise invalid("resources.gpu.type", f"{gpu.type!r} may be {' or '.join(names)}: write which")
    sold = {name: _with(name) for name in names}
    if not all(sold.values()):
        return Gpu(type=names[0], count=gpu.count)  # newer than the table
    counts = {machine.gpus for found in sold.values() for machine in found}
    if gpu.count not in counts:
        told = ", ".join(map(str, sorted(counts)))
        raise invalid("resources.gpu.count", f"no machine has {gpu.count} x {' or '.join(names)}, only {told}")
    sold = {name: [one for one in found if one.gpus == gpu.count] for name, found in sold.items()}
    for name, found in sold.items():
        if any(_has_room(machine, resources) for machine in found):
            return Gpu(type=name, count=gpu.count)
    largest = max((machine for found in sold.values() for machine in found), key=lambda one: one.memory_mib)
    raise invalid(
        "resources",
        f"no machine with {gpu.count} x {' or '.join(names)} has {resources.cpu_millis}m CPU and "
        f"{resources.memory_mib} MiB: the largest is {largest.name} with {largest.cpu_millis}m and "
        f"{largest.memory_mib} MiB; ask for less, or for other GPUs",
    )


def _attached(gpu: Gpu, name: str) -> Gpu:
    counts = ATTACHABLE.get(name)
    if counts and gpu.count not in counts:
        told = ", ".join(map(str, counts))
        raise invalid("resources.gpu.count", f"{gpu.count} {name} cannot be attached to a machine, only {told} can")
    return Gpu(type=name, count=gpu.count)


def _has_room(machine: Machine, resources: ResourceSet) -> bool:
    return machine.cpu_millis >= resources.cpu_millis and machine.memory_mib >= resources.memory_mib


def _with(gpu_type: str) -> list[Machine]:
    return [one for one in machines.of_cloud("gcp") if one.gpu_type == gpu_type]


def _examples(gpu_type: str) -> str:
    known = sorted(one.name for one in _with(gpu_type))
    return f" ({', '.join(known[:4])})" if known else ""


def _legal() -> str:
    return f"known are {', '.join(sorted(_TYPES))}"
