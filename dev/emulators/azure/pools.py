"""The pools of an account: what tests make of them, and how the service shows them."""

from typing import Any

import msgspec

from dev.emulators.azure.tasks import ACTIVE, stamp


class PoolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A pool."""

    name: str
    vm_size: str = "Standard_D4s_v5"
    slots: int = 4
    takes_containers: bool = True
    has_nodes: bool = True
    """Without any, tasks wait."""
    is_spot: bool = False
    state: str = ACTIVE
    resize_errors: tuple[tuple[str, str], ...] = ()
    """Code and message."""


POOLS = (
    PoolSpec(name="jennah"),
    PoolSpec(name="jennah-spot", vm_size="Standard_D2s_v5", slots=2, is_spot=True),
    PoolSpec(name="jennah-gpu", vm_size="Standard_NC4as_T4_v3", slots=1),
)


def pool_spec(text: str) -> PoolSpec:
    """``NAME=VMSIZE[/SLOTS][,empty][,plain][,spot]``: without nodes; without containers; of spot nodes."""
    name, _, rest = text.partition("=")
    size, *words = rest.split(",")
    vm_size, _, slots = size.partition("/")
    return PoolSpec(
        name=name,
        vm_size=vm_size or "Standard_D4s_v5",
        slots=int(slots or 1),
        takes_containers="plain" not in words,
        has_nodes="empty" not in words,
        is_spot="spot" in words,
    )


def shown(pool: PoolSpec, url: str) -> dict[str, Any]:
    """BatchPool."""
    kind, other = ("LowPriority", "Dedicated") if pool.is_spot else ("Dedicated", "LowPriority")
    machine: dict[str, Any] = {"imageReference": {}, "nodeAgentSKUId": "batch.node.ubuntu 22.04"}
    if pool.takes_containers:
        machine["containerConfiguration"] = {"type": "dockerCompatible"}
    return {
        "id": pool.name,
        "url": f"{url}/pools/{pool.name}",
        "eTag": "0x1",
        "creationTime": stamp(0),
        "lastModified": stamp(0),
        "state": pool.state,
        "stateTransitionTime": stamp(0),
        "vmSize": pool.vm_size,
        "taskSlotsPerNode": pool.slots,
        "virtualMachineConfiguration": machine,
        f"current{kind}Nodes": int(pool.has_nodes),
        f"current{other}Nodes": 0,
        f"target{kind}Nodes": int(pool.has_nodes or bool(pool.resize_errors)),
        f"target{other}Nodes": 0,
        "enableAutoScale": False,
        "allocationState": "steady",
        "resizeErrors": [{"code": code, "message": message} for code, message in pool.resize_errors],
    }
