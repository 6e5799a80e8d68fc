"""``python -m dev.machines``: write the tables of machine types; ``--check`` only says which are not current."""

import argparse
import sys

from dev.machines import files


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m dev.machines",
        description="The tables of machine types. It needs the development install (moto) and no network.",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where one is not current")
    arguments = parser.parse_args()
    found = files.stale(writes=not arguments.check)
    for path in found:
        print(f"{'not current' if arguments.check else 'written'}: {path}")
    return 1 if arguments.check and found else 0


if __name__ == "__main__":
    sys.exit(main())
