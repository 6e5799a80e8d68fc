"""Object metadata on create and on update: what the server sets, what clients may, and what is refused."""

import time
import uuid
from typing import Any

from . import names, status
from .encoding import JsonObject
from .resources import Resource
from .status import ApiError, FieldError, bad_request

_STRING_FIELDS = ("name", "generateName", "namespace", "uid", "resourceVersion")
_STRING_MAPS = ("labels", "annotations")
_SET_BY_SERVER = (
    *("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"),
    *("generation", "selfLink"),
)
_KNOWN = {
    *_STRING_FIELDS,
    *_STRING_MAPS,
    *_SET_BY_SERVER,
    *("finalizers", "ownerReferences", "managedFields"),
}
_OWNER_FIELDS = ("apiVersion", "kind", "name", "uid")


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def normalize(obj: JsonObject) -> list[str]:
    """Bring metadata into shape, in place; returns unknown fields. A 400 ApiError for wrong types."""
    metadata = obj.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise bad_request("json: cannot unmarshal into Go struct field .metadata of type v1.ObjectMeta")
    unknown = [name for name in metadata if name not in _KNOWN]
    for name in [name for name, value in metadata.items() if value is None or name not in _KNOWN]:
        del metadata[name]
    for name in _STRING_FIELDS:
        if name in metadata and not isinstance(metadata[name], str):
            raise _wrong_type(name, "string")
    for name in _STRING_MAPS:
        _normalize_map(metadata, name)
    for name in ("finalizers", "ownerReferences", "managedFields"):
        if not isinstance(metadata.get(name, []), list):
            raise _wrong_type(name, "array")
        if metadata.get(name) == []:
            del metadata[name]
    return [f"metadata.{name}" for name in unknown]


def _normalize_map(metadata: JsonObject, name: str) -> None:
    values = metadata.get(name)
    if values is None:
        return
    if not isinstance(values, dict):
        raise _wrong_type(name, "map[string]string")
    for key, value in list(values.items()):
        if value is None:
            values[key] = ""
        elif not isinstance(value, str):
            raise _wrong_type(name, "string")
    if not values:
        del metadata[name]


def _wrong_type(name: str, wanted: str) -> ApiError:
    return bad_request(f"json: cannot unmarshal into Go struct field ObjectMeta.metadata.{name} of type {wanted}")


def prepare_create(resource: Resource, obj: JsonObject, namespace: str) -> list[FieldError]:
    """Set what the server sets on a new object, in place; returns what is wrong with the rest."""
    metadata = obj["metadata"]
    if metadata.pop("resourceVersion", "") not in ("", "0"):
        raise bad_request("resourceVersion should not be set on objects to be created")
    for name in _SET_BY_SERVER:
        metadata.pop(name, None)
    check_namespace(resource, metadata, namespace)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = names.generate(metadata["generateName"])
    if not metadata.get("name"):
        return [status.required("metadata.name", "name or generateName is required")]
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = now()
    if resource.has_generation:
        metadata["generation"] = 1
    return [*_check_name(resource, metadata["name"]), *check(metadata)]


def check_namespace(resource: Resource, metadata: JsonObject, namespace: str) -> None:
    """The namespace of the body is that of the path, and absent where the kind has none."""
    if not resource.is_namespaced:
        metadata.pop("namespace", None)
    elif metadata.get("namespace") in (None, "", namespace):
        metadata["namespace"] = namespace
    else:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def _check_name(resource: Resource, name: str) -> list[FieldError]:
    match resource.name_rule:
        case "label":
            return names.check_dns_label("metadata.name", name)
        case "path":
            return names.check_path_segment("metadata.name", name)
        case _:
            return names.check_subdomain("metadata.name", name)


def check(metadata: JsonObject) -> list[FieldError]:
    """Labels, annotations, finalizers and owner references."""
    return [
        *names.check_labels("metadata.labels", metadata.get("labels", {})),
        *names.check_annotations("metadata.annotations", metadata.get("annotations", {})),
        *names.check_finalizers("metadata.finalizers", metadata.get("finalizers", [])),
        *_check_owners(metadata.get("ownerReferences", [])),
    ]


def _check_owners(references: list[Any]) -> list[FieldError]:
    errors = []
    for index, reference in enumerate(references):
        path = f"metadata.ownerReferences[{index}]"
        if not isinstance(reference, dict):
            raise _wrong_type("ownerReferences", "v1.OwnerReference")
        errors += [status.required(f"{path}.{name}") for name in _OWNER_FIELDS if not reference.get(name)]
    controllers = [reference for reference in references if reference.get("controller")]
    if len(controllers) > 1:
        detail = "Only one reference can have Controller set to true"
        errors.append(status.invalid_value("metadata.ownerReferences", references, detail))
    return errors


def prepare_update(metadata: JsonObject, old: JsonObject) -> list[FieldError]:
    """Carry over what clients cannot change, in place; returns what is wrong with the rest."""
    uid = metadata.get("uid", old["uid"])
    for name in _SET_BY_SERVER:
        metadata.pop(name, None)
        if name in old:
            metadata[name] = old[name]
    metadata["resourceVersion"] = old["resourceVersion"]
    if "generateName" in old:
        metadata["generateName"] = old["generateName"]
    errors = check(metadata)
    if uid != old["uid"]:
        errors.append(status.invalid_value("metadata.uid", uid, "field is immutable"))
    if "deletionTimestamp" in old:
        kept = old.get("finalizers", [])
        added = [finalizer for finalizer in metadata.get("finalizers", []) if finalizer not in kept]
        if added:
            shown = ", ".join(f'"{finalizer}"' for finalizer in added)
            detail = (
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{shown}}}"
            )
            errors.append(status.forbidden_field("metadata.finalizers", detail))
    return errors
