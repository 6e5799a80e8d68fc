"""What one would write first: an operator of kopf's own handlers and timers, with kopf's defaults.

It leads a JennahJob through the same phases as ours, on a service that takes no time, and writes no database.
"""

import os
from datetime import UTC, datetime
from typing import Any

import kopf

INTERVAL_SECONDS = 0.2
NEXT = {"Pending": "Running", "Running": "Completed"}


def status_of(phase: str, patch: kopf.Patch) -> None:
    now = datetime.now(UTC).isoformat()
    condition = {"type": "Submitted", "status": "True", "reason": phase, "message": "", "lastTransitionTime": now}
    patch.status.update({"phase": phase, "reason": phase, "provider": "gcp", "conditions": [condition]})


def is_active(status: kopf.Status, **_: Any) -> bool:
    return status.get("phase") in NEXT


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    print("plain kopf starts", flush=True)


@kopf.on.create("jennah.alphaus.cloud", "v1", "jennahjobs")
async def submit(patch: kopf.Patch, **_: Any) -> None:
    status_of("Pending", patch)
    patch.status["submittedAt"] = datetime.now(UTC).isoformat()


@kopf.timer("jennah.alphaus.cloud", "v1", "jennahjobs", interval=INTERVAL_SECONDS, when=is_active)
async def observe(status: kopf.Status, patch: kopf.Patch, **_: Any) -> None:
    status_of(NEXT[status["phase"]], patch)


@kopf.on.delete("jennah.alphaus.cloud", "v1", "jennahjobs")
async def cancel(**_: Any) -> None:
    return


if __name__ == "__main__":
    kopf.run(standalone=True, namespaces=[os.environ["WATCH_NAMESPACES"]])
