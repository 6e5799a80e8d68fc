"""Label selectors and field selectors: parse once, then match every object."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from . import names
from .status import ApiError, bad_request

Fields = Mapping[str, str]

_SET_REQUIREMENT = re.compile(r"\s*(\S+)\s+(in|notin)\s*\(([^()]*)\)\s*")
_COMPARISON = re.compile(r"\s*([^\s=!<>,()]+)\s*(==|=|!=|<|>)\s*([^\s=!<>,()]*)\s*")
_EXISTENCE = re.compile(r"\s*(!?)\s*([^\s=!<>,()]+)\s*")
_COMMA_OUTSIDE_PARENTHESES = re.compile(r",(?![^()]*\))")
_FIELD_COMPARISON = re.compile(r"([^=!]+)(==|=|!=)(.*)", re.DOTALL)
_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}
_UNESCAPED_COMMA = re.compile(r"(?<!\\),")


@dataclass(frozen=True)
class Requirement:
    """One term: `key` must (or must not) have one of `values`."""

    key: str
    holds: Callable[[str | None], bool]


@dataclass(frozen=True)
class Selector:
    requirements: tuple[Requirement, ...] = ()

    def matches(self, values: Fields) -> bool:
        return all(requirement.holds(values.get(requirement.key)) for requirement in self.requirements)


EVERYTHING = Selector()


def parse_labels(text: str) -> Selector:
    """Read a labelSelector; a 400 ApiError where it is malformed."""
    if not text.strip():
        return EVERYTHING
    return Selector(tuple(_label_requirement(term) for term in _COMMA_OUTSIDE_PARENTHESES.split(text)))


def matches_labels(selector: Mapping[str, Any] | None, labels: Fields) -> bool:
    """Whether a LabelSelector object (matchLabels, matchExpressions) takes these labels; an empty one takes all."""
    selector = selector or {}
    tests = [
        (key, _label_test(key, "in", frozenset([value]))) for key, value in (selector.get("matchLabels") or {}).items()
    ]
    for expression in selector.get("matchExpressions") or ():
        operator = _OPERATORS.get(expression.get("operator"), "in")
        values = frozenset(expression.get("values") or ())
        tests.append((expression["key"], _label_test(expression["key"], operator, values)))
    return all(test(labels.get(key)) for key, test in tests)


def _label_requirement(term: str) -> Requirement:
    if match := _SET_REQUIREMENT.fullmatch(term):
        key, operator, listed = match.groups()
        values = frozenset(value.strip() for value in listed.split(","))
    elif match := _COMPARISON.fullmatch(term):
        key, operator, value = match.groups()
        values = frozenset([value])
    elif match := _EXISTENCE.fullmatch(term):
        key, operator, values = match[2], "absent" if match[1] else "exists", frozenset()
    else:
        raise _unparsable(term)
    if not names.is_qualified_name(key) or not all(map(names.is_label_value, values)):
        raise _unparsable(term)
    return Requirement(key, _label_test(term, operator, values))


def _label_test(term: str, operator: str, values: frozenset[str]) -> Callable[[str | None], bool]:
    match operator:
        case "exists":
            return lambda value: value is not None
        case "absent":
            return lambda value: value is None
        case "in" | "=" | "==":
            return lambda value: value in values
        case "notin" | "!=":
            return lambda value: value not in values
    try:
        bound = int(next(iter(values)))
    except ValueError as e:
        raise _unparsable(term) from e
    sign = 1 if operator == ">" else -1
    return lambda value: value is not None and value.isdigit() and (int(value) - bound) * sign > 0


def parse_fields(text: str, known: Collection[str]) -> Selector:
    """Read a fieldSelector on the `known` fields; a 400 ApiError for any other field."""
    requirements = []
    for term in _UNESCAPED_COMMA.split(text):
        if not term:
            continue
        match = _FIELD_COMPARISON.fullmatch(term)
        if match is None:
            raise bad_request(f"invalid selector: '{term}'; can't understand '{term}'")
        field, operator, value = match.groups()
        if field not in known:
            raise bad_request(f"field label not supported: {field}")
        wanted = re.sub(r"\\(.)", r"\1", value)
        requirements.append(Requirement(field, _field_test(wanted, is_negated=operator == "!=")))
    return Selector(tuple(requirements))


def _field_test(wanted: str, *, is_negated: bool) -> Callable[[str | None], bool]:
    # An absent field counts as empty.
    return lambda value: ((value or "") == wanted) is not is_negated


def _unparsable(term: str) -> ApiError:
    return bad_request(f"unable to parse requirement: {term.strip()!r} is not a label requirement")
