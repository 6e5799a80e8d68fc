"""gzip both ways, and a limit that holds while a body inflates: a gzip bomb never gets big."""

import gzip
import zlib
from typing import Final

from api.connect.errors import Code, ConnectError

GZIP: Final = "gzip"
IDENTITY: Final = "identity"
ACCEPTED: Final = GZIP
"""What our Accept-Encoding says; identity goes without saying."""

_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_OVERHEAD = 64 * 1024  # what gzip may add to a body that does not compress
_FAST = 1  # a third of the time of zlib's default, for a few per cent more bytes


class Body:
    """A request's body as it comes in: inflated piece by piece, never over the limit."""

    def __init__(self, encoding: str, limit: int) -> None:
        """Raises ConnectError unimplemented for an encoding that we do not know."""
        encoding = encoding.strip().lower()
        if encoding not in ("", IDENTITY, GZIP):
            raise ConnectError(
                Code.UNIMPLEMENTED,
                f"unknown compression {encoding[:64]!r}: supported encodings are {GZIP} and {IDENTITY}",
            )
        self._limit = limit
        self._most = limit if encoding != GZIP else limit + _OVERHEAD
        self._inflater = zlib.decompressobj(_GZIP_WINDOW) if encoding == GZIP else None
        self._data = bytearray()
        self._received = 0

    def expect(self, size: int) -> None:
        """Refuse a body by its announced size, before any of it is read. Raises ConnectError resource_exhausted."""
        if size > self._most:
            raise _too_large(self._limit)

    def feed(self, chunk: bytes) -> None:
        """Raises ConnectError: resource_exhausted over the limit, invalid_argument for what is no gzip."""
        self._received += len(chunk)
        self.expect(self._received)  # gzip members that inflate to nothing could go on for ever
        if self._inflater is None:
            self._append(chunk)
            return
        try:
            while chunk:
                chunk = self._inflate(chunk)
        except zlib.error:
            raise ConnectError(Code.INVALID_ARGUMENT, "malformed body: it is not gzip") from None

    def finish(self) -> bytes:
        """The whole body. Raises ConnectError invalid_argument for gzip that stops in the middle."""
        if self._inflater is not None and not self._inflater.eof and self._received:
            raise ConnectError(Code.INVALID_ARGUMENT, "malformed body: the gzip stream is cut short")
        return bytes(self._data)

    def _inflate(self, chunk: bytes) -> bytes:
        """Take in as much as may come out; what is left of the chunk. One byte over the limit is enough to know."""
        assert self._inflater is not None
        if self._inflater.eof:  # a gzip file may have several members
            self._inflater = zlib.decompressobj(_GZIP_WINDOW)
        self._append(self._inflater.decompress(chunk, self._limit - len(self._data) + 1))
        return self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail

    def _append(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > self._limit:
            raise _too_large(self._limit)


def _too_large(limit: int) -> ConnectError:
    return ConnectError(Code.RESOURCE_EXHAUSTED, f"the request is larger than the limit of {limit} bytes")


def compress(data: bytes) -> bytes:
    return gzip.compress(data, _FAST, mtime=0)


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether that Accept-Encoding header takes gzip: named (or ``*``), and not with a weight of 0."""
    weights: dict[str, bool] = {}
    for item in accept_encoding.lower().split(","):
        name, _, parameter = (part.strip() for part in item.partition(";"))
        weights[name] = parameter.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return weights.get(GZIP, weights.get("*", False))
