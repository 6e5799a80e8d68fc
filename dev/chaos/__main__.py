"""``python -m dev.chaos``: a hunt for duplicates and losses; exit code 1 where there is one."""

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

import msgspec

from dev.chaos.hunt import Plan, hunt
from dev.emulators import clouds
from dev.emulators.faults import Faults


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.chaos", description=__doc__)
    parser.add_argument("--provider", choices=sorted(clouds.STAND_INS), required=True)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--controllers", type=int, default=2)
    parser.add_argument("--lost-replies", type=float, default=0.33)
    parser.add_argument("--lost-requests", type=float, default=0.0)
    parser.add_argument("--throttled", type=float, default=0.0)
    parser.add_argument("--hidden-seconds", type=float, default=20.0)
    parser.add_argument("--settle", type=float, default=30.0, help="SUBMIT_SETTLE_SECONDS")
    parser.add_argument("--patience", type=float, default=900.0, help="seconds until all jobs must have ended")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--result", type=Path, default=None, help="a file for the outcome as JSON")
    found = parser.parse_args()
    seed = random.randrange(2**32) if found.seed is None else found.seed
    print(f"seed: {seed}", flush=True)
    plan = Plan(
        provider=found.provider,
        jobs=found.jobs,
        kills=found.kills,
        controllers=found.controllers,
        faults=Faults(
            lost_replies=found.lost_replies,
            lost_requests=found.lost_requests,
            throttled=found.throttled,
            hidden_seconds=found.hidden_seconds,
        ),
        seed=seed,
        settle=found.settle,
        patience=found.patience,
    )
    with tempfile.TemporaryDirectory(prefix="jennah-chaos-") as folder:
        outcome = asyncio.run(hunt(plan, Path(folder), lambda line: print(line, flush=True)))
    text = msgspec.json.format(msgspec.json.encode(outcome), indent=2).decode() + "\n"
    print(text)
    if found.result is not None:
        found.result.write_text(text)
    return 0 if outcome.verdict.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
