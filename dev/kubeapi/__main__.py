"""`python -m dev.kubeapi`: run the server until SIGTERM or SIGINT."""

import argparse
import asyncio
import math
import signal
from pathlib import Path

from controller import open_files

from .database import InUse
from .server import KubeApiServer


async def run(server: KubeApiServer) -> None:
    open_files.prepare()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    try:
        await server.start()
    except (OSError, InUse) as e:
        raise SystemExit(f"kubeapi cannot start: {e}") from e
    try:
        print(f"kubeconfig: {server.kubeconfig.resolve()}")
        print(f"ready: {server.url}", flush=True)
        await stopping.wait()
    finally:
        await server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m dev.kubeapi", description="A Kubernetes API server.")
    parser.add_argument("--port", type=int, default=6443, help="0 takes a free one (default: 6443)")
    parser.add_argument("--data-dir", type=Path, default=Path(".jennah"), help="default: .jennah")
    parser.add_argument("--token", default="", help="the bearer token (default: made once and kept)")
    parser.add_argument(
        "--authorization",
        choices=("allow-all", "rbac"),
        default="allow-all",
        help="what tokens of service accounts may do: everything (default), or what roles grant them",
    )
    parser.add_argument("--audit-log", type=Path, help="a file that gets a JSON line for each request")
    parser.add_argument(
        "--without-controllers",
        action="store_true",
        help="collect no garbage and empty no namespaces, as an API server that has nothing beside it",
    )
    parser.add_argument(
        "--cpu-per-write",
        type=float,
        default=0.0,
        metavar="MS",
        help="for benchmarks: spend so much CPU on each write, as a real API server with its etcd does",
    )
    parser.add_argument(
        "--watches-end-within",
        type=float,
        default=math.inf,
        metavar="SECONDS",
        help="each watch ends at any time in so many seconds, as where API servers and what is before them come and go",
    )
    arguments = parser.parse_args()
    server = KubeApiServer(
        arguments.data_dir,
        port=arguments.port,
        token=arguments.token,
        has_rbac=arguments.authorization == "rbac",
        audit_log=arguments.audit_log,
        has_controllers=not arguments.without_controllers,
        cpu_per_write=arguments.cpu_per_write,
        watches_end_within=arguments.watches_end_within,
    )
    asyncio.run(run(server))


if __name__ == "__main__":
    main()
