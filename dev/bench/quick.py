"""``python -m dev.bench quick``: a small life beside a small limit and peer, for CI. It writes nothing.

It fails on ratios that are less than half of those in bench/results. A slow machine changes both sides alike, one that
is busy with other things not always: what is out of line is measured again, and the best of the tries counts.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from dev.bench import compare

JOBS, PEER_JOBS = 1000, 300
RATIOS = ("ratio_to_limit", "ratio_to_peer", "cpu_ratio_to_limit", "cpu_ratio_to_peer")
LEAST_PART = 0.5
TRIES = 3

Say = Callable[[str], None]


class OutOfLine(Exception):
    """Ratios are far from what they were."""


async def measure(say: Say) -> Mapping[str, object]:
    """The figures of life."""
    found = await compare.measure(
        compare.WAYS, jobs=JOBS, peer_jobs=PEER_JOBS, rounds=1, databases=("sqlite",), kubeconfig=None, say=say
    )
    return found["life"]


async def check(folder: Path, say: Say, measured: Callable[[Say], Awaitable[Mapping[str, object]]] = measure) -> None:
    """Print the ratios beside those of the folder's life.json. Raises OutOfLine."""
    committed: Mapping[str, float] = json.loads((folder / "life.json").read_text())
    best = dict.fromkeys(RATIOS, 0.0)
    low: list[str] = []
    for _ in range(TRIES):
        figures = await measured(say)
        for name in RATIOS:
            now = figures[name]
            assert isinstance(now, float)
            best[name] = max(best[name], now)
            print(f"{name:24}{now:8.3f}  (bench/results: {committed[name]:.3f})", flush=True)
        low = [name for name in RATIOS if best[name] < committed[name] * LEAST_PART]
        if not low:
            return
    raise OutOfLine("; ".join(f"{name} is {best[name]:.3f}, less than half of {committed[name]:.3f}" for name in low))
