"""What a node of a machine type leaves to one Pod that shall have all of it. Pure.

Source: Google Kubernetes Engine, "Plan node sizes": what a node keeps for itself (kube-reserved) and the eviction
threshold. Amazon EKS keeps less memory and as much CPU. A kernel takes memory before that, and each cluster runs some
Pods on every node (DaemonSets): the margins are for those.
"""

from controller.domain.machines import Machine

_CPU_SHARES = ((1000, 0.06), (1000, 0.01), (2000, 0.005))
_CPU_REST = 0.0025
"""Of the first core, the second, the third and fourth, and all others."""
_MEMORY_SHARES = ((4 * 1024, 0.25), (4 * 1024, 0.20), (8 * 1024, 0.10), (112 * 1024, 0.06))
_MEMORY_REST = 0.02
_EVICTION_MIB = 100
_MARGIN_CPU_MILLIS, _MARGIN_CPU = 400, 0.01
_MARGIN_MEMORY_MIB, _KERNEL_MEMORY = 512, 0.02
_LEAST = 4
"""A quarter of a machine is asked for at least: of the smallest ones nothing would be left by the formula."""


def cpu_millis(machine: Machine) -> int:
    """CPU that a Pod can ask for so that it fits, in thousandths."""
    whole = machine.cpu_millis
    kept = _kept(whole, _CPU_SHARES, _CPU_REST) + _MARGIN_CPU_MILLIS + whole * _MARGIN_CPU
    return max(int(whole - kept), whole // _LEAST)


def memory_mib(machine: Machine) -> int:
    """Memory that a Pod can ask for so that it fits, in MiB."""
    whole = machine.memory_mib
    kept = _kept(whole, _MEMORY_SHARES, _MEMORY_REST) + _EVICTION_MIB + _MARGIN_MEMORY_MIB + whole * _KERNEL_MEMORY
    return max(int(whole - kept), whole // _LEAST)


def _kept(whole: int, shares: tuple[tuple[int, float], ...], rest: float) -> float:
    kept, left = 0.0, whole
    for part, share in shares:
        kept += min(part, left) * share
        left -= min(part, left)
    return kept + left * rest
