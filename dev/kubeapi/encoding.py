"""JSON and YAML, in and out: the one place that says how objects become bytes."""

import json
from collections.abc import Callable
from typing import Any

import yaml

JsonObject = dict[str, Any]


class MalformedBody(ValueError):
    """The body is neither JSON nor YAML, or not an object where one is needed."""


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
_decoder = json.JSONDecoder(parse_constant=_refuse)


def encode(value: Any) -> bytes:
    return _encoder.encode(value).encode()


def decode_json(body: bytes, *, duplicates: list[str] | None = None) -> Any:
    """Parse JSON; field names that occur twice in one object are added to `duplicates`."""
    try:
        if duplicates is None:
            return _decoder.decode(body.decode())
        return json.loads(body, object_pairs_hook=_duplicate_finder(duplicates), parse_constant=_refuse)
    except (ValueError, RecursionError) as e:
        raise MalformedBody(f"couldn't get version/kind; json parse error: {e}") from e


def decode_yaml(body: bytes) -> Any:
    try:
        # The loader is a SafeLoader; it only leaves timestamps as the strings they are in JSON.
        return yaml.load(body, Loader=_YamlLoader)
    except yaml.YAMLError as e:
        raise MalformedBody(f"error decoding YAML: {e}") from e


def _duplicate_finder(found: list[str]) -> Callable[[list[tuple[str, Any]]], JsonObject]:
    def build(pairs: list[tuple[str, Any]]) -> JsonObject:
        result = dict(pairs)
        if len(result) != len(pairs):
            names = [name for name, _ in pairs]
            found.extend(sorted({name for name in names if names.count(name) > 1}))
        return result

    return build


class _YamlLoader(yaml.SafeLoader):
    pass


_YamlLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
