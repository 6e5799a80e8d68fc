"""What a job is given of CPUs and memory: whole CPUs and any memory on EC2, Fargate's sizes there. Pure."""

from controller.domain.machines import Machine
from controller.domain.resources import ResourceSet, Sizing
from controller.providers import program
from controller.providers.aws import fargate
from controller.providers.aws.queues import Platform

LEAST_MEMORY_MIB = 4
_KEPT_PERCENT = 5
_KEPT_MIB = 240
"""What a machine keeps of its memory, at most: the kernel, the hypervisor and the 32 MiB that AWS Batch reserves.
Fitted above what was measured on some 400 machine types (the memory overheads that Karpenter's AWS provider once
generated; the worst are c5.large with 405 of 4096 MiB and c5.18xlarge with 6728 of 147,456)."""
_NEVER_PERCENT = 1
"""What every machine keeps, at least: the least that was measured is 0.9 % and those 32 MiB."""


def available_mib(machine: Machine) -> int:
    """The memory in MiB that a job can have on that machine for sure."""
    return max(machine.memory_mib * (100 - _KEPT_PERCENT) // 100 - _KEPT_MIB, LEAST_MEMORY_MIB)


def most_mib(machine: Machine) -> int:
    """No job with more memory than this, in MiB, ever fits on that machine."""
    return machine.memory_mib * (100 - _NEVER_PERCENT) // 100


def given(resources: ResourceSet, sizing: Sizing, platform: Platform) -> tuple[int, int]:
    """CPU in thousandths and memory in MiB. Raises Permanent(INVALID_SPEC) for more than Fargate has."""
    cpu, memory = resources.cpu_millis, resources.memory_mib
    if platform is Platform.EC2:
        if sizing.machine is not None and sizing.takes_all_memory:
            memory = available_mib(sizing.machine)
        return max(-(-cpu // 1000), 1) * 1000, max(memory, LEAST_MEMORY_MIB)
    found = fargate.round_up(cpu, memory)
    if found is None:
        fault = f"Fargate has no size with {cpu}m CPU and {memory} MiB of memory; ask for less, or use a queue on EC2"
        raise program.invalid("resources", fault)
    return found
