"""``python -m dev.manifests``: write the derived files; ``--check`` only says which are not current."""

import argparse
import sys

from dev.manifests import files, helm


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m dev.manifests", description="The files derived from the chart and the fields."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where one is not current")
    arguments = parser.parse_args()
    try:
        stale = files.check() if arguments.check else files.write()
    except helm.HelmError as error:
        print(error, file=sys.stderr)
        return 1
    for path in stale:
        print(f"{'not current' if arguments.check else 'written'}: {path}")
    return 1 if arguments.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
