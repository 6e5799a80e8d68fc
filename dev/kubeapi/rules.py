"""x-kubernetes-validations: CEL rules, compiled once with the schema, run on one value and its old value.

Which values they run on is decided by the walk in validation.py. Transition rules (those that mention
oldSelf) hold only where there is an old value, unless optionalOldSelf is set.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cel

from . import status
from .cel_functions import FUNCTIONS
from .encoding import JsonObject
from .status import FieldError

_VARIABLE = re.compile(r"\b(?:self|oldSelf)\b")
_FIELD_OF_VARIABLE = re.compile(r"\.([A-Za-z_]\w*)(?![\w(])")

_REASONS = {
    "FieldValueRequired",
    "FieldValueInvalid",
    "FieldValueForbidden",
    "FieldValueDuplicate",
}


class Absent:
    """The type of ABSENT: there is no old value (null is a value)."""


ABSENT = Absent()


@dataclass(frozen=True, kw_only=True)
class Rule:
    source: str
    program: cel.Program
    message: str
    message_program: cel.Program | None
    field_path: str
    reason: str
    is_transition: bool
    takes_absent_old: bool
    """optionalOldSelf: the rule also runs where there is no old value."""
    fields: frozenset[str] | None
    """The fields of self and oldSelf that the rule reads; None where it reads them as a whole."""


def compile_rules(definitions: Sequence[JsonObject]) -> tuple[Rule, ...]:
    """Compile what a schema lists under x-kubernetes-validations; ValueError names the broken rule."""
    return tuple(_compile_rule(definition) for definition in definitions)


def _compile_rule(definition: JsonObject) -> Rule:
    source = definition["rule"]
    message_source = definition.get("messageExpression", "")
    sources = f"{source}\n{message_source}"
    return Rule(
        source=source,
        program=_compile(source),
        message=definition.get("message") or f"failed rule: {source.strip()}",
        message_program=_compile(message_source) if message_source else None,
        field_path=definition.get("fieldPath", ""),
        reason=definition.get("reason") if definition.get("reason") in _REASONS else "FieldValueInvalid",
        is_transition=re.search(r"\boldSelf\b", source) is not None,
        takes_absent_old=bool(definition.get("optionalOldSelf")),
        fields=None if definition.get("optionalOldSelf") else _fields_read(sources),
    )


@lru_cache(maxsize=4096)
def _compile(source: str) -> cel.Program:
    try:
        return cel.compile(source)
    except ValueError as e:
        raise ValueError(f"compilation failed: {e}") from e


def _fields_read(source: str) -> frozenset[str] | None:
    # Handing CEL a whole spec costs far more than running the rule, so rules get only what they name.
    # A name inside a string literal makes this too large a set or None, never too small a one.
    fields = set()
    for mention in _VARIABLE.finditer(source):
        following = _FIELD_OF_VARIABLE.match(source, mention.end())
        if following is None:
            return None
        fields.add(following[1])
    return frozenset(fields)


def check(rules: Sequence[Rule], value: Any, old: Any, path: str) -> list[FieldError]:
    """Run the rules of one schema node; `old` is ABSENT where there is no old value."""
    due = [rule for rule in rules if _is_due(rule, value, old)]
    if not due:
        return []
    context = _context(due, value, old)
    errors = []
    for rule in due:
        try:
            holds = rule.program.execute(context) is True
            detail = None if holds else _message(rule, context)
        except Exception as e:  # CEL's runtime errors come as many Python types; each fails the rule
            detail = f"rule evaluation error: {rule.source.strip()}: {e}"
        if detail is not None:
            errors.append(_field_error(rule, value, path, detail))
    return errors


def _is_due(rule: Rule, value: Any, old: Any) -> bool:
    if rule.is_transition:
        return old is not ABSENT or rule.takes_absent_old
    # Ratcheting: what has not changed is not judged again, except by transition rules.
    return old is ABSENT or bool(value != old)


def _context(rules: Sequence[Rule], value: Any, old: Any) -> cel.Context:
    fields = _all_fields(rules)
    context = cel.Context({"self": _projection(value, fields)})
    if any(rule.takes_absent_old for rule in rules):
        optional = cel.OptionalValue.none() if old is ABSENT else cel.OptionalValue.of(old)
        context.add_variable("oldSelf", optional)
    elif old is not ABSENT:
        context.add_variable("oldSelf", _projection(old, fields))
    for rule in rules:
        for program in filter(None, (rule.program, rule.message_program)):
            for name in program.functions():
                if name in FUNCTIONS:
                    context.add_function(name, FUNCTIONS[name])
    return context


def _all_fields(rules: Sequence[Rule]) -> frozenset[str] | None:
    fields: set[str] = set()
    for rule in rules:
        if rule.fields is None:
            return None
        fields |= rule.fields
    return frozenset(fields)


def _projection(value: Any, fields: frozenset[str] | None) -> Any:
    if fields is None or not isinstance(value, dict):
        return value
    return {name: value[name] for name in fields if name in value}


def _message(rule: Rule, context: cel.Context) -> str:
    if rule.message_program is None:
        return rule.message
    try:
        message = rule.message_program.execute(context)
    except Exception:  # as in kube-apiserver, a broken messageExpression falls back to the message
        return rule.message
    return message if isinstance(message, str) and message.strip() else rule.message


def _field_error(rule: Rule, value: Any, path: str, detail: str) -> FieldError:
    where = (path + rule.field_path).lstrip(".") or "<nil>"
    if rule.reason == "FieldValueRequired":
        return status.required(where, detail)
    if rule.reason == "FieldValueForbidden":
        return status.forbidden_field(where, detail)
    return status.invalid_value(where, value, detail, rule.reason)
