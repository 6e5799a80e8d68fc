"""OpenAPI v3: enough for kubectl explain and for kubectl to leave field validation to the server."""

from typing import Any

from . import built_in_types, patches, status
from .encoding import JsonObject
from .resources import Registry, Resource

_PARAMETERS = [
    {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
    for name in ("dryRun", "fieldManager", "fieldValidation")
]
_METADATA = {
    "type": "object",
    "description": "Standard object's metadata.",
    "properties": {
        "name": {"type": "string"},
        "namespace": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
        "finalizers": {"type": "array", "items": {"type": "string"}},
        "uid": {"type": "string"},
        "resourceVersion": {"type": "string"},
        "generation": {"type": "integer"},
        "creationTimestamp": {"type": "string"},
        "deletionTimestamp": {"type": "string"},
    },
}
_TYPE_FIELDS = {
    "apiVersion": {"type": "string", "description": "The versioned schema of this representation."},
    "kind": {"type": "string", "description": "The REST resource this object represents."},
}


def index(registry: Registry) -> JsonObject:
    """Where the document of each group version is."""
    bases = sorted({resource.base_path for resource in registry})
    return {"paths": {base.strip("/"): {"serverRelativeURL": f"/openapi/v3{base}"} for base in bases}}


def document(registry: Registry, base_path: str) -> JsonObject:
    found = [resource for resource in registry if resource.base_path == base_path]
    if not found:
        raise status.no_such_resource()
    paths: JsonObject = {}
    for resource in found:
        paths |= _paths(resource)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1"},
        "paths": paths,
        "components": {"schemas": _schemas(found)},
    }


def _schemas(found: list[Resource]) -> JsonObject:
    schemas: JsonObject = {}
    for resource in found:
        model = "" if resource.is_custom else built_in_types.model_of(resource)
        if model:
            built_in_types.openapi(model, schemas)
            schema = {**schemas[model], "x-kubernetes-group-version-kind": [_kind(resource)]}
            schemas[_schema_name(resource)] = schema
        else:
            schemas[_schema_name(resource)] = _schema(resource)
    return schemas


def _schema_name(resource: Resource) -> str:
    reverse_group = ".".join(reversed(resource.group.split("."))) if resource.group else "core"
    return f"{reverse_group}.{resource.version}.{resource.kind}"


def _schema(resource: Resource) -> JsonObject:
    schema: JsonObject = _without_rules(resource.openapi or {"type": "object"})
    properties = {**schema.get("properties", {}), **_TYPE_FIELDS, "metadata": _METADATA}
    return {**schema, "properties": properties, "x-kubernetes-group-version-kind": [_kind(resource)]}


def _without_rules(schema: Any) -> Any:
    # The schema goes out as the CRD has it; only CEL's rules are of no use to clients.
    if isinstance(schema, dict):
        return {name: _without_rules(v) for name, v in schema.items() if name != "x-kubernetes-validations"}
    return schema


def _kind(resource: Resource) -> JsonObject:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _paths(resource: Resource) -> JsonObject:
    namespaced = "/namespaces/{namespace}" if resource.is_namespaced else ""
    collection = f"{resource.base_path}{namespaced}/{resource.plural}"
    if resource.is_review:
        return {collection: {"post": _operation(resource, "post")}}
    single = {verb: _operation(resource, verb) for verb in ("get", "put", "patch", "delete")}
    return {
        collection: {"get": _operation(resource, "list"), "post": _operation(resource, "post")},
        f"{collection}/{{name}}": single,
    }


def _operation(resource: Resource, action: str) -> JsonObject:
    operation: JsonObject = {
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _kind(resource),
        "parameters": _PARAMETERS,
        "responses": {"200": {"description": "OK"}},
    }
    if action == "patch":
        # Without strategic merge here kubectl uses the merge keys it has built in, as it should: the schemas
        # here have none.
        types = (patches.APPLY, patches.JSON, patches.MERGE)
        operation["requestBody"] = {"content": {media_type: {"schema": {}} for media_type in types}}
    return operation
