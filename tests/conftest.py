"""What holds for the whole suite: no variable of the shell around it counts, and there are open files enough."""

import sys

from tests import outside  # isort: skip - before the SDKs, which read variables when they are imported

from controller import open_files

__all__ = ["outside"]

if open_files.raise_limit() < open_files.NEEDED:
    print(f"the suite needs {open_files.NEEDED} open files: ulimit -Hn {open_files.NEEDED}", file=sys.stderr)
