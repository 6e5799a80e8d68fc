"""The shared key: a request is signed with the account's key over its method, headers and address."""

import base64
import hashlib
import hmac
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

ACCOUNT = "jennah"
KEY = base64.b64encode(b"a key for the stand-in").decode()

_SIGNED = (
    *("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date"),
    *("if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"),
)


def refusal(request: web.Request) -> tuple[int, str] | None:
    """Status and code for a request that is not signed with the account's key, or None."""
    scheme, _, claim = request.headers.get("Authorization", "").partition(" ")
    account, _, signature = claim.partition(":")
    if scheme != "SharedKey" or not signature:
        return 401, "InvalidAuthenticationInfo"
    if account != ACCOUNT or not hmac.compare_digest(signature, _signature(request)):
        return 403, "AuthenticationFailed"
    return None


def _signature(request: web.Request) -> str:
    headers = {name.lower(): text for name, text in request.headers.items()}
    if request.method not in ("GET", "HEAD"):
        headers.setdefault("content-length", "0")
    lines = [request.method, *(headers.get(name, "") for name in _SIGNED)]
    lines += sorted(f"{name}:{text}" for name, text in headers.items() if name.startswith("ocp-"))
    url = urlsplit(request.raw_path)
    lines.append(f"/{ACCOUNT}{url.path}")
    lines += [f"{name}:{texts[0]}" for name, texts in sorted(parse_qs(url.query).items())]
    digest = hmac.new(base64.b64decode(KEY), "\n".join(lines).encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()
