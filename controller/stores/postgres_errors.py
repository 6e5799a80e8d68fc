"""PostgreSQL's errors as ours: pure. The messages carry codes and fixed phrases only.

libpq's own texts are never passed on: they quote values of rows, and of a connection string that was read wrongly
(a password with an unescaped "@" or "/") parts of the password.
"""

import psycopg
from psycopg_pool import PoolTimeout

from controller.domain import reasons
from controller.domain.errors import JennahError, Permanent, Unavailable

_AGAIN = {
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "23503",  # foreign_key_violation: the tenant or the job was deleted since we looked
    "23505",  # unique_violation: another process created the row since we looked
}
_LOST = {"57P01", "57P02", "57P03", "25P03"}  # shut down, crashed, starting; idle in transaction for too long
_REFUSED_CLASSES = ("22", "23", "54")  # data exception, constraint violation, program limit (a row too big to index)
_PHRASES = (
    "password authentication failed",
    "no pg_hba.conf entry",
    "does not exist",
    "too many clients",
    "connection slots are reserved",
    "starting up",
    "shutting down",
    "Connection refused",
    "timeout expired",
    "could not translate host name",
    "failed to resolve host",
    "certificate",
    "SSL",
    "no password supplied",
)


def is_worth_repeating(error: Exception) -> bool:
    """Whether the same transaction, done again at once, may work: lost races, and lost connections."""
    return is_lost(error) or (isinstance(error, psycopg.Error) and error.sqlstate in _AGAIN)


def is_lost(error: Exception) -> bool:
    """Whether the connection is gone. Of a commit that was under way the outcome is unknown."""
    if not isinstance(error, psycopg.OperationalError) or isinstance(error, PoolTimeout):
        return False
    state = error.sqlstate
    return state is None or state in _LOST or state.startswith("08")


def translated(error: Exception, place: str) -> JennahError:
    """Permanent(RECORD_REJECTED) for values that will never be taken, Unavailable for all else."""
    if isinstance(error, PoolTimeout):
        return Unavailable(f"PostgreSQL at {place} gives no connection")
    if isinstance(error, TimeoutError):
        return Unavailable(f"PostgreSQL at {place} does not answer")
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    if state is None and isinstance(error, (psycopg.DataError, UnicodeError, OverflowError)):
        return _rejected(type(error).__name__)  # refused before it was sent
    if state is not None and state.startswith(_REFUSED_CLASSES):
        return _rejected(f"{type(error).__name__} ({state})")
    if state is None:
        return Unavailable(f"PostgreSQL at {place}: {_phrase(str(error))}")
    return Unavailable(f"PostgreSQL at {place} failed: {type(error).__name__} ({state})")


def _rejected(what: str) -> Permanent:
    return Permanent(f"the database refused the row: {what}", reason=reasons.RECORD_REJECTED)


def _phrase(text: str) -> str:
    return next((phrase for phrase in _PHRASES if phrase in text), "the connection failed")
