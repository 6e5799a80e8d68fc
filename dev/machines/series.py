"""Machine types that differ in their size alone, written as one line."""

import re
from collections.abc import Iterable, Iterator

import msgspec

Row = tuple[float | int | str, ...]
"""CPUs, memory in MiB and, where it has any, the number of GPUs and their type."""

_LABEL = re.compile(r"(\d+)(?:-(\d+))?")


class Series(msgspec.Struct, frozen=True):
    """The types ``<prefix><label><suffix>`` for each label in `sizes` and each of the suffixes."""

    prefix: str
    suffixes: str
    """One or more, with blanks between them; "" for none."""
    gib_per_cpu: float
    sizes: str
    """Labels with blanks between them. A label begins with the number of CPUs; ``8-4`` has the memory of 8 and 4 CPUs.

    ``label=GiB``, ``label=CPUs/GiB`` and ``label=CPUs/GiB/GPUs`` say what does not follow from that.
    """
    gpu: str = ""
    """The type of its GPUs, as its cloud names it."""

    def rows(self) -> Iterator[tuple[str, Row]]:
        """Each type's name and row. Raises ValueError for a size that does not say how many CPUs or GPUs it has."""
        for size in self.sizes.split():
            label, _, told = size.partition("=")
            row = self._row(label, told.split("/") if told else [])
            for suffix in self.suffixes.split() or [""]:
                yield f"{self.prefix}{label}{suffix}", row

    def _row(self, label: str, told: list[str]) -> Row:
        match = _LABEL.match(label)
        if (match is None and len(told) < 2) or (len(told) == 3) != bool(self.gpu):
            raise ValueError(f"{self.prefix}{label} does not say how many CPUs or GPUs it has")
        of_memory, cpus = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if len(told) > 1:
            cpus = int(told[0])
        gib = float(told[min(len(told), 2) - 1]) if told else of_memory * self.gib_per_cpu
        memory_mib = int(gib * 1024)  # a part of a MiB less is safe, a part more is not
        return (cpus, memory_mib, int(told[2]), self.gpu) if self.gpu else (cpus, memory_mib)


def table(series: Iterable[Series]) -> dict[str, Row]:
    """The rows of all of them by name. Raises ValueError for a name that two of them have."""
    found: dict[str, Row] = {}
    for one in series:
        for name, row in one.rows():
            if name in found:
                raise ValueError(f"two series have {name}")
            found[name] = row
    return found
