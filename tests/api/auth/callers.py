"""Calls as the gate sees them, and tokens as callers make them up."""

import base64
import json
from typing import Any

from multidict import CIMultiDict

from api.connect.methods import Context
from tests.api.harness import TENANT
from tests.controller.fakes import START

NOW = START.timestamp()


def call(token: str = "", tenant: str = TENANT, *, remote: str = "10.0.0.1") -> Context:
    headers = CIMultiDict({"Host": "localhost", "X-Tenant-Id": tenant})
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return Context(headers=headers, remote=remote)


def claims(**changes: Any) -> dict[str, Any]:
    """Those of a token for us that is good at `NOW`; a change to None takes one out."""
    found = {"iss": "https://issuer", "sub": "me", "aud": "jennah", "exp": NOW + 600, **changes}
    return {name: value for name, value in found.items() if value is not None}


def made_up(header: Any = None, payload: Any = None, **changes: Any) -> str:
    """A JWT whose signature is none."""
    parts = ({"alg": "RS256"} if header is None else header, claims(**changes) if payload is None else payload)
    return ".".join([*(base64url(json.dumps(part).encode()) for part in parts), base64url(b"signature")])


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
