"""A stand-in for Azure Batch that the SDK can speak to: ``python -m dev.emulators.azure_batch``.

Prints one line when it answers: ``ready: http://127.0.0.1:PORT control: 127.0.0.1:PORT``. The account and its key are
those of `dev.emulators.azure.auth`.
"""

import argparse
import asyncio
import sys

from controller import open_files
from controller.startup import say, stop_on_signals
from dev.emulators import faults
from dev.emulators.azure.pools import POOLS, pool_spec
from dev.emulators.azure.server import Emulator
from dev.emulators.azure.service import ACTIVE_JOBS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.emulators.azure_batch", description="stand-in of Azure Batch")
    faults.add_arguments(parser)
    parser.add_argument("--step-seconds", type=float, default=0.05, help="in the queue before each attempt")
    parser.add_argument("--active-jobs", type=int, default=ACTIVE_JOBS, help=f"the quota, default {ACTIVE_JOBS}")
    parser.add_argument(
        "--pool",
        action="append",
        type=pool_spec,
        metavar="NAME=VMSIZE[/SLOTS][,empty][,plain]",
        help=f"instead of {', '.join(pool.name for pool in POOLS)}",
    )
    options = parser.parse_args()
    emulator = Emulator(
        faults.from_arguments(options),
        seed=options.seed,
        pools=options.pool or POOLS,
        active_jobs=options.active_jobs,
        step_seconds=options.step_seconds,
    )
    asyncio.run(serve(emulator, options.port, options.control_port))
    return 0


async def serve(emulator: Emulator, port: int, control_port: int) -> None:
    """Until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    stop_on_signals(stop)
    open_files.prepare()
    async with emulator.serving(port, control_port) as (url, side_port):
        say(f"ready: {url} control: 127.0.0.1:{side_port}")
        print(f"seed: {emulator.dice.seed}", file=sys.stderr, flush=True)
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
