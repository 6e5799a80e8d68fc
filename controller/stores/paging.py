"""Page tokens: where the last page ended, opaque to the caller.

A token names the last row, not a count of rows: pages stay stable while jobs are added in front of them.
"""

import base64
import binascii
from datetime import UTC, datetime

import msgspec

from controller.domain.errors import Invalid


class Position(msgspec.Struct, frozen=True, array_like=True):
    """The sort key of a page's last job."""

    created_at: datetime
    job_id: str


_POSITIONS = msgspec.json.Decoder(Position)  # made here: see `domain.job`, stores may read on threads


def encode(position: Position) -> str:
    """The token, safe in a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode("ascii").rstrip("=")


def decode(token: str) -> Position:
    """The inverse of `encode`. Raises Invalid for what is no token of ours."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        position = _POSITIONS.decode(raw)
        if position.created_at.tzinfo is None:
            raise ValueError("a time without its zone")
        # Forged tokens may name times that have no counterpart in UTC.
        return Position(created_at=position.created_at.astimezone(UTC), job_id=position.job_id)
    except (ValueError, OverflowError, binascii.Error, msgspec.MsgspecError) as error:
        raise Invalid("page_token is not a token of an earlier page") from error
