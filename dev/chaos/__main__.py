"""``python -m dev.chaos``: break everything, and see that each job ran once and ended; exit code 1 where not.

With ``--soak SECONDS`` run after run, the clouds by turns, summed up in bench/results/soak.json.
"""

import argparse
import asyncio
import random
import sys
from pathlib import Path

import msgspec

from controller import open_files
from dev.chaos import soak
from dev.chaos.plan import STEADY_FAULTS, Plan
from dev.chaos.run import run
from dev.chaos.servers import new_folder
from dev.emulators import clouds
from dev.emulators.faults import Faults


def main() -> int:
    found = _parser().parse_args()
    open_files.raise_limit()
    seed = random.randrange(2**32) if found.seed is None else found.seed
    if found.soak is not None:
        return asyncio.run(soak.run(found.soak, seed, found.result or soak.RESULT, _say))
    print(f"seed: {seed}", flush=True)
    with new_folder() as folder:
        outcome = asyncio.run(run(_plan(found, seed), Path(folder), _say, found.kubeconfig))
    text = msgspec.json.format(msgspec.json.encode(outcome), indent=2).decode() + "\n"
    print(text)
    if found.result is not None:
        found.result.write_text(text)
    return 0 if outcome.is_good else 1


def _plan(found: argparse.Namespace, seed: int) -> Plan:
    plan = Plan(
        provider=found.provider,
        seed=seed,
        jobs=found.jobs,
        seconds=found.seconds,
        kills=found.kills,
        controllers=found.controllers,
        faults=_faults(found),
        settle=found.settle,
        patience=found.patience,
        ttl=found.ttl,
    )
    return msgspec.structs.replace(plan, deeds={"kill": 1}, wishes=False) if found.only_kills else plan


def _faults(found: argparse.Namespace) -> Faults:
    wanted = {field.name: getattr(found, field.name) for field in msgspec.structs.fields(Faults)}
    steady = STEADY_FAULTS[found.provider]
    return msgspec.structs.replace(steady, **{name: value for name, value in wanted.items() if value is not None})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev.chaos", description=__doc__)
    parser.add_argument("--provider", choices=sorted(clouds.STAND_INS), default="aws")
    parser.add_argument("--jobs", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=60.0, help="the jobs are submitted over this time; 0: at once")
    parser.add_argument("--kills", type=int, default=0, help="of operators, at least")
    parser.add_argument("--controllers", type=int, default=2)
    parser.add_argument("--only-kills", action="store_true", help="nothing else, and no job is cancelled")
    for field in msgspec.structs.fields(Faults):
        parser.add_argument("--" + field.name.replace("_", "-"), type=float, default=None, help="of the cloud")
    parser.add_argument("--settle", type=float, default=4.0, help="SUBMIT_SETTLE_SECONDS")
    parser.add_argument("--ttl", type=int, default=0, help="JOB_TTL_SECONDS: ended jobs are removed after that; 0: not")
    parser.add_argument("--patience", type=float, default=300.0, help="seconds until all must have come to rest")
    parser.add_argument("--kubeconfig", type=Path, help="of a cluster with the CRD, that may be let chaos loose on")
    parser.add_argument("--seed", type=int, default=None, help="repeats the choices of a run")
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="run after run for so long")
    parser.add_argument("--result", type=Path, default=None, help="a file for the outcome as JSON")
    return parser


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
