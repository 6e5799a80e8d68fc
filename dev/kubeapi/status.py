"""Status objects: every failure the server answers with, worded as kube-apiserver words it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .encoding import JsonObject, encode


class ApiError(Exception):
    """A failure that becomes the response: HTTP code, Kubernetes reason, message, details."""

    def __init__(self, code: int, reason: str, message: str, details: JsonObject | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def body(self) -> JsonObject:
        status: JsonObject = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if self.details is not None:
            status["details"] = self.details
        return {**status, "code": self.code}


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field; `field` reads like spec.env[0].name."""

    field: str
    reason: str
    message: str

    def cause(self) -> JsonObject:
        return {"reason": self.reason, "message": self.message, "field": self.field}

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def required(field: str, detail: str = "") -> FieldError:
    return FieldError(field, "FieldValueRequired", f"Required value: {detail}" if detail else "Required value")


def invalid_value(field: str, value: Any, detail: str, reason: str = "FieldValueInvalid") -> FieldError:
    # kube-apiserver shows the type's name where the value is not a scalar.
    shown = '"object"' if isinstance(value, dict) else '"array"' if isinstance(value, list) else encode(value).decode()
    return FieldError(field, reason, f"Invalid value: {shown}: {detail}")


def not_supported(field: str, value: Any, supported: Iterable[Any]) -> FieldError:
    choices = ", ".join(encode(choice).decode() for choice in supported)
    message = f"Unsupported value: {encode(value).decode()}: supported values: {choices}"
    return FieldError(field, "FieldValueNotSupported", message)


def forbidden_field(field: str, detail: str) -> FieldError:
    return FieldError(field, "FieldValueForbidden", f"Forbidden: {detail}")


def duplicate_value(field: str, value: Any) -> FieldError:
    return FieldError(field, "FieldValueDuplicate", f"Duplicate value: {encode(value).decode()}")


def too_long(field: str, limit: int, unit: str = "bytes") -> FieldError:
    return FieldError(field, "FieldValueTooLong", f"Too long: may not be more than {limit} {unit}")


def too_many(field: str, actual: int, limit: int) -> FieldError:
    return FieldError(field, "FieldValueTooMany", f"Too many: {actual}: must have at most {_count(limit, 'item')}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def qualified(name: str, group: str) -> str:
    """widgets.example.com, or just secrets for the core group."""
    return f"{name}.{group}" if group else name


def _details(name: str, group: str, kind: str) -> JsonObject:
    fields = {"name": name, "group": group, "kind": kind}
    return {field: value for field, value in fields.items() if value}


def not_found(plural: str, group: str, name: str) -> ApiError:
    message = f'{qualified(plural, group)} "{name}" not found'
    return ApiError(404, "NotFound", message, _details(name, group, plural))


def no_such_resource() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


class NoSuchPage(ApiError):
    """A path that no part of the server knows: the answer is no Status but plain text."""

    def __init__(self) -> None:
        super().__init__(404, "NotFound", "404 page not found")


def initializing() -> ApiError:
    details = {"retryAfterSeconds": 1}
    return ApiError(429, "TooManyRequests", "storage is (re)initializing", details)


def already_exists(plural: str, group: str, name: str) -> ApiError:
    message = f'{qualified(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(name, group, plural))


def conflict(plural: str, group: str, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(name, group, plural))


def invalid(kind: str, group: str, name: str, errors: Sequence[FieldError]) -> ApiError:
    text = str(errors[0]) if len(errors) == 1 else f"[{', '.join(map(str, errors))}]"
    message = f'{qualified(kind, group)} "{name}" is invalid: {text}'
    details = _details(name, group, kind) | {"causes": [error.cause() for error in errors]}
    return ApiError(422, "Invalid", message, details)


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(plural: str, group: str, name: str, why: str) -> ApiError:
    what = f'{qualified(plural, group)} "{name}"' if name else qualified(plural, group)
    return ApiError(403, "Forbidden", f"{what} is forbidden: {why}", _details(name, group, plural))


def not_authorized(group: str, plural: str, name: str, why: str) -> ApiError:
    """What authorization refuses, also where no resource is asked for (`plural` is empty)."""
    if not plural:
        return ApiError(403, "Forbidden", f"forbidden: {why}", {})
    return forbidden(plural, group, name, why)


def expired(message: str) -> ApiError:
    return ApiError(410, "Expired", message)


def method_not_allowed(why: str = "the server does not allow this method on the requested resource") -> ApiError:
    return ApiError(405, "MethodNotAllowed", why, {})


def unsupported_media_type(accepted: Iterable[str]) -> ApiError:
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return ApiError(415, "UnsupportedMediaType", message)


def too_large(limit: int) -> ApiError:
    message = f"Request entity too large: limit is {limit}"
    return ApiError(413, "RequestEntityTooLarge", message, {})


def success(name: str, group: str, plural: str, uid: str) -> JsonObject:
    """What a deletion that is done answers with."""
    details = _details(name, group, plural) | {"uid": uid}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
