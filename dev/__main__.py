"""``python -m dev run | demo``: what the Makefile calls."""

import argparse
import asyncio
import sys

from dev import demo, stack


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev", description="The whole system on this machine.")
    parser.add_argument("command", choices=("run", "demo"), help="run: until Ctrl-C; demo: 24 jobs, then stop")
    command = parser.parse_args().command
    try:
        return asyncio.run(demo.run() if command == "demo" else stack.run())
    except stack.StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
