"""What Go writes of built-in types where nothing was given: null times, empty structs. Called by kind_rules.py.

Go's omitempty leaves out neither a struct nor, in these types, a time: they are in each answer of kube-apiserver.
"""

from collections.abc import Iterable

from .encoding import JsonObject

_CONDITION_TIMES = ("lastProbeTime", "lastTransitionTime")
_STATE_TIMES = {"running": ("startedAt",), "terminated": ("startedAt", "finishedAt")}
_EVENT_TIMES = ("eventTime", "firstTimestamp", "lastTimestamp")


def fill(obj: JsonObject) -> None:
    """Fill in those of a Pod, a Job, a Lease or an Event, in place."""
    status: JsonObject = obj.get("status") or {}
    match obj["kind"]:
        case "Pod":
            _conditions(status)
            for container in status.get("containerStatuses") or ():
                _container(container)
        case "Job":
            obj.setdefault("status", {})
            _conditions(status)
        case "Lease":
            obj.setdefault("spec", {})
        case "Event" if obj["apiVersion"] == "v1":
            _null(obj, _EVENT_TIMES)
            obj.setdefault("source", {})
            for name in ("reportingComponent", "reportingInstance"):
                obj.setdefault(name, "")


def _conditions(status: JsonObject) -> None:
    for condition in status.get("conditions") or ():
        _null(condition, _CONDITION_TIMES)


def _container(container: JsonObject) -> None:
    for name in ("state", "lastState"):
        for kind, state in container.setdefault(name, {}).items():
            _null(state, _STATE_TIMES.get(kind, ()))


def _null(obj: JsonObject, names: Iterable[str]) -> None:
    for name in names:
        obj.setdefault(name, None)
