"""``python -m dev run | demo``: what the Makefile calls."""

import argparse
import asyncio
import os
import sys
from collections.abc import Coroutine
from typing import Any

from dev import surroundings

TAKEN = ("WORKER_PORT", "KUBE_API_PORT", "JENNAH_DATA_DIR")
"""The variables that the demo is told by; it ignores the programs' settings and the clouds' own."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev", description="The whole system on this machine.")
    parser.add_argument("command", choices=("run", "demo"), help="run: until Ctrl-C; demo: 24 jobs, then stop")
    command = parser.parse_args().command
    ignored = surroundings.clear(os.environ, *surroundings.FOREIGN, keep=TAKEN) if command == "demo" else {}
    from dev import demo, stack  # now: libraries read variables when they are imported

    work: Coroutine[Any, Any, int] = demo.run(ignored) if command == "demo" else stack.run()
    try:
        return asyncio.run(work)
    except stack.StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
