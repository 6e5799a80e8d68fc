"""What kubectl get shows of each kind: the columns of built-in kinds, and those that a CRD defines."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from . import jsonpath
from .encoding import JsonObject

TYPES = ("integer", "number", "string", "boolean", "date")


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    value: Callable[[JsonObject], Any]
    priority: int = 0
    """0: always shown, 1: only with -o wide."""
    description: str = ""
    format: str = ""


def age(timestamp: Any) -> str:
    """How long ago, as kubectl writes it: 5s, 3m12s, 4h10m, 2d3h, 45d."""
    try:
        then = datetime.fromisoformat(timestamp)
    except (TypeError, ValueError):
        return "<unknown>"
    return duration((datetime.now(UTC) - then).total_seconds())


def duration(total_seconds: float) -> str:
    seconds = max(0, int(total_seconds))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    return _two(days // 365, "y", days % 365, "d") if days < 365 * 8 else f"{days // 365}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}" + (f"{small}{small_unit}" if small else "")


def printer_column(definition: JsonObject) -> Column:
    """A column from a CRD's additionalPrinterColumns; ValueError where its path is malformed."""
    path, kind = definition["jsonPath"], definition["type"]
    jsonpath.find(path, {})

    def value(obj: JsonObject) -> Any:
        found = jsonpath.find(path, obj)
        return _cell(kind, found) if found and found[0] is not None else None

    return Column(
        definition["name"],
        kind,
        value,
        definition.get("priority", 0),
        definition.get("description", ""),
        definition.get("format", ""),
    )


def _cell(kind: str, found: list[Any]) -> Any:
    first = found[0]
    match kind:
        case "date":
            return age(first)
        case "integer" | "number":
            return first if isinstance(first, (int, float)) else None
        case "boolean":
            return first if isinstance(first, bool) else None
        case _:
            texts = [item if isinstance(item, str) else _plain(item) for item in found]
            return ",".join(texts)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "[" + ",".join(map(str, value)) + "]" if isinstance(value, list) else str(value)


NAME = Column("Name", "string", lambda obj: obj["metadata"]["name"], format="name")
AGE = Column("Age", "date", lambda obj: age(obj["metadata"].get("creationTimestamp")))
DEFAULT = (AGE,)


def _text(name: str, path: str, priority: int = 0, default: Any = "<none>") -> Column:
    def value(obj: JsonObject) -> Any:
        found = jsonpath.find(path, obj)
        return found[0] if found and found[0] is not None else default

    return Column(name, "string", value, priority)


def _size_of(name: str, field: str) -> Column:
    return Column(name, "integer", lambda obj: len(obj.get(field) or {}))


def _event_age(obj: JsonObject) -> str:
    last = obj.get("lastTimestamp") or (obj.get("series") or {}).get("lastObservedTime") or obj.get("eventTime")
    return age(last or obj["metadata"].get("creationTimestamp"))


def _event_object(obj: JsonObject) -> str:
    involved = obj.get("involvedObject") or obj.get("regarding") or {}
    return f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}"


def _pods_ready(obj: JsonObject) -> str:
    states = obj.get("status", {}).get("containerStatuses", [])
    return f"{sum(bool(s.get('ready')) for s in states)}/{len(obj.get('spec', {}).get('containers', []))}"


def _restarts(obj: JsonObject) -> int:
    return sum(s.get("restartCount", 0) for s in obj.get("status", {}).get("containerStatuses", []))


def _job_status(obj: JsonObject) -> str:
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    met = {c["type"] for c in obj.get("status", {}).get("conditions", []) if c.get("status") == "True"}
    return next((state for state in ("Complete", "Failed", "Suspended") if state in met), "Running")


def _job_duration(obj: JsonObject) -> str:
    state = obj.get("status", {})
    if not state.get("startTime"):
        return ""
    end = datetime.fromisoformat(state["completionTime"]) if state.get("completionTime") else datetime.now(UTC)
    return duration((end - datetime.fromisoformat(state["startTime"])).total_seconds())


def _fraction(part: str, whole: str) -> Callable[[JsonObject], str]:
    def value(obj: JsonObject) -> str:
        return f"{obj.get('status', {}).get(part, 0)}/{obj.get('spec', {}).get(whole, 1)}"

    return value


# By plural name; the Name column comes first in every table and is not listed.
BUILT_IN: dict[str, tuple[Column, ...]] = {
    "namespaces": (_text("Status", ".status.phase"), AGE),
    "configmaps": (_size_of("Data", "data"), AGE),
    "secrets": (_text("Type", ".type"), _size_of("Data", "data"), AGE),
    "serviceaccounts": (_size_of("Secrets", "secrets"), AGE),
    "leases": (_text("Holder", ".spec.holderIdentity", default=""), AGE),
    "nodes": (_text("Version", ".status.nodeInfo.kubeletVersion"), AGE),
    "services": (
        _text("Type", ".spec.type"),
        _text("Cluster-IP", ".spec.clusterIP"),
        _text("Port", ".spec.ports[0].port"),
        AGE,
    ),
    "pods": (
        Column("Ready", "string", _pods_ready),
        _text("Status", ".status.phase"),
        Column("Restarts", "integer", _restarts),
        AGE,
        _text("IP", ".status.podIP", 1),
        _text("Node", ".spec.nodeName", 1),
    ),
    "deployments": (
        Column("Ready", "string", _fraction("readyReplicas", "replicas")),
        _text("Up-to-date", ".status.updatedReplicas", default=0),
        _text("Available", ".status.availableReplicas", default=0),
        AGE,
    ),
    "jobs": (
        Column("Status", "string", _job_status),
        Column("Completions", "string", _fraction("succeeded", "completions")),
        Column("Duration", "string", _job_duration),
        AGE,
        _text("Images", ".spec.template.spec.containers[0].image", 1),
    ),
    "cronjobs": (
        _text("Schedule", ".spec.schedule"),
        _text("Suspend", ".spec.suspend", default=False),
        Column("Last Schedule", "string", lambda obj: age(obj.get("status", {}).get("lastScheduleTime"))),
        AGE,
    ),
    "events": (
        Column("Last Seen", "string", _event_age),
        _text("Type", ".type"),
        _text("Reason", ".reason"),
        Column("Object", "string", _event_object),
        Column("Message", "string", lambda obj: str(obj.get("message") or obj.get("note") or "").strip()),
    ),
    "customresourcedefinitions": (Column("Created At", "date", lambda obj: obj["metadata"].get("creationTimestamp")),),
}
