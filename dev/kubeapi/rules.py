"""x-kubernetes-validations: CEL rules, compiled once with the schema, run on one value and its old value.

Which values they run on is decided by the walk in validation.py. Transition rules (those that mention
oldSelf) hold only where there is an old value, unless optionalOldSelf is set.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import or_
from typing import Any

import cel

from . import status
from .cel_functions import FUNCTIONS
from .encoding import JsonObject
from .status import FieldError

_VARIABLE = re.compile(r"\b(?:self|oldSelf)\b")
_FIELD_OF_VARIABLE = re.compile(r"\.([A-Za-z_]\w*)(?![\w(])")
_PRESENCE = re.compile(r"\bhas\(\s*(?:self|oldSelf)\.([A-Za-z_]\w*)\s*\)")
_IMMUTABLE = re.compile(r"\s*(self\s*==\s*oldSelf|oldSelf\s*==\s*self)\s*")

_REASONS = {
    "FieldValueRequired",
    "FieldValueInvalid",
    "FieldValueForbidden",
    "FieldValueDuplicate",
}


class Absent:
    """The type of ABSENT: there is no old value (null is a value)."""


ABSENT = Absent()


@dataclass(frozen=True)
class Needs:
    """What rules read of self and oldSelf: handing CEL a whole spec costs far more than running a rule."""

    is_everything: bool
    read: frozenset[str] = frozenset()
    tested: frozenset[str] = frozenset()
    """Fields of which only has() is asked."""

    @property
    def is_presence(self) -> bool:
        return not self.is_everything and not self.read

    def __or__(self, other: "Needs") -> "Needs":
        return Needs(
            self.is_everything or other.is_everything,
            self.read | other.read,
            self.tested | other.tested,
        )

    def project(self, value: Any) -> Any:
        if self.is_everything or not isinstance(value, dict):
            return value
        present = {name: True for name in self.tested if name in value}
        return present | {name: value[name] for name in self.read if name in value}


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
    is_immutability: bool
    """self == oldSelf."""
    needs: "Needs"
    functions: tuple[str, ...]
    """What the rule needs of cel_functions.FUNCTIONS."""


def compile_rules(definitions: Sequence[JsonObject]) -> tuple[Rule, ...]:
    """Compile what a schema lists under x-kubernetes-validations; ValueError names the broken rule."""
    return tuple(_compile_rule(definition) for definition in definitions)


def _compile_rule(definition: JsonObject) -> Rule:
    source = definition["rule"]
    message_source = definition.get("messageExpression", "")
    program = compile_expression(source)
    message_program = compile_expression(message_source) if message_source else None
    called = {name for each in (program, message_program) if each is not None for name in each.functions()}
    return Rule(
        source=source,
        program=program,
        message=definition.get("message") or f"failed rule: {source.strip()}",
        message_program=message_program,
        field_path=definition.get("fieldPath", ""),
        reason=definition["reason"] if definition.get("reason") in _REASONS else "FieldValueInvalid",
        is_transition=re.search(r"\boldSelf\b", source) is not None,
        takes_absent_old=bool(definition.get("optionalOldSelf")),
        is_immutability=_IMMUTABLE.fullmatch(source) is not None,
        needs=Needs(True) if definition.get("optionalOldSelf") else _needs(f"{source}\n{message_source}"),
        # CEL lists math.abs as abs.
        functions=tuple(name for name in FUNCTIONS if name.rpartition(".")[2] in called),
    )


@lru_cache(maxsize=4096)
def compile_expression(source: str) -> cel.Program:
    """ValueError says what is wrong with it."""
    try:
        return cel.compile(source)
    except ValueError as e:
        raise ValueError(f"compilation failed: {e}") from e


def _needs(source: str) -> Needs:
    # A name inside a string literal makes this more than is needed, never less.
    tested = frozenset(_PRESENCE.findall(source))
    rest = _PRESENCE.sub("true", source)
    read = set()
    for mention in _VARIABLE.finditer(rest):
        following = _FIELD_OF_VARIABLE.match(rest, mention.end())
        if following is None:
            return Needs(True)
        read.add(following[1])
    return Needs(False, frozenset(read), tested)


def check(rules: Sequence[Rule], value: Any, old: Any, path: str) -> list[FieldError]:
    """Run the rules of one schema node; `old` is ABSENT where there is no old value."""
    due = [rule for rule in rules if _is_due(rule, value, old)]
    # For rules with optionalOldSelf oldSelf is an optional, for the others the value itself.
    plain = [rule for rule in due if not rule.takes_absent_old]
    optional = [rule for rule in due if rule.takes_absent_old]
    errors = _run(plain, value, old, path)
    if optional:
        errors += _run(optional, value, cel.OptionalValue.none() if old is ABSENT else cel.OptionalValue.of(old), path)
    return errors


def _run(rules: Sequence[Rule], value: Any, old: Any, path: str) -> list[FieldError]:
    # What only asks has() has one answer for all objects with the same fields, so most need no CEL.
    rules = [rule for rule in rules if not (rule.needs.is_presence and _holds_by_presence(rule, value, old))]
    if not rules:
        return []
    context = _context(rules, value, old)
    errors = []
    for rule in rules:
        try:
            holds = rule.program.execute(context) is True
            detail = None if holds else _message(rule, context)
        except Exception as e:  # CEL's runtime errors come as many Python types; each fails the rule
            detail = f"rule evaluation error: {rule.source.strip()}: {e}"
        if detail is not None:
            errors.append(_field_error(rule, value, path, detail))
    return errors


def _holds_by_presence(rule: Rule, value: Any, old: Any) -> bool:
    if not isinstance(value, dict):
        return False
    tested = rule.needs.tested
    before = tested.intersection(old) if isinstance(old, dict) else None
    return _presence_verdict(rule.program, tested.intersection(value), before)


@lru_cache(maxsize=4096)
def _presence_verdict(program: cel.Program, present: frozenset[str], before: frozenset[str] | None) -> bool:
    variables = {"self": dict.fromkeys(present, True)}
    if before is not None:
        variables["oldSelf"] = dict.fromkeys(before, True)
    try:
        return program.execute(variables) is True
    except Exception:  # told in full by the run on the real value
        return False


def _is_due(rule: Rule, value: Any, old: Any) -> bool:
    if rule.is_transition:
        if rule.is_immutability and value == old:
            return False  # it holds, and needs no CEL to tell
        return old is not ABSENT or rule.takes_absent_old
    # Ratcheting: what has not changed is not judged again, except by transition rules.
    return old is ABSENT or bool(value != old)


def _context(rules: Sequence[Rule], value: Any, old: Any) -> cel.Context:
    needs = reduce(or_, (rule.needs for rule in rules))
    context = cel.Context({"self": needs.project(value)})
    if old is not ABSENT:
        context.add_variable("oldSelf", needs.project(old))
    for rule in rules:
        for name in rule.functions:
            context.add_function(name, FUNCTIONS[name])
    return context


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
