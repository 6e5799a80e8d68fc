"""What a task says of itself: whose it is, and what was done otherwise than was asked. Pure, each way.

Tasks have no metadata (providers.md §3d), so this is their display name: words such as
``uid=… tasks=3 limit=3600 asked=1000/2048 slots=2/8 node=4000/16384 memory=4096 disk=100``. It comes with every list,
which an environment variable would only do together with the secret ones. Words that are not known are left out. A
display name has at most 1024 characters at the service.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from controller.domain import differences, reasons
from controller.domain.differences import Difference, Remark
from controller.providers.azure import places

_SERVICE = "Azure Batch"


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """The words. Of a task that is not ours all are empty."""

    uid: str = ""
    """The JennahJob's."""
    namespace: str = ""
    tenant: str = ""
    job: str = ""
    """The job id."""
    is_left_alone: bool = False
    """spec.deletionPolicy is Orphan."""
    tasks: int = 1
    parallelism: int = 0
    """Tasks that may be under way at once; 0: all."""
    limit: int = 0
    """Seconds that an attempt may run; 0: no limit."""
    preemptions: int | None = None
    """How often a task may lose its node and run again; None: not known, of a task of an earlier release."""
    asked: tuple[int, int] | None = None
    """CPU in millis and memory in MiB, where that is not what is given."""
    slots: tuple[int, int] | None = None
    """Of the node's, those that are taken."""
    node: tuple[int, int] | None = None
    """CPU in millis and memory in MiB of the node; None: not known."""
    memory: int | None = None
    """MiB that the container may use; None: no limit."""
    gpus: tuple[int, int] | None = None
    """The GPUs that were asked for and those of the node, where that is not the same; 0: the node's are not known."""
    is_gpu_type_lost: bool = False
    """A type of GPU was asked for, and the pool was chosen by something else."""
    machine: tuple[str, str] | None = None
    """The machine type that was asked for and the VM size of the pool, where that is another."""
    is_spot_lost: bool = False
    """Spot nodes were asked for, and the pool has none."""
    disk: int | None = None
    """GiB that were asked for and are not given."""
    priority: int = 0
    """The one that was asked for, where it is between two steps."""
    labels: int = 0
    """How many labels were asked for; none are given."""
    is_entrypoint_lost: bool = False
    """The job has arguments and no command."""


_FLAGS = {
    "is_left_alone": "orphan",
    "is_gpu_type_lost": "anygpu",
    "is_spot_lost": "dedicated",
    "is_entrypoint_lost": "args",
}
_COUNTS = ("parallelism", "limit", "priority", "labels")
"""0 is left out."""
_NUMBERS = ("preemptions", "memory", "disk")
_PAIRS = ("asked", "slots", "node", "gpus")


def encode(marker: Marker) -> str:
    """The display name."""
    words = [f"uid={marker.uid}", f"tasks={marker.tasks}"]
    owner = {"namespace": marker.namespace, "tenant": marker.tenant, "job": marker.job}
    words += [f"{name}={text}" for name, text in owner.items() if text]
    words += [f"{word}=1" for name, word in _FLAGS.items() if getattr(marker, name)]
    words += [f"{name}={getattr(marker, name)}" for name in _COUNTS if getattr(marker, name)]
    words += [f"{name}={getattr(marker, name)}" for name in _NUMBERS if getattr(marker, name) is not None]
    for name in (*_PAIRS, "machine"):
        pair: tuple[object, object] | None = getattr(marker, name)
        if pair is not None:
            words.append(f"{name}={pair[0]}/{pair[1]}")
    return " ".join(words)


def decode(display_name: str) -> Marker:
    """The inverse; total."""
    found: dict[str, Any] = {}
    for word in display_name.split():
        name, _, text = word.partition("=")
        if name in _READ:
            field, read = _READ[name]
            found[field] = read(text)
    return Marker(**found)


def remarks(marker: Marker) -> tuple[Remark, ...]:
    """What a user is told of the differences."""
    told = differences.remarks(_differences(marker))
    return (*told, differences.entrypoint_lost(_SERVICE)) if marker.is_entrypoint_lost else told


def _differences(marker: Marker) -> Iterator[Difference]:
    if marker.asked and marker.slots:
        yield _size(marker, marker.asked, marker.slots)
    if marker.gpus:
        asked, has = marker.gpus
        yield Difference(
            field="resources.gpu",
            reason=reasons.ROUNDED_UP if has else reasons.UNKNOWN_MACHINE_TYPE,
            message=f"resources.gpu {asked} became all {has} GPUs of a node on {_SERVICE}"
            if has
            else f"resources.gpu {asked} became all GPUs of a node on {_SERVICE}: how many is not known "
            "(AZURE_NODE_SIZES)",
        )
    if marker.is_gpu_type_lost:
        text = "resources.gpu.type changes nothing: azure.pool or machineType chose the pool"
        yield _not_supported("resources.gpu.type", text)
    if marker.machine:
        asked_type, vm_size = marker.machine
        yield _not_supported("machineType", f"machineType {asked_type} became {vm_size}, which the pool's nodes are")
    if marker.disk is not None:
        yield _not_supported(
            "bootDiskGiB", f"bootDiskGiB {marker.disk} changes nothing: the pool says what disk nodes have"
        )
    if marker.is_spot_lost:
        yield _not_supported("spot", "spot changes nothing: the pool has no spot nodes")
    if marker.priority:
        step = marker.priority // places.PRIORITY_BAND * places.PRIORITY_BAND
        text = f"priority {marker.priority} counts as {step} on {_SERVICE}, which has steps of {places.PRIORITY_BAND}"
        yield Difference(field="priority", reason=reasons.LIMITED, message=text)
    if marker.labels:
        yield _not_supported("labels", f"labels ({marker.labels}) change nothing: tasks have none")


def _size(marker: Marker, asked: tuple[int, int], slots: tuple[int, int]) -> Difference:
    has = f"with {marker.node[0]}m and {marker.node[1]} MiB" if marker.node else "whose size is not known"
    share = "all of" if slots[0] == slots[1] else f"{slots[0]} of the {slots[1]} task slots of"
    text = f"{asked[0]}m CPU and {asked[1]} MiB became {share} a node {has}"
    text += f" on {_SERVICE}" if marker.node else f" on {_SERVICE} (AZURE_NODE_SIZES)"
    if marker.memory is not None:
        text += f", and the container may use {marker.memory} MiB"
    reason = reasons.ROUNDED_UP if marker.node else reasons.UNKNOWN_MACHINE_TYPE
    return Difference(field="resources", reason=reason, message=text)


def _not_supported(field: str, text: str) -> Difference:
    return Difference(field=field, reason=reasons.NOT_SUPPORTED, message=f"{text} ({_SERVICE})")


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and text.isascii() else None


def _pair(text: str) -> tuple[int, int] | None:
    first, _, second = text.partition("/")
    one, two = _number(first), _number(second)
    return (one, two) if one is not None and two is not None else None


def _texts(text: str) -> tuple[str, str] | None:
    first, _, second = text.partition("/")
    return (first, second) if first and second else None


_READ: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    **{name: (name, str) for name in ("uid", "namespace", "tenant", "job")},
    **{word: (name, "1".__eq__) for name, word in _FLAGS.items()},
    **{name: (name, lambda text: _number(text) or 0) for name in _COUNTS},
    **{name: (name, _number) for name in _NUMBERS},
    **{name: (name, _pair) for name in _PAIRS},
    "tasks": ("tasks", lambda text: _number(text) or 1),
    "machine": ("machine", _texts),
}
"""By the word: the field, and how its text is read."""
