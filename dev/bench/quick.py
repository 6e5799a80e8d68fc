"""``python -m dev.bench quick``: a small life beside a small limit and peer, for CI. It writes nothing.

It fails on ratios that are less than half of those in bench/results: a slow or busy machine changes both sides.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from dev.bench import compare

JOBS, PEER_JOBS = 1000, 300
RATIOS = ("ratio_to_limit", "ratio_to_peer", "cpu_ratio_to_limit")
LEAST_PART = 0.5

Say = Callable[[str], None]


class OutOfLine(Exception):
    """Ratios are far from what they were."""


async def measure(say: Say) -> Mapping[str, object]:
    """The figures of life."""
    found = await compare.measure(
        compare.WAYS, jobs=JOBS, peer_jobs=PEER_JOBS, rounds=1, databases=("sqlite",), kubeconfig=None, say=say
    )
    return found["life"]


def check(figures: Mapping[str, object], folder: Path) -> None:
    """Print the ratios beside those of the folder's life.json. Raises OutOfLine."""
    committed: Mapping[str, float] = json.loads((folder / "life.json").read_text())
    faults = []
    for name in RATIOS:
        now, then = figures[name], committed[name]
        assert isinstance(now, float)
        print(f"{name:24}{now:8.3f}  (bench/results: {then:.3f})", flush=True)
        if now < then * LEAST_PART:
            faults.append(f"{name} is {now:.3f}, less than half of {then:.3f}")
    if faults:
        raise OutOfLine("; ".join(faults))
