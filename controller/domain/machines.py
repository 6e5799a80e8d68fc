"""What machine types have: CPUs, memory and GPUs, from tables that ``dev/machines`` makes of public data. Pure.

A table is ``machine_types/<cloud>.json``: ``{"source", "date", "types": {name: [cpus, memory in MiB, GPUs, type of
GPU]}}``, the last two left out where there are none. Names of the three clouds do not overlap. GPUs are those of
NVIDIA: no service hands others to a container by a count. A part of a GPU counts as one: it is one device.
"""

import functools
import re
from importlib import resources as files

import msgspec

CLOUDS = ("gcp", "aws", "azure")

_CUSTOM = re.compile(r"(?:(?:n[124][ad]?|e2)-)?custom-([1-9]\d{0,2})-([1-9]\d{0,7})(?:-ext)?")
"""Google's types of any size say in their name what they have: CPUs and memory in MiB."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """One machine type, as its cloud sells it: what a container can have of it may be less."""

    name: str
    cloud: str
    cpu_millis: int
    memory_mib: int
    gpus: int = 0
    gpu_type: str = ""
    """As that cloud names it; "" where it has none."""

    @property
    def can_be_given_gpus(self) -> bool:
        """Whether GPUs are no part of the type, and are attached to a machine of it as it is made."""
        return self.cloud == "gcp" and self.name.lower().startswith(("n1-", "custom-"))


class _Table(msgspec.Struct, frozen=True):
    source: str
    date: str
    types: dict[str, tuple[float | int | str, ...]]


@functools.cache
def _table(cloud: str) -> _Table:
    text = (files.files("controller.domain") / "machine_types" / f"{cloud}.json").read_bytes()
    return msgspec.json.decode(text, type=_Table)


def find(name: str | None) -> Machine | None:
    """The machine type of that name, of whichever cloud and in any case of letters; None where it is not known. It has
    the name as it was given."""
    if not name:
        return None
    key = name.lower()
    for cloud in CLOUDS:
        types = _table(cloud).types
        if key in types:
            return _machine(name, cloud, types[key])
    custom = _CUSTOM.fullmatch(key)
    return _machine(name, "gcp", (int(custom[1]), int(custom[2]))) if custom else None


def plain_gpu_type(name: str) -> str:
    """A GPU's type in small letters and without what not everybody writes: NVIDIA Tesla T4, nvidia-tesla-t4 and t4 are
    t4. Any other word is the same in small letters."""
    return re.sub(r"[\s_]+", "-", name.strip().lower()).removeprefix("nvidia-").removeprefix("tesla-")


def of_cloud(cloud: str) -> list[Machine]:
    """All machine types of that cloud that are known."""
    return [_machine(name, cloud, row) for name, row in _table(cloud).types.items()]


def _machine(name: str, cloud: str, row: tuple[float | int | str, ...]) -> Machine:
    cpus, memory_mib, *gpu = row
    return Machine(
        name=name,
        cloud=cloud,
        cpu_millis=round(float(cpus) * 1000),
        memory_mib=int(memory_mib),
        gpus=int(gpu[0]) if gpu else 0,
        gpu_type=str(gpu[1]) if len(gpu) > 1 else "",
    )
