"""The rules for object names, label and annotation keys, label values and finalizers."""

import re
import secrets
from collections.abc import Mapping
from typing import Any

from . import status
from .status import FieldError

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_dns_label = re.compile(_LABEL)
_dns_subdomain = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_name_part = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_label_value = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")

ANNOTATIONS_LIMIT = 256 * 1024

_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
    "end with an alphanumeric character (e.g. 'my-name', or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
    "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_QUALIFIED_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)

# What generateName appends: no vowels, so that no words come out.
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5


def generate(prefix: str) -> str:
    kept = prefix[: 63 - _SUFFIX_LENGTH]
    return kept + "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(_SUFFIX_LENGTH))


def is_dns_subdomain(name: str) -> bool:
    return len(name) <= 253 and _dns_subdomain.fullmatch(name) is not None


def check_subdomain(field: str, name: str) -> list[FieldError]:
    if len(name) > 253:
        return [status.invalid_value(field, name, "must be no more than 253 bytes")]
    return [] if _dns_subdomain.fullmatch(name) else [status.invalid_value(field, name, _SUBDOMAIN_RULE)]


def check_dns_label(field: str, name: str) -> list[FieldError]:
    if len(name) > 63:
        return [status.invalid_value(field, name, "must be no more than 63 bytes")]
    return [] if _dns_label.fullmatch(name) else [status.invalid_value(field, name, _LABEL_RULE)]


def check_path_segment(field: str, name: str) -> list[FieldError]:
    """RBAC names: anything that fits into a URL path segment."""
    if name in (".", ".."):
        return [status.invalid_value(field, name, f"may not be '{name}'")]
    return [status.invalid_value(field, name, f"may not contain '{mark}'") for mark in ("/", "%") if mark in name]


def is_qualified_name(name: str) -> bool:
    """Whether this is [prefix/]name as label keys, annotation keys and finalizers are."""
    prefix, slash, part = name.rpartition("/")
    if slash and not is_dns_subdomain(prefix):
        return False
    return len(part) <= 63 and _name_part.fullmatch(part) is not None


def is_label_value(value: str) -> bool:
    return len(value) <= 63 and _label_value.fullmatch(value) is not None


def check_labels(field: str, labels: Mapping[str, str]) -> list[FieldError]:
    errors = []
    for key, value in labels.items():
        if not is_qualified_name(key):
            errors.append(status.invalid_value(field, key, _QUALIFIED_RULE))
        if len(value) > 63:
            errors.append(status.invalid_value(field, value, "must be no more than 63 bytes"))
        elif not is_label_value(value):
            errors.append(status.invalid_value(field, value, _VALUE_RULE))
    return errors


def check_annotations(field: str, annotations: Mapping[str, str]) -> list[FieldError]:
    errors = [
        status.invalid_value(field, key, _QUALIFIED_RULE) for key in annotations if not is_qualified_name(key.lower())
    ]
    if sum(len(key) + len(value) for key, value in annotations.items()) > ANNOTATIONS_LIMIT:
        errors.append(status.too_long(field, ANNOTATIONS_LIMIT))
    return errors


def check_finalizers(field: str, finalizers: list[Any]) -> list[FieldError]:
    return [
        status.invalid_value(field, finalizer, _QUALIFIED_RULE)
        for finalizer in finalizers
        if not (isinstance(finalizer, str) and is_qualified_name(finalizer))
    ]
