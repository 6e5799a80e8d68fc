"""Who may call, as the environment says it."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from api.auth import tokens
from controller import proxies
from controller.domain.errors import ConfigError
from controller.variables import Environment

NONE: Final = "none"
KINDS: Final = ("token", "kubernetes", "oidc")


class OidcSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Whose JWTs are taken."""

    issuer: str
    """OIDC_ISSUER: its https URL, as the claim `iss` has it; http on this machine only."""
    audience: str
    """OIDC_AUDIENCE: what the claim `aud` must have."""
    tenant_claim: str = "tenants"
    """OIDC_TENANT_CLAIM: the claim that names the tenants, one or a list."""
    ca_file: Path | None = None
    """OIDC_CA_FILE: authorities that the issuer's certificate may be of; the system's by default."""


class AuthSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who may call."""

    kinds: tuple[str, ...] = ()
    """API_AUTH: a choice of `KINDS`; none of them: anybody."""
    tokens_file: Path | None = None
    """API_TOKENS_FILE: the hashes of tokens and their tenants; for the kind token."""
    audience_of_tokens: str = "jennah"
    """API_TOKEN_AUDIENCE: what tokens of the cluster must be made for; for the kind kubernetes."""
    oidc: OidcSettings | None = None
    """For the kind oidc."""


def read_auth(env: Environment) -> AuthSettings:
    """The part of the settings that says who may call; faults stay in `env`."""
    kinds = _kinds(env)
    return AuthSettings(
        kinds=kinds,
        tokens_file=_tokens_file(env) if "token" in kinds else None,
        audience_of_tokens=env.text("API_TOKEN_AUDIENCE", "jennah"),
        oidc=_oidc(env) if "oidc" in kinds else None,
    )


def _kinds(env: Environment) -> tuple[str, ...]:
    text = env.text("API_AUTH", NONE)
    kinds = tuple(dict.fromkeys(kind.strip() for kind in text.split(",") if kind.strip()))
    if kinds == (NONE,):
        return ()
    if not kinds or set(kinds) - set(KINDS):
        env.faults.append(f"API_AUTH={text!r} is neither {NONE} nor some of {', '.join(KINDS)} with commas between")
        return ()
    return kinds


def _tokens_file(env: Environment) -> Path | None:
    text = env.text("API_TOKENS_FILE")
    if not text:
        return None
    try:
        tokens.read(Path(text))
    except ConfigError as error:
        env.faults += error.faults
    return Path(text)


def _oidc(env: Environment) -> OidcSettings:
    issuer = env.text("OIDC_ISSUER")
    if issuer and not _is_issuer(issuer):
        env.faults.append(f"OIDC_ISSUER={issuer!r} is not the https URL of an issuer (http on this machine only)")
    ca_file = env.text("OIDC_CA_FILE", "")
    return OidcSettings(
        issuer=issuer,
        audience=env.text("OIDC_AUDIENCE"),
        tenant_claim=env.text("OIDC_TENANT_CLAIM", "tenants"),
        ca_file=Path(ca_file) if ca_file else None,
    )


def _is_issuer(url: str) -> bool:
    return is_safe(url) and not set("?#@") & set(url)


def is_safe(url: str) -> bool:
    """Whether that is an https URL, or an http URL of this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and proxies.is_loopback(host)))
