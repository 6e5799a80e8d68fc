"""What a body must be before it is stored: its type, its shape, its identity, its schema."""

from dataclasses import dataclass

from . import decoding, metadata, schema, status
from .access.users import ADMIN, User
from .encoding import JsonObject
from .objects import Stored
from .resources import Resource
from .status import FieldError, bad_request

_MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


@dataclass(frozen=True, kw_only=True)
class WriteOptions:
    dry_run: bool = False
    field_validation: str = "Warn"
    """Strict, Warn or Ignore."""
    manager: str = "unknown"
    force: bool = False
    """Whether an apply takes over fields of other managers."""
    duplicates: tuple[str, ...] = ()
    """Fields that occurred twice in the body."""
    user: User = ADMIN
    """Who writes."""


def check_type(resource: Resource, obj: JsonObject, stored_version: str = "") -> None:
    """apiVersion and kind are those of the path; built-in kinds may leave them out."""
    kind, api_version = obj.get("kind"), obj.get("apiVersion")
    if not resource.is_custom:
        if kind not in (None, "", resource.kind) or api_version not in (None, "", resource.api_version):
            message = f'{kind} in version "{api_version}" cannot be handled as a {resource.kind}'
            raise bad_request(f"{message}: no kind matches the path")
        obj["kind"], obj["apiVersion"] = resource.kind, resource.api_version
        return
    if not kind or not api_version:
        raise bad_request(f"Object '{'apiVersion' if kind else 'Kind'}' is missing in the body")
    errors = []
    if kind != resource.kind:
        errors.append(status.invalid_value("kind", kind, f"must be {resource.kind}"))
    if api_version not in (resource.api_version, stored_version):
        errors.append(status.invalid_value("apiVersion", api_version, f"must be {resource.api_version}"))
    if errors:
        given = obj.get("metadata")
        name = given.get("name", "") if isinstance(given, dict) else ""
        raise status.invalid(resource.kind, resource.group, name, errors)
    obj["apiVersion"] = resource.api_version


def shape(
    resource: Resource,
    obj: JsonObject,
    unknown: list[str],
    options: WriteOptions,
    *,
    with_defaults: bool = True,
) -> list[str]:
    """Prune and default, in place; returns warnings, or refuses what Strict refuses."""
    if resource.validator is not None:
        unknown = unknown + schema.prune(resource.validator.node, obj)
        if with_defaults:
            schema.fill_defaults(resource.validator.node, obj)
    elif not resource.is_custom:
        unknown = unknown + decoding.decode(resource, obj)
    problems = [f'unknown field "{path}"' for path in unknown]
    problems += [f'duplicate field "{name}"' for name in options.duplicates]
    if problems and options.field_validation == "Strict":
        message = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}'
        raise bad_request(f"{message}: strict decoding error: {', '.join(problems)}")
    return problems if options.field_validation == "Warn" else []


def schema_errors(resource: Resource, obj: JsonObject, old: JsonObject | None) -> list[FieldError]:
    if resource.validator:
        return resource.validator.errors(obj, old)
    # What was missing before does not stop other changes (and objects of an older server stay as they are).
    before = decoding.missing(resource, old) if old is not None else []
    return [error for error in decoding.missing(resource, obj) if error not in before]


def check_name(obj: JsonObject, name: str) -> None:
    given = obj["metadata"].get("name", "")
    if given != name:
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")


def check_identity(resource: Resource, old: Stored, obj: JsonObject) -> None:
    """Name and namespace are those of the path, and the resourceVersion, where given, is the newest."""
    given = obj["metadata"]
    check_name(obj, old.name)
    metadata.check_namespace(resource, given, old.key[0])
    if given.get("resourceVersion", "") not in ("", "0", str(old.version)):
        raise status.conflict(resource.plural, resource.group, old.name, _MODIFIED)


def check_uid(obj: JsonObject, old: Stored) -> list[FieldError]:
    uid = obj["metadata"].get("uid", old.uid)
    return [] if uid == old.uid else [status.invalid_value("metadata.uid", uid, "field is immutable")]
