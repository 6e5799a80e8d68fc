"""The part of OData that the service has: $filter with comparisons, ``startswith``, and/or; $select of properties."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

Test = Callable[[Mapping[str, Any]], bool]

_TOKEN = re.compile(r"\s*(\(|\)|,|datetime'[^']*'|'[^']*'|-?\d+|[A-Za-z][\w/]*)")
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "ge": lambda a, b: a is not None and a >= b,
    "gt": lambda a, b: a is not None and a > b,
    "le": lambda a, b: a is not None and a <= b,
    "lt": lambda a, b: a is not None and a < b,
}
_TIMES = frozenset({"stateTransitionTime", "creationTime", "lastModified", "executionInfo/startTime"})
FILTERABLE = frozenset({"id", "state", "executionInfo/poolId", "executionInfo/exitCode"}) | _TIMES


class BadQuery(Exception):
    """The service does not understand it."""


def parse(text: str) -> Test:
    """The test that a $filter stands for. Raises BadQuery."""
    tokens = _tokens(text)
    test = _either(tokens)
    if tokens:
        raise BadQuery(text)
    return test


def selected(shown: Mapping[str, Any], select: str) -> dict[str, Any]:
    """Those properties only; all of them where none are named. Raises BadQuery for one that there is not."""
    if not select:
        return dict(shown)
    wanted = select.split(",")
    for name in wanted:
        if not re.fullmatch(r"[A-Za-z]\w*", name):
            raise BadQuery(name)
    return {name: shown[name] for name in wanted if name in shown}


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            raise BadQuery(text)
        found.append(match[1])
        at = match.end()
    return found


def _either(tokens: list[str]) -> Test:
    parts = [_both(tokens)]
    while tokens and tokens[0].lower() == "or":
        tokens.pop(0)
        parts.append(_both(tokens))
    return lambda item: any(part(item) for part in parts)


def _both(tokens: list[str]) -> Test:
    parts = [_one(tokens)]
    while tokens and tokens[0].lower() == "and":
        tokens.pop(0)
        parts.append(_one(tokens))
    return lambda item: all(part(item) for part in parts)


def _one(tokens: list[str]) -> Test:
    match tokens:
        case ["(", *_]:
            tokens.pop(0)
            inner = _either(tokens)
            _expect(tokens, ")")
            return inner
        case ["startswith", "(", name, ",", value, ")", *_] if name == "id":
            del tokens[:6]
            start = value.strip("'")
            return lambda item: str(item.get(name, "")).startswith(start)
        case [name, operator, value, *_] if operator in _OPERATORS and name in FILTERABLE:
            del tokens[:3]
            if (name in _TIMES) != value.startswith("datetime'"):
                raise BadQuery(value)
            compare, wanted = _OPERATORS[operator], _value(value)
            return lambda item: compare(_property(item, name), wanted)
    raise BadQuery(" ".join(tokens))


def _expect(tokens: list[str], token: str) -> None:
    if not tokens or tokens.pop(0) != token:
        raise BadQuery(token)


def _value(text: str) -> Any:
    if text.startswith("datetime'"):
        return _time(text[9:-1])
    if text.startswith("'"):
        return text[1:-1]
    return int(text)


def _property(item: Mapping[str, Any], name: str) -> Any:
    found: Any = item
    for part in name.split("/"):
        found = found.get(part) if isinstance(found, Mapping) else None
    return _time(found) if name in _TIMES and found is not None else found


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text).replace("Z", "+00:00"))
    except ValueError:
        raise BadQuery(text) from None
