"""What kube-apiserver asks of the values of Leases, Events and Secrets. Called by kind_rules.py.

Sources: pkg/apis/coordination/validation, and pkg/apis/core/validation (events.go; ValidateSecret and its update).
"""

import base64
import re
from typing import Any

from . import status
from .encoding import JsonObject
from .status import FieldError, bad_request

MAX_SECRET_BYTES = 1024 * 1024
_MAX_KEY = 253

_micro_time = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")
_key = re.compile(r"[-._a-zA-Z0-9]+")

_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  "
    "or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_MORE_THAN_0, _NOT_NEGATIVE = "must be greater than 0", "must be greater than or equal to 0"
_IMMUTABLE = "field is immutable when `immutable` is set"


def lease(obj: JsonObject) -> list[FieldError]:
    spec: JsonObject = obj.get("spec") or {}
    for name in ("acquireTime", "renewTime"):
        if name in spec and not _micro_time.fullmatch(spec[name]):
            layout = '"2006-01-02T15:04:05.000000Z07:00"'
            message = f'parsing time "{spec[name]}" as {layout}: cannot parse "{spec[name]}"'
            raise bad_request(f'Lease in version "v1" cannot be handled as a Lease: {message}')
    errors = []
    if spec.get("leaseDurationSeconds", 1) <= 0:
        errors.append(status.invalid_value("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], _MORE_THAN_0))
    if spec.get("leaseTransitions", 0) < 0:
        errors.append(status.invalid_value("spec.leaseTransitions", spec["leaseTransitions"], _NOT_NEGATIVE))
    if spec.get("preferredHolder") and not spec.get("strategy"):
        errors.append(status.forbidden_field("spec.preferredHolder", "may only be specified if `strategy` is defined"))
    return errors


def core_event(obj: JsonObject) -> list[FieldError]:
    """Of v1, written the old way, without eventTime: its namespace is that of what it is about."""
    about: str = (obj.get("involvedObject") or {}).get("namespace") or ""
    own = obj["metadata"].get("namespace", "")
    if obj.get("eventTime") or own == about or (not about and own == "default"):
        return []
    return [status.invalid_value("involvedObject.namespace", about, "does not match event.namespace")]


def secret(obj: JsonObject, old: JsonObject | None) -> list[FieldError]:
    """After stringData has become data."""
    data: dict[str, Any] = obj.get("data") or {}
    errors = [error for key in data for error in _check_key(key)]
    if sum(len(base64.b64decode(value or "")) for value in data.values()) > MAX_SECRET_BYTES:
        errors.append(status.too_long("data", MAX_SECRET_BYTES))
    if old is not None and old.get("immutable"):
        if not obj.get("immutable"):
            errors.append(status.forbidden_field("immutable", _IMMUTABLE))
        if data != (old.get("data") or {}):
            errors.append(status.forbidden_field("data", _IMMUTABLE))
    return errors


def _check_key(key: str) -> list[FieldError]:
    field = f"data[{key}]"
    if len(key) > _MAX_KEY:
        return [status.invalid_value(field, key, f"must be no more than {_MAX_KEY} bytes")]
    if not _key.fullmatch(key):
        return [status.invalid_value(field, key, _KEY_RULE)]
    if key == "." or key.startswith(".."):
        return [status.invalid_value(field, key, "must not be '.' and not start with '..'")]
    return []
