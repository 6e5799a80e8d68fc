"""What kube-apiserver fills in of a batch/v1 Job, asks of its spec, and allows its status to become.

Sources: pkg/apis/batch/v1/defaults.go, pkg/apis/batch/validation, and pkg/registry/batch/job/strategy.go. Since
Kubernetes 1.32 (JobManagedBy) a status must keep these laws whoever writes it.
"""

from typing import Any

from . import names, status
from .encoding import JsonObject
from .status import FieldError

MAX_INDEXED = 100_000
_INT32_MAX = 2**31 - 1
_NOT_NEGATIVE = (
    *("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"),
    *("backoffLimitPerIndex", "maxFailedIndexes"),
)
_IMMUTABLE = ("selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")
_CONTROLLER = "batch.kubernetes.io/controller-uid"
_TERMINAL = ("Complete", "Failed", "FailureTarget", "SuccessCriteriaMet")


def fill_defaults(obj: JsonObject) -> None:
    """Of a new Job, in place: defaults, the selector, and the labels by which it finds its Pods."""
    spec: JsonObject = obj["spec"]
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 6 if spec.get("backoffLimitPerIndex") is None else _INT32_MAX)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("podReplacementPolicy", "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")
    if spec.get("manualSelector"):
        return
    uid, name = obj["metadata"]["uid"], obj["metadata"]["name"]
    labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    # What is given stays: `check` refuses it.
    for prefix in ("batch.kubernetes.io/", ""):
        labels.setdefault(f"{prefix}controller-uid", uid)
        labels.setdefault(f"{prefix}job-name", name)
    spec.setdefault("selector", {"matchLabels": {_CONTROLLER: uid}})


def check(obj: JsonObject, old: JsonObject | None) -> list[FieldError]:
    spec: JsonObject = obj["spec"]
    errors = [
        status.invalid_value(f"spec.{name}", spec[name], "must be greater than or equal to 0")
        for name in _NOT_NEGATIVE
        if spec.get(name, 0) < 0
    ]
    errors += _check_mode(obj) + _check_pods(spec)
    errors += _check_selector(obj)
    if old is not None:
        fields = [*_IMMUTABLE, *(() if old["spec"].get("suspend") else ("template",))]
        errors += [
            status.invalid_value(f"spec.{name}", spec.get(name), "field is immutable")
            for name in fields
            if spec.get(name) != old["spec"].get(name)
        ]
    return errors


def _check_selector(obj: JsonObject) -> list[FieldError]:
    spec = obj["spec"]
    selector, labels = spec.get("selector"), (spec["template"].get("metadata") or {}).get("labels") or {}
    if not selector:
        return [status.required("spec.selector")]
    if not spec.get("manualSelector") and selector != {"matchLabels": {_CONTROLLER: obj["metadata"]["uid"]}}:
        return [status.invalid_value("spec.selector", selector, "`selector` not auto-generated")]
    if any(labels.get(name) != value for name, value in selector.get("matchLabels", {}).items()):
        why = "`selector` does not match template `labels`"
        return [status.invalid_value("spec.template.metadata.labels", labels, why)]
    return []


def _check_mode(obj: JsonObject) -> list[FieldError]:
    name, spec = obj["metadata"]["name"], obj["spec"]
    completions = spec.get("completions")
    if spec["completionMode"] not in ("Indexed", "NonIndexed"):
        return [status.not_supported("spec.completionMode", spec["completionMode"], ("Indexed", "NonIndexed"))]
    if spec["completionMode"] == "NonIndexed":
        per_index = [field for field in ("backoffLimitPerIndex", "maxFailedIndexes") if spec.get(field) is not None]
        errors = [status.invalid_value(f"spec.{f}", spec[f], "requires indexed completion mode") for f in per_index]
        return errors + names.check_labels("spec.template.labels", {"job-name": name})
    if completions is None:
        return [status.required("spec.completions", "when completion mode is Indexed")]
    errors = []
    if spec["parallelism"] > MAX_INDEXED:
        why = f"must be less than or equal to {MAX_INDEXED} when completion mode is Indexed"
        errors.append(status.invalid_value("spec.parallelism", spec["parallelism"], why))
    hostname = f"{name}-{completions - 1}"
    if names.check_dns_label("metadata.name", hostname):
        why = f"will not able to create pod with invalid DNS label: {hostname}"
        errors.append(status.invalid_value("metadata.name", name, why))
    return errors


