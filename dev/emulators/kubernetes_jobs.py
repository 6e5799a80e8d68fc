"""What an API server lacks to run Jobs: ``python -m dev.emulators.kubernetes_jobs --kubeconfig FILE``.

Prints one line when it watches: ``ready: KUBECONFIG control: 127.0.0.1:PORT``. Faults are asked for by a label of the
job, ``jennah.dev/fault`` (`dev.emulators.kubernetes.objects.FAULTS`).
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from controller import open_files
from controller.kube.client import KubeClient, load_configuration
from controller.startup import say, stop_on_signals
from dev.emulators import control
from dev.emulators.kubernetes.controller import JobController
from dev.emulators.kubernetes.failure_policy import FIRST_SECONDS
from dev.emulators.kubernetes.nodes import Nodes


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m dev.emulators.kubernetes_jobs", description="plays Kubernetes Jobs"
    )
    parser.add_argument("--kubeconfig", type=Path, default=os.environ.get("KUBECONFIG"), help="default: KUBECONFIG")
    parser.add_argument("--control-port", type=int, default=0, help="GET /ledger; 0: any free one")
    parser.add_argument("--step-seconds", type=float, default=0.05, help="in the queue, and until a container runs")
    parser.add_argument(
        "--backoff-seconds",
        type=float,
        default=FIRST_SECONDS,
        help="from a Pod that failed to the next one, doubled each time (default: 10, as on a cluster)",
    )
    parser.add_argument("--nodes-only", action="store_true", help="a real Job controller runs: play its Pods alone")
    parser.add_argument("--selector", default="", help="only Jobs with these labels are played: name=value,name=value")
    options = parser.parse_args()
    if options.kubeconfig is None:
        parser.error("--kubeconfig or KUBECONFIG is needed")
    asyncio.run(serve(Path(options.kubeconfig).resolve(), options))
    return 0


async def serve(kubeconfig: Path, options: argparse.Namespace) -> None:
    """Until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    stop_on_signals(stop)
    open_files.prepare()
    async with KubeClient(await load_configuration(str(kubeconfig)), connections=0) as client:
        told = {"step_seconds": options.step_seconds, "selector": options.selector}
        played: Nodes | JobController
        if options.nodes_only:
            played = Nodes(client, **told)
        else:
            played = JobController(client, backoff_seconds=options.backoff_seconds, **told)
        async with played.running(), control.serving(played.ledger, None, options.control_port) as port:
            say(f"ready: {kubeconfig} control: 127.0.0.1:{port}")
            await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
