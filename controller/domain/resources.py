"""Resource profiles (contract §3) and Kubernetes quantities, resolved into plain numbers."""

import math
import re
from decimal import Decimal
from typing import Annotated

import msgspec

from controller.domain import machines
from controller.domain.errors import Invalid
from controller.domain.job import Gpu, JobSpec
from controller.domain.machines import Machine
from controller.domain.suggestions import did_you_mean

DEFAULT_BOOT_DISK_GIB = 50
MOST_CPU_MILLIS = 4096 * 1000
MOST_MEMORY_MIB = 64 * 2**20
"""Twice what the largest machine of any cloud has: for more a job would wait for ever."""

_UNITS = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50,
}  # fmt: skip
_MEMORY = re.compile(r"(\d+(?:\.\d{1,3})?)(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
_CPU = re.compile(r"(\d+(?:\.\d{1,3})?)|(\d+)m")


Amount = Annotated[int, msgspec.Meta(ge=0)]


class ResourceSet(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={
        "memory_mib": "memoryMiB",
        "cpu_millis": "cpuMillis",
        "max_run_duration_seconds": "maxRunDurationSeconds",
    },
):
    """CPU in thousandths of a core, memory in MiB, time limit in seconds. 0 means "the next source"."""

    cpu_millis: Amount = 0
    memory_mib: Amount = 0
    max_run_duration_seconds: Amount = 0


def _built_in_profiles() -> dict[str, ResourceSet]:
    return {
        "default": ResourceSet(cpu_millis=2000, memory_mib=4096, max_run_duration_seconds=3600),
        "small": ResourceSet(cpu_millis=1000, memory_mib=2048, max_run_duration_seconds=1800),
        "medium": ResourceSet(cpu_millis=2000, memory_mib=4096, max_run_duration_seconds=3600),
        "large": ResourceSet(cpu_millis=4000, memory_mib=8192, max_run_duration_seconds=7200),
        "xlarge": ResourceSet(cpu_millis=8000, memory_mib=16384, max_run_duration_seconds=14400),
    }


class Profiles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The shape of the file at JOB_CONFIG_PATH; what it leaves out is as in contract §3."""

    default_resources: ResourceSet = ResourceSet(cpu_millis=2000, memory_mib=4096, max_run_duration_seconds=3600)
    resource_profiles: dict[str, ResourceSet] = msgspec.field(default_factory=_built_in_profiles)
    machine_type_resources: dict[str, ResourceSet] = {}


class Sizing(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine type that a job names has to do with its `ResourceSet`, and what only some jobs have."""

    machine: Machine | None = None
    """The named machine type; None: none is named, or it is not known (`domain.machines`)."""
    is_unknown_machine: bool = False
    """A machine type is named, and neither the tables nor JOB_CONFIG_PATH know it."""
    takes_all_cpu: bool = False
    """The CPUs are the machine's, as it is sold: nothing else was asked for. What can be had may be less."""
    takes_all_memory: bool = False
    """The same of the memory."""
    gpu: Gpu | None = None
    """What the spec asks for, else what the machine type brings with it, with the cloud's own name of the type."""
    is_gpu_implied: bool = False
    """The GPUs are the machine type's: the spec asks for none."""
    shared_memory_mib: int = 0
    """Of /dev/shm, in MiB; 0: the service's own default (64 MiB on most)."""


NO_SIZING = Sizing()


def size(spec: JobSpec, profiles: Profiles) -> Sizing:
    """The sizing that goes with `resolve`. Raises Invalid for a quantity that is none, for more shared memory than
    memory, and for more GPUs than the named machine has."""
    wanted, machine = spec.resources, machines.find(spec.machine_type)
    configured = profiles.machine_type_resources.get(spec.machine_type or "", ResourceSet())
    gpu = wanted.gpu if wanted else None
    if gpu is not None and machine is not None and gpu.count > machine.gpus and not machine.can_be_given_gpus:
        raise Invalid(
            f"resources.gpu.count: {gpu.count} is more than {machine.gpus}, which is what the machine type "
            f"{machine.name} has; ask for fewer, or name another machineType"
        )
    is_implied = gpu is None and machine is not None and machine.gpus > 0
    if is_implied and machine is not None:
        gpu = Gpu(count=machine.gpus, type=machine.gpu_type or None)
    memory = resolve(spec, profiles).memory_mib
    shared = 0
    if wanted and wanted.shared_memory is not None:
        shared = memory_mib(wanted.shared_memory, "resources.sharedMemory")
    if shared > memory:
        raise Invalid(
            f"resources.sharedMemory: {shared} MiB are more than the memory of {memory} MiB, of which they are"
        )
    return Sizing(
        machine=machine,
        is_unknown_machine=bool(spec.machine_type) and machine is None and configured == ResourceSet(),
        takes_all_cpu=machine is not None and not (wanted and wanted.cpu is not None) and not configured.cpu_millis,
        takes_all_memory=machine is not None
        and not (wanted and wanted.memory is not None)
        and not configured.memory_mib,
        gpu=gpu,
        is_gpu_implied=is_implied,
        # Data loaders of training programs share batches there and die in the 64 MiB that containers have by default.
        shared_memory_mib=shared or (memory // 2 if gpu is not None else 0),
    )


def resolve(spec: JobSpec, profiles: Profiles) -> ResourceSet:
    """What the job gets, field by field: its own value, else the machine type's, the profile's, the default's.

    A machine type's are those of JOB_CONFIG_PATH, else all that the machine has (`domain.machines`).

    Raises Invalid for an unknown profile (the message lists the known ones), a quantity that is none, or more than the
    named machine has.
    """
    wanted = spec.resources
    sources = []
    if wanted is not None or spec.active_deadline_seconds:
        sources.append(
            ResourceSet(
                cpu_millis=cpu_millis(wanted.cpu) if wanted and wanted.cpu is not None else 0,
                memory_mib=memory_mib(wanted.memory) if wanted and wanted.memory is not None else 0,
                max_run_duration_seconds=spec.active_deadline_seconds or 0,
            )
        )
    if spec.machine_type and spec.machine_type in profiles.machine_type_resources:
        sources.append(profiles.machine_type_resources[spec.machine_type])
    machine = machines.find(spec.machine_type)
    if machine is not None:
        sources.append(ResourceSet(cpu_millis=machine.cpu_millis, memory_mib=machine.memory_mib))
    if wanted and wanted.profile:
        sources.append(profile(wanted.profile, profiles))
    sources.append(profiles.default_resources)
    found = ResourceSet(
        cpu_millis=next((s.cpu_millis for s in sources if s.cpu_millis), 0),
        memory_mib=next((s.memory_mib for s in sources if s.memory_mib), 0),
        max_run_duration_seconds=next((s.max_run_duration_seconds for s in sources if s.max_run_duration_seconds), 0),
    )
    if machine is not None:
        _check_fit(found, machine)
    return found


def _check_fit(wanted: ResourceSet, machine: Machine) -> None:
    """Raises Invalid for more than that machine has."""
    for field, asked, has, unit in (
        ("cpu", wanted.cpu_millis, machine.cpu_millis, "m"),
        ("memory", wanted.memory_mib, machine.memory_mib, " MiB"),
    ):
        if asked > has:
            raise Invalid(
                f"resources.{field}: {asked}{unit} do not fit on the machine type {machine.name}, which has "
                f"{has}{unit}; ask for less, or name a larger machineType"
            )


def profile(name: str, profiles: Profiles) -> ResourceSet:
    """The profile of that name. Raises Invalid with the known names."""
    try:
        return profiles.resource_profiles[name]
    except KeyError:
        known = sorted(profiles.resource_profiles)
        meant = did_you_mean(name, known)
        raise Invalid(
            f"resources.profile: unknown resource profile {name!r}{meant}: known are {', '.join(known)}"
        ) from None


def cpu_millis(quantity: str | int) -> int:
    """A CPU quantity ("2", "0.5", "500m", 2) in thousandths of a core, rounded up. Raises Invalid, also for 0 and for
    more than any machine has."""
    match = _CPU.fullmatch(str(quantity))
    if match is None:
        raise Invalid(f"resources.cpu: {quantity!r} is not a CPU quantity such as 2 or 500m")
    whole, millis = match.groups()
    found = int(millis) if millis is not None else math.ceil(Decimal(whole) * 1000)
    return _possible("resources.cpu", found, MOST_CPU_MILLIS, "m", quantity)


def memory_mib(quantity: str | int, field: str = "resources.memory") -> int:
    """A memory quantity ("4Gi", "512Mi", bytes as a number) in MiB, rounded up. Raises Invalid, naming the field, also
    for 0 and for more than any machine has."""
    match = _MEMORY.fullmatch(str(quantity))
    if match is None:
        raise Invalid(f"{field}: {quantity!r} is not a memory quantity such as 4Gi or 512Mi")
    number, unit = match.groups()
    return _possible(field, math.ceil(Decimal(number) * _UNITS[unit or ""] / 2**20), MOST_MEMORY_MIB, " MiB", quantity)


def _possible(field: str, amount: int, most: int, unit: str, quantity: str | int) -> int:
    if not amount:
        raise Invalid(f"{field}: {quantity!r} is nothing; leave {field.rpartition('.')[2]} out for the default")
    if amount > most:
        raise Invalid(f"{field}: {quantity!r} is more than any machine has; {most}{unit} is the most")
    return amount
