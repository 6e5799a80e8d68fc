"""Which pool a job goes to, and how many of its nodes' slots a task takes: pure, from settings and spec.

Machine types, GPUs, spot capacity, disks, network and identities all belong to the pool there (providers.md §3d).
"""

import math
import re

import msgspec
from azure.batch.models import BatchPoolState

from controller.cloud_settings import AzureSettings, NodeSize
from controller.domain import reasons
from controller.domain.errors import Permanent
from controller.domain.job import JobSpec
from controller.domain.resources import ResourceSet
from controller.providers.azure import wire

_SERIES_GIB_A_CORE = {"D": 4, "E": 8, "F": 2}
_VM_SIZE = re.compile(r"standard_([def])(\d{1,2})[a-z]*_v([2-6])", re.IGNORECASE)
_POOL_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_WORDS_MAX = 300
_MOST_CORES = 48
"""Larger ones of the E series have less memory a core than the others."""


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be known of a pool to submit to it."""

    id: str
    vm_size: str
    slots: int
    """task_slots_per_node."""
    takes_containers: bool
    is_being_deleted: bool = False
    resize_error: str = ""
    """Why its last resize did not bring all nodes; "" where it did."""
    may_have_nodes: bool = True
    """Whether it has nodes, or is to have some."""


class Slots(msgspec.Struct, frozen=True, kw_only=True):
    """What a task takes of a node."""

    taken: int
    of: int
    node: NodeSize | None
    """None: the node's size is not known."""

    def memory_limit(self, asked_mib: int) -> int | None:
        """MiB that its container may use, so that it takes none from others on the node: its share of the node, or what
        was asked for where the node's size is not known. None for a task that has the node to itself."""
        if self.taken == self.of:
            return None
        return asked_mib if self.node is None else self.node.memory_mib * self.taken // self.of


def untold(pool_id: str) -> Pool:
    """A pool of which nothing is known but that tasks may go to it."""
    return Pool(id=pool_id, vm_size="", slots=1, takes_containers=True)


def pool(found: wire.Pool) -> Pool:
    """What the service says of a pool. One whose machines are not told is taken for one that runs containers."""
    machines = found.virtual_machine_configuration
    error = next(iter(found.resize_errors), None)
    nodes = (
        found.current_dedicated_nodes,
        found.current_low_priority_nodes,
        found.target_dedicated_nodes,
        found.target_low_priority_nodes,
    )
    return Pool(
        id=found.id,
        vm_size=found.vm_size,
        slots=found.task_slots_per_node,
        takes_containers=machines is None or machines.container_configuration is not None,
        is_being_deleted=found.state == BatchPoolState.DELETING.value,
        resize_error=f"{error.code}: {' '.join(error.message.split())}"[:_WORDS_MAX] if error else "",
        may_have_nodes=found.enable_auto_scale or any(nodes),
    )


def choose(spec: JobSpec, settings: AzureSettings) -> str:
    """The pool that a job goes to: spec.azure.pool, else by machine type, GPU and spot, else the default.

    Raises Permanent(INVALID_SPEC) where that is no id, or AZURE_BATCH_POOLS has none for what is asked for.
    """
    if spec.azure is not None and spec.azure.pool:
        if not _POOL_ID.fullmatch(spec.azure.pool):  # ".", say, would be the path of another resource
            raise Permanent(
                f"spec.azure.pool: {spec.azure.pool!r} is no pool's id: letters, digits, '-' and '_', at most 64",
                reason=reasons.INVALID_SPEC,
            )
        return spec.azure.pool
    gpu = spec.resources.gpu if spec.resources else None
    if spec.machine_type:
        field, key = "machineType", spec.machine_type
    elif gpu is not None:
        field, key = ("resources.gpu.type", gpu.type) if gpu.type else ("resources.gpu", "gpu")
    elif spec.spot:
        field, key = "spot", "spot"
    else:
        return settings.pool
    if spec.spot and key != "spot":
        field, key = f"{field} with spec.spot", f"{key}+spot"
    pool = settings.pools.get(key)
    if pool is None:
        raise Permanent(f"spec.{field}: AZURE_BATCH_POOLS has no pool for {key!r}", reason=reasons.INVALID_SPEC)
    return pool


def configured(settings: AzureSettings) -> tuple[str, ...]:
    """The pools of the settings, the default one first, each once: ids are the same in small and capital letters."""
    found: dict[str, str] = {}
    for name in (settings.pool, *settings.pools.values()):
        if name:  # none is configured for a place of earlier settings
            found.setdefault(name.lower(), name)
    return tuple(found.values())


def node_size(pool: Pool, settings: AzureSettings) -> NodeSize | None:
    """The size of a pool's nodes: AZURE_NODE_SIZES, else what the VM size's name says (the D and E series from
    version 3 on and F version 2: the cores are in the name, with 4, 8 and 2 GiB each). None: not known."""
    nodes = {name.lower(): size for name, size in settings.nodes.items()}
    known = nodes.get(pool.id.lower()) or nodes.get(pool.vm_size.lower())
    if known is not None:
        return known
    match = _VM_SIZE.fullmatch(pool.vm_size)
    if match is None:
        return None
    series, cores, version = match[1].upper(), int(match[2]), int(match[3])
    if (version == 2) != (series == "F") or not 0 < cores <= _MOST_CORES:
        return None
    return NodeSize(cpu_millis=cores * 1000, memory_mib=cores * _SERIES_GIB_A_CORE[series] * 1024)


def slots(pool: Pool, resources: ResourceSet, settings: AzureSettings) -> Slots:
    """The slots of a task: its share of the node's cores or memory, the larger one, rounded up; one where the node's
    size is not known. Raises Permanent(INVALID_SPEC) for more than a node has."""
    node = node_size(pool, settings)
    if node is None:
        return Slots(taken=1, of=pool.slots, node=None)
    shares = {
        "cpu": resources.cpu_millis / node.cpu_millis,
        "memory": resources.memory_mib / node.memory_mib,
    }
    field = max(shares, key=lambda name: shares[name])
    if shares[field] > 1:
        asked = f"{resources.cpu_millis}m CPU and {resources.memory_mib} MiB"
        has = f"{node.cpu_millis}m and {node.memory_mib} MiB ({pool.vm_size})"
        raise Permanent(
            f"spec.resources.{field}: {asked} do not fit on a node of the pool {pool.id!r}, which has {has}; choose a "
            "larger pool by machineType or azure.pool",
            reason=reasons.INVALID_SPEC,
        )
    return Slots(taken=max(math.ceil(shares[field] * pool.slots - 1e-9), 1), of=pool.slots, node=node)
