"""``python -m dev.bench [PART …]``: measures Jennah against what Kubernetes allows; bench/results has a file a part."""

import argparse
import asyncio
import sys
from pathlib import Path

from controller import open_files
from dev.bench import churn, compare, many, quick, results
from dev.bench.installation import DATABASES
from dev.processes import ProcessFailed

QUICK = "quick"
PARTS = ("limit", "life", "peer", "costly", "idle", "cold", "detect", "churn")
CPU_PER_WRITE = 1.0
"""Milliseconds that ``costly`` has the API server spend on each write beside its own work. A real one and its etcd were
seen to take 1,800 creates or 1,250 status patches a second from one client on two cores (design §8): 1.1 and 1.6 ms."""


_HELP = f"{', '.join(PARTS)} (all of them); quick: a small life, whose ratios are compared with those in bench/results"


def main() -> int:
    options = _parser().parse_args()
    open_files.raise_limit()
    try:
        asyncio.run(run(options))
    except (ProcessFailed, quick.OutOfLine) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


async def run(options: argparse.Namespace) -> None:
    if QUICK in options.parts:
        await quick.check(results.FOLDER, _say)
        return
    parts = options.parts or PARTS
    many_parts = [part for part in many.PARTS if part in parts]
    if "life" in parts:
        await _compare("life", options)
    else:
        for part in ("limit", "peer"):
            if part in parts:
                await _compare(part, options)
    if "costly" in parts:
        await _costly(options)
    if many_parts:
        found = await many.measure(
            many_parts, sizes=options.sizes, seconds=options.seconds or 60, kubeconfig=options.kubeconfig, say=_say
        )
        for part, figures in found.items():
            _tell(part, figures, options.results)
    if "churn" in parts:
        figures = await churn.measure(
            rate=options.rate,
            seconds=options.seconds or 300,
            database=(options.database or DATABASES)[0],
            kubeconfig=options.kubeconfig,
            say=_say,
        )
        _tell("churn", figures, options.results)


async def _compare(part: str, options: argparse.Namespace) -> None:
    ways = compare.WAYS if part == "life" else (part,)
    found = await compare.measure(
        ways,
        jobs=options.jobs,
        peer_jobs=min(options.jobs, options.peer_jobs),
        rounds=options.rounds,
        databases=options.database or DATABASES,
        kubeconfig=options.kubeconfig,
        say=_say,
    )
    for way, figures in found.items():
        _tell(way, figures, options.results)


async def _costly(options: argparse.Namespace) -> None:
    """life, limit and peer once more, on an API server that costs what a real one does."""
    found = await compare.measure(
        compare.WAYS,
        jobs=options.jobs,
        peer_jobs=min(options.jobs, options.peer_jobs),
        rounds=options.rounds,
        databases=(options.database or DATABASES)[:1],
        kubeconfig=None,
        say=_say,
        cpu_per_write=CPU_PER_WRITE,
    )
    _tell("costly", {"cpu_ms_per_write": CPU_PER_WRITE, **found}, options.results)


def _tell(part: str, figures: results.Figures, folder: Path) -> None:
    path = results.write(part, figures, folder)
    print(f"\n{part} ({path})\n{results.table(figures, '  ')}", flush=True)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", choices=[*PARTS, QUICK, []], help=_HELP)
    parser.add_argument("--jobs", type=int, default=2000, help="of limit and life (2000)")
    parser.add_argument("--peer-jobs", type=int, default=500, help="of peer at most, which is slow (500)")
    parser.add_argument("--sizes", type=int, nargs="+", default=(), help="active jobs of idle, cold and detect")
    parser.add_argument("--seconds", type=float, help="of idle and detect (60), of churn (300)")
    parser.add_argument("--rate", type=float, default=100, help="of churn, submissions a second (100)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each way (3)")
    parser.add_argument(
        "--database", choices=DATABASES, action="append", help="of life and churn (both; churn: SQLite)"
    )
    parser.add_argument("--kubeconfig", type=Path, help="a cluster with the CRD in place of the in-memory API server")
    parser.add_argument("--results", type=Path, default=results.FOLDER, help="where files are written")
    return parser


if __name__ == "__main__":
    sys.exit(main())
