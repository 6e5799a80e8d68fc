"""The string formats that kube-apiserver checks in a CRD's schema; it ignores all others, and so do we."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date, datetime
from urllib.parse import urlsplit

_uuid = re.compile(r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
_hostname = re.compile(r"(?i)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*\.?")
_duration = re.compile(r"[+-]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w))+)")
_rfc3339 = re.compile(r"(?i)\d{4}-\d\d-\d\dt\d\d:\d\d:\d\d(\.\d+)?(z|[+-]\d\d:\d\d)")
_email = re.compile(r"[^@\s]+@[^@\s]+")


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except (ValueError, binascii.Error):
            return False
        return True

    return check


def _is_date_time(text: str) -> bool:
    # fromisoformat alone also takes weeks, ordinals and times without a zone.
    return _rfc3339.fullmatch(text) is not None and _parses(datetime.fromisoformat)(text.upper())


def _is_date(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d\d-\d\d", text) is not None and _parses(date.fromisoformat)(text)


def _is_uri(text: str) -> bool:
    return bool(text) and _parses(urlsplit)(text) and (bool(urlsplit(text).scheme) or text.startswith("/"))


CHECKS: dict[str, Callable[[str], bool]] = {
    "byte": _parses(lambda text: base64.b64decode(text, validate=True)),
    "cidr": _parses(lambda text: ipaddress.ip_network(text, strict=False)),
    "date": _is_date,
    "date-time": _is_date_time,
    "datetime": _is_date_time,
    "duration": lambda text: _duration.fullmatch(text) is not None,
    "email": lambda text: _email.fullmatch(text) is not None,
    "hostname": lambda text: len(text) <= 253 and _hostname.fullmatch(text) is not None,
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "uri": _is_uri,
    "uuid": lambda text: _uuid.fullmatch(text) is not None,
}
