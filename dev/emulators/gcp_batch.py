"""A stand-in of Google Cloud Batch: ``python -m dev.emulators.gcp_batch --port 9010``.

Then ``GCP_BATCH_ENDPOINT=127.0.0.1:9010`` has the adapter use it.

A gRPC server of google.cloud.batch.v1.BatchService, as strict as providers.md §1, without TLS and credentials. It runs
nothing: what a container would do follows from its command (`dev.emulators.commands`).
"""

import argparse
import asyncio

from controller import open_files
from controller.startup import say, stop_on_signals
from dev.emulators import control, faults
from dev.emulators.gcp.jobs import Delays
from dev.emulators.gcp.masks import MASK_MODES
from dev.emulators.gcp.omissions import OMISSIONS
from dev.emulators.gcp.server import BatchServer
from dev.emulators.gcp.service import BatchService


def main() -> int:
    found = _parser().parse_args()
    asyncio.run(serve(found))
    return 0


async def serve(found: argparse.Namespace) -> None:
    """Until SIGTERM or SIGINT."""
    service = BatchService(
        faults.Dice(faults.from_arguments(found), found.seed),
        delays=Delays(
            queue=found.queue_seconds,
            schedule=found.schedule_seconds,
            cancel=found.cancel_seconds,
            delete=found.delete_seconds,
        ),
        preempted=found.preempted,
        mask_mode=found.field_mask,
        omitted=found.omit,
        tasks_late_seconds=found.tasks_late_seconds,
        unreachable=found.unreachable,
    )
    stop = asyncio.Event()
    stop_on_signals(stop)
    open_files.prepare()
    server = BatchServer(service)
    async with server.serving(found.port), control.serving(service.ledger, service.dice, found.control_port) as side:
        say(f"ready: {server.endpoint} control: 127.0.0.1:{side}")
        await stop.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev.emulators.gcp_batch", description="stand-in of GCP Batch")
    faults.add_arguments(parser)
    defaults = Delays()
    for name in ("queue", "schedule", "cancel", "delete"):
        default = getattr(defaults, name)
        parser.add_argument(f"--{name}-seconds", type=float, default=default, help=f"default {default:g}")
    parser.add_argument("--preempted", type=float, default=0.0, help="share of attempts on spot VMs that lose theirs")
    parser.add_argument("--field-mask", choices=MASK_MODES, default="honour", help="what becomes of x-goog-fieldmask")
    text = "what answers are to be without; may be given several times"
    parser.add_argument("--omit", choices=OMISSIONS, action="append", default=[], help=text)
    text = "a job's tasks are not found until so long after its creation; default 0"
    parser.add_argument("--tasks-late-seconds", type=float, default=0.0, help=text)
    parser.add_argument("--unreachable", metavar="PLACE", action="append", default=[], help="what lists cannot read")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
