"""``python -m dev.chaos.shifted operator``: ``jennah operator`` whose wall clock is off.

CHAOS_CLOCK names a file that says by how many seconds. All that the operator asks for the time of day is moved, and
Python's own `time.time`; what it measures time by is not, as when the clock of its machine is set. (libfaketime moves
the SDKs' own clocks as well, and makes an operator ten times as slow.)
"""

import os
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

from api import cli
from controller.clock import SystemClock

LOOK_SECONDS = 0.2


class Offset:
    """What the file says, looked at now and then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seconds = 0.0
        self._looked = float("-inf")

    def seconds(self) -> float:
        now = time.monotonic()
        if now - self._looked > LOOK_SECONDS:
            self._looked = now
            self._seconds = float(self._path.read_text())
        return self._seconds


def main() -> int:
    offset = Offset(Path(os.environ["CHAOS_CLOCK"]))
    real_now, real_time = SystemClock.now, time.time

    def now(clock: SystemClock) -> datetime:
        return real_now(clock) + timedelta(seconds=offset.seconds())

    setattr(SystemClock, "now", now)  # noqa: B010 - whoever has imported the class gets it
    time.time = lambda: real_time() + offset.seconds()
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
