"""What a Job's podFailurePolicy makes of a Pod, by its conditions: as pkg/controller/job, matchPodFailurePolicy."""

from dev.emulators.kubernetes.objects import Object

COUNT = "Count"
"""What becomes of a failed Pod that no rule knows."""
FIRST_SECONDS = 10.0
"""From the end of a Pod to the making of the next one for its task, doubled with each failure."""
MOST_SECONDS = 600.0


def action(job: Object, pod: Object) -> str:
    """The action of the first rule that fits the Pod; "" for one that has not failed."""
    status = pod.get("status") or {}
    if status.get("phase") != "Failed":
        return ""
    told = {(one["type"], one["status"]) for one in status.get("conditions") or ()}
    for rule in (job["spec"].get("podFailurePolicy") or {}).get("rules") or ():
        if any((one["type"], one.get("status", "True")) in told for one in rule.get("onPodConditions") or ()):
            return str(rule["action"])
    return COUNT


def message(job: Object, pod: Object) -> str:
    """Why a Pod with the action FailJob ends the Job."""
    told = {one["type"] for one in pod["status"].get("conditions") or () if one["status"] == "True"}
    rules = job["spec"]["podFailurePolicy"]["rules"]
    number = next(n for n, rule in enumerate(rules) if any(one["type"] in told for one in rule["onPodConditions"]))
    kind = next(one["type"] for one in rules[number]["onPodConditions"] if one["type"] in told)
    meta = pod["metadata"]
    return f"Pod {meta['namespace']}/{meta['name']} has condition {kind} matching FailJob rule at index {number}"


def pause(first: float, failures: int) -> float:
    """Seconds until the next Pod, after so many that failed."""
    doublings: float = 2.0 ** max(failures - 1, 0)
    return min(first * doublings, MOST_SECONDS)
