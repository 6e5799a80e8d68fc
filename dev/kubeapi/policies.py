"""ValidatingAdmissionPolicy: its CEL expressions, run on each write that it and one of its bindings match.

Not here: parameters (paramKind), the authorizer, audit annotations, and limits of cost.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cel

from . import status
from .admission import WriteOptions
from .cel_functions import FUNCTIONS
from .encoding import JsonObject
from .objects import Stored
from .policy_matching import Admission, matches
from .resources import Resource
from .rules import compile_expression
from .status import ApiError, FieldError
from .store import Store

GROUP = "admissionregistration.k8s.io"
STORAGE = f"validatingadmissionpolicies.{GROUP}"
BINDINGS = f"validatingadmissionpolicybindings.{GROUP}"
_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}
_VARIABLE = re.compile(r"\bvariables\.([A-Za-z_]\w*)")


def check(policy: JsonObject) -> list[FieldError]:
    """What does not compile in a policy."""
    spec, errors = policy.get("spec") or {}, []
    for field, names in (
        ("matchConditions", ("expression",)),
        ("variables", ("expression",)),
        ("validations", ("expression", "messageExpression")),
    ):
        for index, entry in enumerate(spec.get(field) or ()):
            for name in names:
                try:
                    compile_expression(entry.get(name) or "true")
                except ValueError as e:
                    where = f"spec.{field}[{index}].{name}"
                    errors.append(status.invalid_value(where, entry[name], str(e)))
    if spec.get("paramKind"):
        errors.append(status.forbidden_field("spec.paramKind", "this server knows no parameters"))
    return errors


@dataclass(frozen=True)
class _Failure(Exception):
    """The request is not to be let through; or an expression could not be evaluated (`is_error`)."""

    message: str
    reason: str = "Invalid"
    is_error: bool = False


class Policies:
    def __init__(self, store: Store) -> None:
        self._store = store

    def check(
        self,
        resource: Resource,
        *,
        operation: str,
        subresource: str = "",
        obj: JsonObject | None,
        old: JsonObject | None,
        options: WriteOptions,
    ) -> list[str]:
        """Warnings; a refusal is an ApiError. Policies themselves are never judged, so that one can be taken back."""
        if not self._store.count(STORAGE) or resource.group == GROUP:
            return []
        metadata = (obj or old or {})["metadata"]
        namespace = metadata.get("namespace", "")
        holder = self._store.get("namespaces", ("", namespace)) if namespace else None
        admission = Admission(
            resource=resource,
            subresource=subresource,
            operation=operation,
            namespace=namespace,
            name=metadata.get("name", ""),
            obj=obj,
            old=old,
            namespace_object=holder.load() if holder else None,
            user=options.user,
            dry_run=options.dry_run,
        )
        warnings: list[str] = []
        for binding in map(Stored.load, self._store.objects(BINDINGS)):
            warnings += self._check_bound(binding, admission)
        return warnings

    def _check_bound(self, binding: JsonObject, admission: Admission) -> list[str]:
        stored = self._store.get(STORAGE, ("", binding["spec"]["policyName"]))
        if stored is None or not matches(binding["spec"].get("matchResources"), admission):
            return []
        policy = stored.load()
        spec = policy["spec"]
        if not matches(spec.get("matchConstraints"), admission):
            return []
        warnings = []
        for failure in _failures(spec, admission):
            if failure.is_error and spec.get("failurePolicy") == "Ignore":
                continue
            names = f"ValidatingAdmissionPolicy '{stored.name}' with binding '{binding['metadata']['name']}'"
            actions = binding["spec"]["validationActions"]
            if "Deny" in actions:
                raise _refusal(admission, f"{names} denied request: {failure.message}", failure.reason)
            if "Warn" in actions:
                warnings.append(f"Validation failed for {names}: {failure.message}")
        return warnings


def _refusal(admission: Admission, message: str, reason: str) -> ApiError:
    resource = admission.resource
    error = status.forbidden(resource.plural, resource.group, admission.name, message)
    error.reason, error.code = reason, _CODES.get(reason, 422)
    error.details = {**(error.details or {}), "causes": [{"message": message}]}
    return error


def _failures(spec: JsonObject, admission: Admission) -> list[_Failure]:
    evaluation = _Evaluation(spec, admission)
    try:
        if not all(evaluation.holds(condition["expression"]) for condition in spec.get("matchConditions") or ()):
            return []
    except _Failure as failure:
        return [failure]
    found = []
    for validation in spec.get("validations") or ():
        try:
            if not evaluation.holds(validation["expression"]):
                found.append(_Failure(evaluation.message(validation), validation.get("reason") or "Invalid"))
        except _Failure as failure:
            found.append(failure)
    return found


class _Evaluation:
    """The expressions of one policy on one request. A variable is worked out where it is first asked for."""

    def __init__(self, spec: JsonObject, admission: Admission) -> None:
        self._sources = {variable["name"]: variable["expression"] for variable in spec.get("variables") or ()}
        self._variables: dict[str, Any] = {}
        self._values = {
            "object": admission.obj,
            "oldObject": admission.old,
            "namespaceObject": admission.namespace_object,
            "request": _request(admission),
        }

    def holds(self, source: str) -> bool:
        """Raises _Failure where it cannot be evaluated."""
        return self._evaluate(source) is True

    def message(self, validation: JsonObject) -> str:
        """As in kube-apiserver, a messageExpression that fails or gives no text falls back to the message."""
        fallback = validation.get("message") or f"failed expression: {validation['expression'].strip()}"
        if not validation.get("messageExpression"):
            return str(fallback)
        try:
            message = self._evaluate(validation["messageExpression"])
        except _Failure:
            return str(fallback)
        return message if isinstance(message, str) and message.strip() and "\n" not in message else str(fallback)

    def _evaluate(self, source: str) -> Any:
        for name in _VARIABLE.findall(source):
            if name in self._sources and name not in self._variables:
                self._variables[name] = self._evaluate(self._sources[name])
        program = compile_expression(source)
        context = cel.Context({**self._values, "variables": self._variables})
        for name, function in _functions_of(program).items():
            context.add_function(name, function)
        try:
            return program.execute(context)
        except Exception as e:  # CEL's runtime errors come as many Python types; each fails the expression
            text = f"expression '{source.strip()}' resulted in error: {e}"
            raise _Failure(text, is_error=True) from e


def _functions_of(program: cel.Program) -> dict[str, Callable[..., Any]]:
    called = set(program.functions())
    # CEL lists math.abs as abs.
    return {name: function for name, function in FUNCTIONS.items() if name.rpartition(".")[2] in called}


def _request(admission: Admission) -> JsonObject:
    resource = admission.resource
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    plural = {"group": resource.group, "version": resource.version, "resource": resource.plural}
    return {
        "kind": kind,
        "resource": plural,
        "subResource": admission.subresource,
        "requestKind": kind,
        "requestResource": plural,
        "requestSubResource": admission.subresource,
        "name": admission.name,
        "namespace": admission.namespace,
        "operation": admission.operation,
        "userInfo": admission.user.info(),
        "dryRun": admission.dry_run,
    }
