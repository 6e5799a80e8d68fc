"""A stand-in for AWS Batch that boto3 can speak to: ``python -m dev.emulators.aws_batch``.

A job with the tag (a JennahJob's label) ``jennah.dev/fault`` meets that fault (`dev.emulators.aws.outcomes.FAULTS`).
Prints one line when it answers: ``ready: http://127.0.0.1:PORT control: 127.0.0.1:PORT``.
"""

import argparse
import asyncio
import contextlib
import signal
import sys

from controller import open_files
from dev.emulators import faults
from dev.emulators.aws.checks import QUEUES, queue_spec
from dev.emulators.aws.server import Emulator


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.emulators.aws_batch", description="a stand-in for AWS Batch")
    faults.add_arguments(parser)
    parser.add_argument("--region", default="eu-west-1")
    parser.add_argument("--step-seconds", type=float, default=0.05, help="in each state before RUNNING")
    parser.add_argument(
        "--queue",
        action="append",
        type=queue_spec,
        metavar="NAME=EC2|SPOT|FARGATE|FARGATE_SPOT[,policy][,full][,disabled]",
        help=f"instead of {', '.join(queue.name for queue in QUEUES)}",
    )
    options = parser.parse_args()
    emulator = Emulator(
        faults.from_arguments(options),
        seed=options.seed,
        region=options.region,
        queues=options.queue or QUEUES,
        step_seconds=options.step_seconds,
    )
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(emulator, options.port, options.control_port))
    return 0


async def serve(emulator: Emulator, port: int, control_port: int) -> None:
    """Until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    open_files.prepare()
    async with emulator.serving(port, control_port) as (url, side_port):
        print(f"ready: {url} control: 127.0.0.1:{side_port}", flush=True)
        print(f"seed: {emulator.dice.seed}", file=sys.stderr, flush=True)
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
