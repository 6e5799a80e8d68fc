"""The JSONPath that printer columns and selectable fields use: names, indices, [*] and [?(@.a=="b")]."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

Step = Callable[[Any], Iterator[Any]]

_STEP = re.compile(
    r"""\.?(?:
        \[\?\(\s*@(?P<filter>[^=!<>]+?)\s*(?P<operator>==|!=)\s*(?P<wanted>[^)]+?)\s*\)\]
      | \[(?P<index>-?\d+)\]
      | \[\*\] | (?P<star>\*)
      | \[(?P<quote>['"])(?P<quoted>.+?)(?P=quote)\]
      | (?P<name>(?:[^.\[\]\\]|\\.)+)
    )""",
    re.VERBOSE,
)


def find(path: str, value: Any) -> list[Any]:
    """Every value at `path`; empty where there is none. ValueError where the path is malformed."""
    found = [value]
    for step in _compile(path):
        found = [result for each in found for result in step(each)]
    return found


@lru_cache(maxsize=1024)
def _compile(path: str) -> tuple[Step, ...]:
    text = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    steps, at = [], 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise ValueError(f"unrecognized path {path!r}")
        steps.append(_step(match))
        at = match.end()
    return tuple(steps)


def _step(match: re.Match[str]) -> Step:
    if match["filter"]:
        return _filtered(match["filter"], match["operator"] == "==", match["wanted"].strip("'\""))
    if match["index"]:
        return _at(int(match["index"]))
    if match["quoted"] or match["name"]:
        return _named(match["quoted"] or match["name"].replace("\\", ""))
    return _all


def _named(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _at(index: int) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list) and -len(value) <= index < len(value):
            yield value[index]

    return step


def _all(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _filtered(path: str, keeps_equal: bool, wanted: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        for item in value if isinstance(value, list) else []:
            is_equal = any(_text(found) == wanted for found in find(path, item))
            if is_equal is keeps_equal:
                yield item

    return step


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
