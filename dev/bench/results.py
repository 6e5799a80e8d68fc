"""What all benchmarks write: their figures, and what they were measured on. One file a part in bench/results."""

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "bench" / "results"
LIBRARIES = ("aiohttp", "kopf", "kubernetes", "msgspec")

Figures = Mapping[str, object]


def write(part: str, figures: Figures, folder: Path = FOLDER, *, libraries: Sequence[str] = LIBRARIES) -> Path:
    """Write the part's file, with the machine, the versions and the date."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{part}.json"
    surroundings = {
        "machine": machine(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in libraries}},
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path.write_text(json.dumps({**figures, **surroundings}, indent=2) + "\n")
    return path


def machine() -> dict[str, object]:
    """The cores that everything shares, and how busy they are with other things."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    load = round(os.getloadavg()[0], 2)
    return {"cores": os.cpu_count(), "cpu": names[0] if names else platform.machine(), "load": load}


def percentiles(values: Sequence[float], digits: int = 1) -> dict[str, float]:
    """p50 and p99; of a single value that one."""
    cuts = statistics.quantiles(values, n=100) if len(values) > 1 else [*values] * 99
    return {"p50": round(cuts[49], digits), "p99": round(cuts[98], digits)}


def table(figures: Figures, indent: str = "") -> str:
    """The figures as lines of names and values, for who ran it."""
    lines = []
    for name, value in figures.items():
        if isinstance(value, Mapping) and value and not all(isinstance(one, int | float) for one in value.values()):
            lines += [f"{indent}{name}", table(value, f"{indent}  ")]
        elif isinstance(value, Mapping):
            lines.append(f"{indent}{name:{40 - len(indent)}}" + "  ".join(f"{key} {one}" for key, one in value.items()))
        else:
            lines.append(f"{indent}{name:{40 - len(indent)}}{value}")
    return "\n".join(lines)
