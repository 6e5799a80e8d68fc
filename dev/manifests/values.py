"""The README's tables of a chart's values, from the ``# --`` comments in values.yaml (helm-docs' convention)."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from dev.manifests import marks

BEGIN = "<!-- values: made from values.yaml by `make manifests` -->"
END = "<!-- end of values -->"

_KEY = re.compile(r"( *)([A-Za-z][\w-]*):( .*)?$")
_COMMENT = re.compile(r" *# -- (.*)")
_MORE = re.compile(r" *# (.*)")


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """A documented value."""

    path: tuple[str, ...]
    default: Any
    text: str


def with_tables(readme: str, text: str) -> str:
    """The README with its tables of today. Raises ValueError where it has no place for them."""
    return marks.replaced(readme, BEGIN, END, tables(text))


def tables(text: str) -> str:
    """A table for each top-level key that has values below it, before them one of those that have none."""
    parts: dict[str, list[Value]] = {}
    for value in documented(text):
        parts.setdefault(value.path[0] if len(value.path) > 1 else "", []).append(value)
    lines: list[str] = []
    for part, values in sorted(parts.items(), key=lambda item: item[0] != ""):
        if part:
            lines.append(f"\n### `{part}`\n")
        lines += ["| value | default | |", "| --- | --- | --- |"]
        lines += [f"| `{'.'.join(value.path)}` | `{_shown(value.default)}` | {value.text} |" for value in values]
    return "\n".join(lines) + "\n"


def documented(text: str) -> Iterator[Value]:
    """The values that have a ``# --`` comment right above them, in their order."""
    defaults = yaml.safe_load(text)
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        if match := _COMMENT.match(line):
            comment = [match[1]]
        elif comment and (match := _MORE.match(line)):
            comment.append(match[1])
        elif match := _KEY.match(line):
            indent = len(match[1])
            path = [(depth, key) for depth, key in path if depth < indent] + [(indent, match[2])]
            keys = tuple(key for _, key in path)
            if comment:
                yield Value(path=keys, default=_at(defaults, keys), text=" ".join(comment))
            comment = []
        else:
            comment = []


def undocumented(text: str) -> list[str]:
    """Paths of values that neither have a comment nor are part of one that has."""
    told = [value.path for value in documented(text)]
    return [".".join(path) for path in _leaves(yaml.safe_load(text)) if not any(path[: len(t)] == t for t in told)]


def _leaves(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(node, dict) and node:
        for key, child in node.items():
            yield from _leaves(child, (*path, key))
    else:
        yield path


def _at(node: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        node = node[key]
    return node


def _shown(default: Any) -> str:
    return json.dumps(default).replace("|", "\\|")
