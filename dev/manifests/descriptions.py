"""The CRD's text with the descriptions of its fields.

The text is rewritten at the offsets that PyYAML tells, so that comments and style stay as they were written.
"""

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

WIDTH = 120


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def described(text: str, descriptions: Mapping[str, str]) -> str:
    """The CRD with these descriptions, by paths such as ``spec.env.name``.

    Raises ValueError where a field of the schema has none, one is of no field, or braces are around fields of fields.
    """
    schemas = dict(_schemas(text))
    if different := schemas.keys() ^ descriptions.keys():
        raise ValueError(f"in the CRD or in controller.domain.fields, not in both: {', '.join(sorted(different))}")
    edits = [_edit(text, schema, descriptions[path]) for path, schema in schemas.items()]
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _schemas(text: str) -> Iterator[tuple[str, MappingNode]]:
    """The schema of each field below spec and status, through all levels."""
    node: Node | None = yaml.compose(text)
    versions = _find(_find(node, "spec"), "versions")
    assert isinstance(versions, SequenceNode)
    schema = _find(_find(_find(versions.value[0], "schema"), "openAPIV3Schema"), "properties")
    for root in ("spec", "status"):
        yield from _below(_find(schema, root), root)


def _below(schema: Node | None, path: str) -> Iterator[tuple[str, MappingNode]]:
    properties = _find(_find(schema, "items") or schema, "properties")
    if isinstance(properties, MappingNode):
        for key, child in properties.value:
            assert isinstance(child, MappingNode)
            yield f"{path}.{key.value}", child
            yield from _below(child, f"{path}.{key.value}")


def _find(node: Node | None, key: str) -> Node | None:
    pairs = node.value if isinstance(node, MappingNode) else ()
    return next((value for name, value in pairs if name.value == key), None)


def _edit(text: str, schema: MappingNode, description: str) -> _Edit:
    return _in_braces(text, schema, description) if schema.flow_style else _in_lines(text, schema, description)


def _in_braces(text: str, schema: MappingNode, description: str) -> _Edit:
    """``{type: string, description: …}``, on lines of their own where it gets too long."""
    if _find(_find(schema, "items") or schema, "properties"):
        raise ValueError(f"line {schema.start_mark.line + 1}: fields of a field are written in lines, not in braces")
    start, end = schema.start_mark.index, schema.end_mark.index
    others = [
        text[key.start_mark.index : value.end_mark.index] for key, value in schema.value if key.value != "description"
    ]
    begin = "{" + ", ".join(others) + ","
    indent = schema.start_mark.column + 1
    told = "description: " + (description if _is_plain(f"[{description}]", [description]) else _quoted(description))
    if indent + len(begin) + len(told) + 1 <= WIDTH:
        return _Edit(start, end, f"{begin} {told}}}")
    lines = textwrap.wrap(
        "description: " + _quoted(description), WIDTH - indent - 1, break_long_words=False, break_on_hyphens=False
    )
    return _Edit(start, end, "\n".join([begin, *(" " * indent + line for line in lines)]) + "}")


def _in_lines(text: str, schema: MappingNode, description: str) -> _Edit:
    key = next((key for key, _ in schema.value if key.value == "description"), None)
    first = schema.value[0][0]
    indent = first.start_mark.column
    told = _lines(description, indent)
    if key is None:
        return _Edit(first.start_mark.index, first.start_mark.index, f"{told}\n{' ' * indent}")
    start = end = key.start_mark.index
    for line in text[start:].splitlines(keepends=True):
        if end > start and len(line) - len(line.lstrip(" ")) <= indent:
            break
        end += len(line)
    return _Edit(start, end, f"{told}\n")


def _lines(description: str, indent: int) -> str:
    for value in (description, _quoted(description)):
        told = f"description: {value}"
        if indent + len(told) <= WIDTH and _is_plain(value, description):
            return told
    inner = " " * (indent + 2)
    lines = textwrap.wrap(description, WIDTH - len(inner), break_long_words=False, break_on_hyphens=False)
    return "\n".join(["description: >-", *(inner + line for line in lines)])


def _is_plain(value: str, meant: object) -> bool:
    """Whether YAML reads it as it is meant."""
    try:
        return bool(yaml.safe_load(value) == meant)
    except yaml.YAMLError:
        return False


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
