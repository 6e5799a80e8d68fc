"""JSON merge patch, JSON patch and strategic merge patch: each makes a change function of a body.

Strategic merge patch knows the merge keys of built-in lists (merge_keys.py) and the directives $patch,
$deleteFromPrimitiveList and $retainKeys; $setElementOrder is ignored, so new items come last.
"""

from collections.abc import Callable
from typing import Any

import json_merge_patch
import jsonpatch

from . import merge_keys
from .encoding import JsonObject
from .status import ApiError, bad_request

Change = Callable[[JsonObject], JsonObject]

MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


def change_from(media_type: str, body: Any) -> Change:
    """The change that a patch of this type describes; a 400 ApiError where the patch is malformed."""
    if media_type == JSON:
        return _json_patch(body)
    if not isinstance(body, dict):
        raise bad_request("error decoding patch: json: cannot unmarshal into Go value of type map")
    if media_type == STRATEGIC:
        return lambda obj: _merge_strategically(obj, body)
    return lambda obj: dict(json_merge_patch.merge(obj, body))


def _json_patch(body: Any) -> Change:
    try:
        patch = jsonpatch.JsonPatch(body)
    except (jsonpatch.JsonPatchException, TypeError, ValueError) as e:
        raise bad_request(f"error decoding patch: {e}") from e

    def change(obj: JsonObject) -> JsonObject:
        try:
            changed = patch.apply(obj, in_place=True)
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError) as e:
            message = f"the server rejected our request due to an error in our request: {e}"
            raise ApiError(422, "Invalid", message, {}) from e
        if not isinstance(changed, dict):
            raise bad_request("the patch leaves no object")
        return changed

    return change


def _merge_strategically(target: JsonObject, patch: JsonObject) -> JsonObject:
    for name, value in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.partition("/")[2]
            target[field] = [item for item in target.get(field, []) if item not in value]
        elif name == "$retainKeys":
            for field in [field for field in target if field not in value]:
                del target[field]
        elif name.startswith("$"):
            continue
        elif value is None:
            target.pop(name, None)
        else:
            target[name] = _merged_value(name, target.get(name), value)
    return target


def _merged_value(name: str, current: Any, value: Any) -> Any:
    if isinstance(value, dict):
        if value.get("$patch") == "delete":
            return {}
        base = current if isinstance(current, dict) and value.get("$patch") != "replace" else {}
        return _merge_strategically(base, value)
    if isinstance(value, list):
        current = current if isinstance(current, list) else []
        if keys := merge_keys.keys_of_list(None, name, [*current, *value]):
            # Strategic merge patch identifies items by one field only.
            return _merge_items(keys[0], current, value)
        if merge_keys.is_set(None, name):
            return [*current, *(item for item in value if item not in current)]
    return value


def _merge_items(key: str, current: list[Any], patch: list[Any]) -> list[Any]:
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if "$patch" not in item]
    items = list(current)
    for change in patch:
        if not isinstance(change, dict) or key not in change:
            raise bad_request(f"map: {change} does not contain declared merge key: {key}")
        index = next((i for i, item in enumerate(items) if item.get(key) == change[key]), None)
        if change.get("$patch") == "delete":
            if index is not None:
                del items[index]
        elif index is None:
            items.append(_merge_strategically({}, change))
        else:
            items[index] = _merge_strategically(items[index], change)
    return items
