"""TLS on the API's port (API_TLS_CERT_FILE, API_TLS_KEY_FILE). Renewed files are taken up by the next connection."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from api.reloading import Reloaded
from controller.domain.errors import ConfigError
from controller.ports import Clock

CERT_VARIABLE: Final = "API_TLS_CERT_FILE"
KEY_VARIABLE: Final = "API_TLS_KEY_FILE"


def server_context(cert_file: Path, key_file: Path, clock: Clock, failing: Callable[[int], None]) -> ssl.SSLContext:
    """For a listening socket; `failing` as `Reloaded` has it.

    Raises ConfigError where the two files are no certificate and its key.
    """
    paths = (cert_file, key_file)
    newest = Reloaded(CERT_VARIABLE, paths, lambda: read(*paths), clock=clock, failing=failing)
    context = read(cert_file, key_file)

    def take_newest(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = newest.get()

    context.sni_callback = take_newest  # called for each connection, also for one that names no server
    return context


def read(cert_file: Path, key_file: Path) -> ssl.SSLContext:
    """A context with that certificate. Raises ConfigError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert_file, key_file, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        text = f"{CERT_VARIABLE}={str(cert_file)!r} and {KEY_VARIABLE}={str(key_file)!r} are no certificate and its key"
        raise ConfigError([f"{text} ({reason})"]) from None
    return context


def _no_password() -> str:
    """In place of OpenSSL's question on the terminal."""
    raise ValueError("the key is encrypted")
