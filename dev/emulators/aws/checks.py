"""What the service refuses, and the queues that a stand-in has."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from controller.providers.aws import fargate
from dev.emulators.aws import outcomes

OVERRIDES_CHARS = 8192
"""Of command and environment, those that the service adds among them, as ECS takes them at most."""

Wire = dict[str, Any]


class ClientFault(Exception):
    """ClientException: HTTP 400."""


class QueueSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A queue that the stand-in has."""

    name: str
    platform: str = "EC2"
    """EC2, SPOT, FARGATE or FARGATE_SPOT."""
    has_policy: bool = False
    has_capacity: bool = True
    state: str = "ENABLED"


QUEUES = (
    QueueSpec(name="jennah"),
    QueueSpec(name="jennah-spot", platform="SPOT"),
    QueueSpec(name="jennah-fargate", platform="FARGATE"),
    QueueSpec(name="jennah-fair", has_policy=True),
    QueueSpec(name="jennah-full", has_capacity=False),
)
"""The queues of a stand-in that is told nothing else."""


def queue_spec(text: str) -> QueueSpec:
    """A queue from ``NAME=PLATFORM[,policy][,full][,disabled]``. Raises ValueError."""
    name, _, rest = text.partition("=")
    platform, *flags = rest.split(",") if rest else ["EC2"]
    if platform not in ("EC2", "SPOT", "FARGATE", "FARGATE_SPOT") or set(flags) - {"policy", "full", "disabled"}:
        raise ValueError(text)
    return QueueSpec(
        name=name,
        platform=platform,
        has_policy="policy" in flags,
        has_capacity="full" not in flags,
        state="DISABLED" if "disabled" in flags else "ENABLED",
    )


def check_submission(wanted: Wire, queue: QueueSpec, platform: str, definition: Wire) -> None:
    overrides = wanted.get("containerOverrides", {})
    needs = {one["type"]: one for one in definition["containerProperties"].get("resourceRequirements", ())}
    needs |= {one["type"]: one for one in overrides.get("resourceRequirements", ())}
    check_sizes(list(needs.values()), platform)
    check_program(overrides)
    if fault := outcomes.fault(wanted.get("retryStrategy") or {}):
        raise ClientFault(fault)
    if (wanted.get("timeout") or {}).get("attemptDurationSeconds", 60) < 60:
        raise ClientFault("attemptDurationSeconds must be at least 60")
    if not 2 <= (wanted.get("arrayProperties") or {}).get("size", 2) <= 10_000:
        raise ClientFault("Array size must be between 2 and 10000")
    if queue.has_policy != bool(wanted.get("shareIdentifier")):
        raise ClientFault("shareIdentifier must be given for queues with a scheduling policy, and for those only")
    if "schedulingPriorityOverride" in wanted and not queue.has_policy:
        raise ClientFault("schedulingPriorityOverride needs a scheduling policy")
    for key, value in (wanted.get("tags") or {}).items():
        if not re.fullmatch(r"(?!(?i:aws:))[\w .:/=+\-@]{1,128}", key):
            raise ClientFault("Tag is not valid")
        if not re.fullmatch(r"(?!(?i:aws:))[\w .:/=+\-@]{0,256}", value):
            raise ClientFault("Tag is not valid")


def check_sizes(needs: Iterable[Mapping[str, str]], platform: str) -> None:
    found = {one["type"]: one["value"] for one in needs}
    try:
        cpu, memory = float(found["VCPU"]), int(found["MEMORY"])
    except (KeyError, ValueError):
        raise ClientFault("VCPU and MEMORY are required") from None
    if platform == "FARGATE":
        if memory not in dict(fargate.SIZES).get(round(cpu * 1000), ()) or "GPU" in found:
            raise ClientFault(f"Fargate has no size of {cpu:g} vCPU and {memory} MiB")
    elif cpu < 1 or cpu != int(cpu) or memory < 4:
        raise ClientFault("VCPU must be a whole number of at least 1, MEMORY at least 4")


def check_program(container: Wire) -> None:
    """Command and environment of a definition or of overrides."""
    if any(not word for word in container.get("command") or ()):
        raise ClientFault("Command cannot be empty")
    for variable in container.get("environment") or ():
        if variable["name"].startswith("AWS_BATCH"):
            raise ClientFault("Environment variables cannot start with AWS_BATCH")


def overrides_length(wanted: Wire) -> int:
    """Characters of the overrides that ECS is sent: what was asked for, and the service's own variables."""
    overrides = wanted.get("containerOverrides") or {}
    names = ("AWS_BATCH_JOB_ID", "AWS_BATCH_JQ_NAME", "AWS_BATCH_CE_NAME", "AWS_BATCH_JOB_ATTEMPT")
    own = [{"name": name, "value": "x" * 40} for name in names]
    environment = [*(overrides.get("environment") or ()), *own]
    return len(msgspec.json.encode({"command": overrides.get("command") or (), "environment": environment}).decode())
