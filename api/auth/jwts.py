"""What a JWT says before anybody has looked at its signature: enough to refuse what cannot be good.

Nothing that is read here proves anything. It keeps made-up tokens from costing a call to Kubernetes or to an issuer.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

SKEW_SECONDS: Final = 60.0
"""How far the issuer's clock and ours may differ."""

_SHAPE = re.compile(r"([\w-]+)\.([\w-]+)\.[\w-]+", re.ASCII)

Claims = Mapping[str, Any]


def claims(token: str) -> Claims | None:
    """The payload of that JWT; None for what is no JWT."""
    parts = _SHAPE.fullmatch(token)
    if parts is None:
        return None
    header, payload = (_object(part) for part in parts.groups())
    return payload if header is not None and isinstance(header.get("alg"), str) else None


def may_be_good(found: Claims, audience: str, now: datetime) -> bool:
    """Whether the token is meant for that audience, and for this time. One that never ends is not taken."""
    given = found.get("aud")
    audiences = given if isinstance(given, list) else [given]
    if audience not in audiences:
        return False
    at, end, begin = now.timestamp(), _seconds(found.get("exp")), _seconds(found.get("nbf", 0))
    return end is not None and begin is not None and begin - SKEW_SECONDS <= at < end + SKEW_SECONDS


def _seconds(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _object(part: str) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    return found if isinstance(found, dict) else None
