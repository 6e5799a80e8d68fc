"""Runs one job: ``python -I -S runner.py FOLDER [LOCK]``. Started by `folder`, which hands over the lock's descriptor.

It and what it imports need the standard library only, and little of that: `-I -S` and few imports make it start
fast (pathlib alone would be a fifth of it). Exactly once: only the holder of the lock runs, and only where there
is no state.json yet. Started by hand it takes the lock itself, or ends because another has it.
"""
# ruff: noqa: PTH100, PTH110, PTH120

import os
import sys

if __name__ == "__main__" and os.fork():
    # First of all: whoever started us waits no longer than this, and never has a zombie of us.
    os._exit(0)

HERE = os.path.dirname(os.path.abspath(__file__))


def main(folder: str, inherited_lock: int | None) -> None:
    from controller.providers.local import processes
    from controller.providers.local.tasks import Tasks

    lock = processes.take_lock(folder) if inherited_lock is None else inherited_lock
    if lock is None or os.path.exists(f"{folder}/state.json"):
        return
    os.set_inheritable(lock, False)  # held as long as this process lives, and by no task
    Tasks.read(folder).run()


if __name__ == "__main__":
    # -I leaves out the script's folder, -S the installed packages: put back what `controller` is in.
    sys.path.insert(0, os.path.normpath(f"{HERE}/../../.."))
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
