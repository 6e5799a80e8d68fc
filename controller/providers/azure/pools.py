"""Which pool a job goes to, and how many of its nodes' slots a task takes: pure, from settings and spec.

Machine types, GPUs, spot capacity, disks, network and identities all belong to the pool there (providers.md §3d).
"""

import math

import msgspec
from azure.batch.models import BatchPoolState

from controller.cloud_settings import AzureSettings, NodeSize
from controller.domain import machines
from controller.domain.errors import Permanent
from controller.domain.job import JobSpec, Resources
from controller.ports import SubmitRequest
from controller.providers import choices, program
from controller.providers.azure import rules, wire

_WORDS_MAX = 300


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
    has_spot: bool | None = None
    """Whether spot nodes are among them; None: it has no nodes now, so nothing tells."""


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
        has_spot=bool(found.current_low_priority_nodes or found.target_low_priority_nodes) if any(nodes) else None,
    )


def choose(spec: JobSpec, settings: AzureSettings) -> str:
    """The pool that a job goes to: spec.azure.pool, else by machine type, GPU and spot, else the default.

    Raises Permanent(INVALID_SPEC) where that is no id, or AZURE_BATCH_POOLS has none for what is asked for.
    """
    if spec.azure is not None and spec.azure.pool:
        rules.check_pool_id(spec.azure.pool)
        return spec.azure.pool
    found = choices.chosen(spec, settings.pools, variable="AZURE_BATCH_POOLS", instead="azure.pool")
    return settings.pool if found is None else found


def configured(settings: AzureSettings) -> tuple[str, ...]:
    """The pools of the settings, the default one first, each once: ids are the same in small and capital letters."""
    found: dict[str, str] = {}
    for name in (settings.pool, *settings.pools.values()):
        if name:  # none is configured for a place of earlier settings
            found.setdefault(name.lower(), name)
    return tuple(found.values())


def node_size(pool: Pool, settings: AzureSettings) -> NodeSize | None:
    """The size of a pool's nodes: AZURE_NODE_SIZES, else that of its VM size (`domain.machines`). None: not known."""
    nodes = {name.lower(): size for name, size in settings.nodes.items()}
    known = nodes.get(pool.id.lower()) or nodes.get(pool.vm_size.lower())
    machine = machines.find(pool.vm_size)
    if machine is None:
        return known
    if known is None:
        return NodeSize(cpu_millis=machine.cpu_millis, memory_mib=machine.memory_mib, gpus=machine.gpus)
    return known if known.gpus is not None else msgspec.structs.replace(known, gpus=machine.gpus)


def takes_machine(wanted: SubmitRequest) -> bool:
    """Whether a job names a machine type and nothing else of its size: it has all of a node, however large that is."""
    sizing, asked = wanted.sizing, wanted.spec.resources or Resources()
    if sizing.is_unknown_machine:
        return asked.cpu is None and asked.memory is None and not asked.profile
    return sizing.takes_all_cpu and sizing.takes_all_memory


def slots(pool: Pool, wanted: SubmitRequest, settings: AzureSettings) -> Slots:
    """The slots of a task: its share of the node's cores or memory, the larger one, rounded up; one where the node's
    size is not known. All of them for a machine type alone, and for GPUs: every container sees all of its node's.

    Raises Permanent(INVALID_SPEC) for more than a node has.
    """
    node, gpu = node_size(pool, settings), wanted.sizing.gpu
    takes_all = takes_machine(wanted) or gpu is not None
    share = 0.0
    if node is not None:
        if gpu is not None and node.gpus is not None and gpu.count > node.gpus:
            raise _too_large(pool, "resources.gpu", f"{gpu.count} GPUs", f"{node.gpus}")
        if not (takes_machine(wanted) and wanted.sizing.machine is None):
            share = _share(pool, wanted, node)
    taken = pool.slots if takes_all else max(math.ceil(share * pool.slots - 1e-9), 1)
    return Slots(taken=taken, of=pool.slots, node=node)


def _share(pool: Pool, wanted: SubmitRequest, node: NodeSize) -> float:
    resources = wanted.resources
    shares = {
        "cpu": resources.cpu_millis / node.cpu_millis,
        "memory": resources.memory_mib / node.memory_mib,
    }
    field = max(shares, key=lambda name: shares[name])
    if shares[field] > 1:
        asked = f"{resources.cpu_millis}m CPU and {resources.memory_mib} MiB"
        has = f"{node.cpu_millis}m and {node.memory_mib} MiB"
        raise _too_large(pool, "machineType" if takes_machine(wanted) else f"resources.{field}", asked, has)
    return shares[field]


def _too_large(pool: Pool, field: str, asked: str, has: str) -> Permanent:
    return program.invalid(
        field,
        f"{asked} do not fit on a node of the pool {pool.id!r}, which has {has} ({pool.vm_size}); choose a larger pool "
        "by machineType or azure.pool",
    )
