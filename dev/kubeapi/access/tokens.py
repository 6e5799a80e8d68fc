"""Tokens of service accounts: signed JWTs, as the TokenRequest API makes them.

They are signed with a key of the server's directory (HS256 where the real server has RS256) and hold as long as the
service account lives: one that is made anew under its name has another uid.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
import uuid
from pathlib import Path
from typing import Any

from .. import status
from ..encoding import JsonObject, encode
from ..objects import Stored
from ..status import ApiError
from ..store import Store
from .users import User, service_account

ISSUER = "https://kubernetes.default.svc.cluster.local"
_CLAIM = "kubernetes.io"
_HEADER = {"alg": "HS256", "typ": "JWT"}
_DEFAULT_SECONDS, _SHORTEST_SECONDS, _LONGEST_SECONDS = 3600, 600, 1 << 32


class ServiceAccountTokens:
    def __init__(self, store: Store, key_file: Path) -> None:
        self._store = store
        self._key = _kept_key(key_file)

    def request(self, account: Stored, request: JsonObject) -> JsonObject:
        """The TokenRequest with its status. Raises ApiError 422 for a time that is too short or too long."""
        given = request.get("spec")
        spec: JsonObject = given if isinstance(given, dict) else {}
        seconds = spec.get("expirationSeconds") or _DEFAULT_SECONDS
        audiences = spec.get("audiences") or [ISSUER]
        _check(account.name, seconds)
        issued = int(time.time())
        namespace, name = account.key
        claims = {
            "iss": ISSUER,
            "sub": f"system:serviceaccount:{namespace}:{name}",
            "aud": audiences,
            "iat": issued,
            "nbf": issued,
            "exp": issued + seconds,
            "jti": str(uuid.uuid4()),
            _CLAIM: {"namespace": namespace, "serviceaccount": {"name": name, "uid": account.uid}},
        }
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(issued + seconds))
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {**spec, "audiences": audiences, "expirationSeconds": seconds},
            "status": {"token": self._sign(claims), "expirationTimestamp": expires},
        }

    def user_of(self, token: str, audiences: list[str]) -> User | None:
        """Whose token it is, for one of `audiences`; None where it is nobody's, any more or yet."""
        claims = self._claims(token)
        if claims is None or not claims["nbf"] <= time.time() < claims["exp"]:
            return None
        if not set(claims["aud"]) & set(audiences):
            return None
        bound = claims[_CLAIM]
        namespace, account = bound["namespace"], bound["serviceaccount"]
        stored = self._store.get("serviceaccounts", (namespace, account["name"]))
        if stored is None or stored.uid != account["uid"]:
            return None
        return service_account(namespace, account["name"], uid=account["uid"], token_id=claims["jti"])

    def _sign(self, claims: JsonObject) -> str:
        signed = f"{_base64(encode(_HEADER))}.{_base64(encode(claims))}"
        return f"{signed}.{self._signature(signed)}"

    def _claims(self, token: str) -> Any:
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            return None
        payload = signed.partition(".")[2]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))

    def _signature(self, signed: str) -> str:
        return _base64(hmac.digest(self._key, signed.encode(), hashlib.sha256))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _kept_key(path: Path) -> bytes:
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(32))
    return path.read_bytes()


def _check(name: str, seconds: Any) -> None:
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise _invalid(name, seconds, "must be an integer")
    if seconds < _SHORTEST_SECONDS:
        raise _invalid(name, seconds, "may not specify a duration less than 10 minutes")
    if seconds > _LONGEST_SECONDS:
        raise _invalid(name, seconds, "may not specify a duration larger than 2^32 seconds")


def _invalid(name: str, seconds: Any, detail: str) -> ApiError:
    error = status.invalid_value("spec.expirationSeconds", seconds, detail)
    return status.invalid("TokenRequest", "authentication.k8s.io", name, [error])
