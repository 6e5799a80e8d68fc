"""API_AUTH=oidc: JWTs of an OpenID Connect issuer, whose claim names the caller's tenants. Needs the extra ``oidc``.

The claim is a tenant or a list of tenants. It never means all tenants: who manages accounts at an issuer should not
be able to give that away.
"""

import ssl
from pathlib import Path
from typing import Any, Final

import jwt

from api.auth import jwts
from api.auth.jwks import ALGORITHMS, IssuerKeys
from api.auth.principal import Named, Principal
from api.auth.settings import OidcSettings
from controller.domain.errors import ConfigError
from controller.ports import Clock

KIND: Final = "oidc"

_OPTIONS: Final[Any] = {
    "require": ["iss", "aud", "exp", "sub"],
    # Times are judged by our clock, in `jwts`.
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "enforce_minimum_key_length": True,
}


class OidcTokens:
    """The tokens of one issuer."""

    def __init__(self, settings: OidcSettings, clock: Clock) -> None:
        """Raises ConfigError for a file of authorities that is none."""
        self._settings = settings
        self._clock = clock
        self._keys = IssuerKeys(settings.issuer, clock, _trusting(settings.ca_file))

    async def identify(self, token: str, remote: str) -> Named | None:
        claims = jwts.claims(token)
        if claims is None or claims.get("iss") != self._settings.issuer:
            return None
        if not jwts.may_be_good(claims, self._settings.audience, self._clock.now()):
            return None
        try:
            key = await self._keys.find(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                return None
            verified = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                options=_OPTIONS,
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            return None
        subject = verified["sub"]
        return Named(Principal(KIND, subject), _tenants(verified.get(self._settings.tenant_claim))) if subject else None

    async def close(self) -> None:
        await self._keys.close()


def _tenants(claim: object) -> frozenset[str]:
    """What is no tenant, such as ``*``, is no tenant of any call either."""
    listed = claim if isinstance(claim, list) else [claim]
    return frozenset(each for each in listed if isinstance(each, str))


def _trusting(ca_file: Path | None) -> ssl.SSLContext | None:
    if ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError([f"OIDC_CA_FILE={str(ca_file)!r} has no certificates ({type(error).__name__})"]) from None