def _check_pods(spec: JsonObject) -> list[FieldError]:
    path, policy = "spec.template.spec.restartPolicy", spec["template"].get("spec", {}).get("restartPolicy", "Always")
    if policy == "Always":
        return [status.required(path, 'valid values: "OnFailure", "Never"')]
    if policy not in ("OnFailure", "Never"):
        return [status.not_supported(path, policy, ("OnFailure", "Never"))]
    failures = spec.get("podFailurePolicy")
    if failures is None:
        return []
    errors = []
    if policy != "Never":
        why = 'only "Never" is supported when podFailurePolicy is specified'
        errors.append(status.invalid_value(path, policy, why))
    for index, rule in enumerate(failures.get("rules", ())):
        where = f"spec.podFailurePolicy.rules[{index}]"
        if bool(rule.get("onExitCodes")) == bool(rule.get("onPodConditions")):
            why = "specifying one of OnExitCodes and OnPodConditions is required"
            errors.append(status.invalid_value(where, rule, why))
        if rule.get("action") not in ("FailJob", "FailIndex", "Ignore", "Count"):
            choices = ("Count", "FailIndex", "FailJob", "Ignore")
            errors.append(status.not_supported(f"{where}.action", rule.get("action"), choices))
    return errors


def check_status(obj: JsonObject, old: JsonObject) -> list[FieldError]:
    """Of a Job whose status alone was written."""
    now, before = obj.get("status") or {}, old.get("status") or {}
    is_true, was_true = _true_conditions(now), _true_conditions(before)
    errors: list[FieldError] = []

    def refuse(field: str, why: str) -> None:
        errors.append(status.invalid_value(f"status.{field}", now.get(field), why))

    for kind in _TERMINAL:
        if kind in was_true and kind not in is_true:
            refuse("conditions", f"cannot disable the terminal {kind}=True condition")
    for one, other in (("Complete", "Failed"), ("Complete", "FailureTarget"), ("SuccessCriteriaMet", "Failed")):
        if {one, other} <= is_true:
            refuse("conditions", f"cannot set {one}=True and {other}=true conditions")
    if {"SuccessCriteriaMet", "FailureTarget"} <= is_true:
        refuse("conditions", "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions")
    for end, first in (("Complete", "SuccessCriteriaMet"), ("Failed", "FailureTarget")):
        if end in is_true and end not in was_true and first not in is_true:
            refuse("conditions", f"cannot set {end}=True condition without the {first}=true condition")
    if ("Complete" in is_true) != (now.get("completionTime") is not None):
        refuse("completionTime", "completionTime is required for, and only for, Complete jobs")
    if before.get("completionTime") not in (None, now.get("completionTime")):
        refuse("completionTime", "completionTime cannot be mutated")
    if is_true & {"Complete", "Failed"}:
        if not now.get("startTime"):
            refuse("startTime", "startTime is required for finished job")
        for field in ("active", "terminating"):
            if now.get(field, 0) > 0:
                refuse(field, f"{field}>0 is invalid for finished job")
    if before.get("startTime") not in (None, now.get("startTime")) and not obj["spec"].get("suspend"):
        refuse("startTime", "startTime cannot be removed for unsuspended job")
    if now.get("ready", 0) > now.get("active", 0):
        refuse("ready", "cannot set more ready pods than active")
    for field in ("failed", "succeeded"):
        if now.get(field, 0) < before.get(field, 0):
            refuse(field, f"cannot decrease the {field} counter")
    if obj["spec"]["completionMode"] != "Indexed" and now.get("completedIndexes"):
        refuse("completedIndexes", "cannot set non-empty completedIndexes when non-indexed completion mode")
    if obj["spec"].get("backoffLimitPerIndex") is None and now.get("failedIndexes") is not None:
        refuse("failedIndexes", "cannot set non-null failedIndexes when backoffLimitPerIndex is null")
    return errors


def _true_conditions(found: dict[str, Any]) -> set[str]:
    return {one["type"] for one in found.get("conditions") or () if one.get("status") == "True"}
