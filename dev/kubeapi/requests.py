"""What a request says beside its path: its body and the options in its query."""

from typing import Any

from aiohttp import web

from . import patches, protobuf_bodies, status
from .access.users import User
from .admission import WriteOptions
from .encoding import JsonObject, MalformedBody, decode_json, decode_yaml
from .patches import APPLY
from .status import bad_request

BODY_LIMIT = 3 * 1024 * 1024
_JSON, _YAML = "application/json", "application/yaml"
_PATCH_TYPES = (patches.JSON, patches.MERGE, patches.STRATEGIC, patches.APPLY)
_VALIDATIONS = ("Strict", "Warn", "Ignore")


def is_true(value: object) -> bool:
    """A boolean as Go's ParseBool reads it: the Python client writes True, kubectl true."""
    return value in (True, "1", "t", "T", "true", "TRUE", "True")


def media_type(request: web.BaseRequest) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower() or _JSON


async def read(request: web.BaseRequest) -> bytes:
    body = await request.content.read(BODY_LIMIT + 1) if request.body_exists else b""
    while body and len(body) <= BODY_LIMIT and (more := await request.content.read(BODY_LIMIT)):
        body += more
    if len(body) > BODY_LIMIT:
        raise status.too_large(BODY_LIMIT)
    return body


async def read_object(request: web.BaseRequest, expected_kind: str, duplicates: list[str] | None = None) -> JsonObject:
    """The body of a create or update: JSON, YAML, or Protobuf where that is known of the kind."""
    kind = media_type(request)
    accepted = [_JSON, _YAML, *([protobuf_bodies.MEDIA_TYPE] if protobuf_bodies.is_readable(expected_kind) else [])]
    if kind not in accepted:
        raise status.unsupported_media_type(accepted)
    body = await read(request)
    if kind == protobuf_bodies.MEDIA_TYPE:
        return _from_protobuf(body)
    return _object(_decode(body, kind == _YAML, duplicates))


async def read_patch(request: web.BaseRequest, duplicates: list[str] | None, *, strategic: bool) -> tuple[str, Any]:
    """(media type, parsed patch); CRs know no strategic merge patch."""
    kind = media_type(request)
    accepted = [known for known in _PATCH_TYPES if strategic or known != patches.STRATEGIC]
    if kind not in accepted:
        raise status.unsupported_media_type(accepted)
    body = _decode(await read(request), kind == APPLY, duplicates)
    return kind, _object(body) if kind == APPLY else body


async def read_delete_options(request: web.BaseRequest) -> JsonObject:
    body, kind = await read(request), media_type(request)
    if not body:
        return {}
    return _from_protobuf(body) if kind == protobuf_bodies.MEDIA_TYPE else _object(_decode(body, kind == _YAML, None))


def _from_protobuf(body: bytes) -> JsonObject:
    try:
        return protobuf_bodies.decode(body)
    except MalformedBody as e:
        raise bad_request(str(e)) from e


def _decode(body: bytes, may_be_yaml: bool, duplicates: list[str] | None) -> Any:
    try:
        # Reading JSON as YAML works, but takes a hundred times as long.
        if may_be_yaml and not body.lstrip().startswith(b"{"):
            return decode_yaml(body)
        return decode_json(body, duplicates=duplicates)
    except MalformedBody as e:
        raise bad_request(str(e)) from e


def _object(value: Any) -> JsonObject:
    if not isinstance(value, dict):
        raise bad_request("couldn't get version/kind; the body is not an object")
    return value


def write_options(query: dict[str, str], duplicates: list[str], user_agent: str, user: User) -> WriteOptions:
    validation = query.get("fieldValidation") or "Warn"
    if validation not in _VALIDATIONS:
        raise _invalid_option("fieldValidation", validation, _VALIDATIONS)
    if query.get("dryRun", "") not in ("", "All"):
        raise _invalid_option("dryRun", query["dryRun"], ("All",))
    return WriteOptions(
        dry_run=query.get("dryRun") == "All",
        field_validation=validation,
        manager=query.get("fieldManager") or user_agent.partition("/")[0] or "unknown",
        force=is_true(query.get("force")),
        duplicates=tuple(duplicates),
        user=user,
    )


def _invalid_option(name: str, value: str, supported: tuple[str, ...]) -> status.ApiError:
    error = status.not_supported(name, value, supported)
    return status.invalid("Options", "meta.k8s.io", "", [error])
