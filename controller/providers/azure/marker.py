"""What a task says of itself: whose it is, and what was done otherwise than was asked. Pure, each way.

Tasks have no metadata (providers.md §3d), so this is their display name: words such as
``uid=… tasks=3 limit=3600 asked=1000/2048 slots=2/8 node=4000/16384 memory=4096 disk=100``. It comes with every list,
which an environment variable would only do together with the secret ones. Words that are not known are left out.
"""

import msgspec

from controller.domain import conditions, reasons
from controller.domain.differences import Remark


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
    asked: tuple[int, int] | None = None
    """CPU in millis and memory in MiB, where that is not what is given."""
    slots: tuple[int, int] | None = None
    """Of the node's, those that are taken."""
    node: tuple[int, int] | None = None
    """CPU in millis and memory in MiB of the node; None: not known."""
    memory: int | None = None
    """MiB that the container may use; None: no limit."""
    disk: int | None = None
    """GiB that were asked for and are not given."""


def encode(marker: Marker) -> str:
    """The display name."""
    words = [f"uid={marker.uid}", f"tasks={marker.tasks}"]
    owner = {"namespace": marker.namespace, "tenant": marker.tenant, "job": marker.job}
    words += [f"{name}={text}" for name, text in owner.items() if text]
    if marker.is_left_alone:
        words.append("orphan=1")
    if marker.parallelism:
        words.append(f"parallelism={marker.parallelism}")
    if marker.limit:
        words.append(f"limit={marker.limit}")
    for name in ("asked", "slots", "node"):
        pair: tuple[int, int] | None = getattr(marker, name)
        if pair is not None:
            words.append(f"{name}={pair[0]}/{pair[1]}")
    for name in ("memory", "disk"):
        number: int | None = getattr(marker, name)
        if number is not None:
            words.append(f"{name}={number}")
    return " ".join(words)


def decode(display_name: str) -> Marker:
    """The inverse; total."""
    words = {name: value for name, _, value in (word.partition("=") for word in display_name.split())}
    return Marker(
        uid=words.get("uid", ""),
        namespace=words.get("namespace", ""),
        tenant=words.get("tenant", ""),
        job=words.get("job", ""),
        is_left_alone=words.get("orphan") == "1",
        tasks=_number(words.get("tasks")) or 1,
        parallelism=_number(words.get("parallelism")) or 0,
        limit=_number(words.get("limit")) or 0,
        asked=_pair(words.get("asked")),
        slots=_pair(words.get("slots")),
        node=_pair(words.get("node")),
        memory=_number(words.get("memory")),
        disk=_number(words.get("disk")),
    )


def remarks(marker: Marker) -> tuple[Remark, ...]:
    """What a user is told of the differences."""
    texts, is_rounded = [], False
    if marker.asked and marker.slots:
        asked = f"{marker.asked[0]}m CPU and {marker.asked[1]} MiB"
        taken, of = marker.slots
        if marker.node:
            is_rounded = True
            node = f"{marker.node[0]}m and {marker.node[1]} MiB"
            text = f"{asked} became {taken} of the {of} task slots of a node with {node}"
        else:
            text = f"{asked} became one of the node's {of} task slots: its size is not known (AZURE_NODE_SIZES)"
        if marker.memory is not None:
            text += f"; the container may use {marker.memory} MiB"
        texts.append(text)
    if marker.disk is not None:
        texts.append(f"bootDiskGiB {marker.disk} is not honoured: the disk is that of the pool's nodes")
    if not texts:
        return ()
    reason = reasons.ROUNDED_UP if is_rounded else reasons.NOT_SUPPORTED
    return (Remark(condition=conditions.RESOURCES_EXACT, reason=reason, message="; ".join(texts)),)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and text.isascii() else None


def _pair(text: str | None) -> tuple[int, int] | None:
    first, _, second = (text or "").partition("/")
    one, two = _number(first), _number(second)
    return (one, two) if one is not None and two is not None else None
