"""Python's values as Spanner's and back: pure. A row is a list of protobuf Values in the order of its columns.

Integers travel as decimal text and times as RFC 3339 in UTC, see TypeCode in
https://cloud.google.com/spanner/docs/reference/rpc/google.spanner.v1.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from google.cloud import spanner_v1 as api
from google.protobuf.struct_pb2 import ListValue, NullValue, Struct, Value

Plain = str | int | bool | datetime | Sequence[str] | None
Row = Sequence[Value]

_LEAST, _MOST = -(2**63), 2**63 - 1


class Statement:
    """SQL with its parameters, as @name in the text."""

    def __init__(self, sql: str, **params: str | int | datetime) -> None:
        self._sql = sql
        self._params = Struct(fields={name: value(param) for name, param in params.items()})
        self._types = {name: api.Type(code=_type_code(param)) for name, param in params.items()}

    def request(self, session: str) -> api.ExecuteSqlRequest:
        """A request of its own: the caller may change it."""
        return api.ExecuteSqlRequest(session=session, sql=self._sql, params=self._params, param_types=self._types)


def row(values: Sequence[Plain]) -> ListValue:
    """One row to write. Raises OverflowError, UnicodeEncodeError for what no column takes."""
    return ListValue(values=[value(one) for one in values])


def keys(rows: Sequence[Sequence[str]]) -> api.KeySetPB:
    """Rows by their whole keys."""
    return api.KeySetPB(keys=[row(key) for key in rows])


def prefixes(rows: Sequence[Sequence[str]]) -> api.KeySetPB:
    """All rows whose keys begin like one of those."""
    ranges = [api.KeyRangePB(start_closed=row(key), end_closed=row(key)) for key in rows]
    return api.KeySetPB(ranges=ranges)


def value(plain: Plain) -> Value:
    """Raises OverflowError, UnicodeEncodeError for what no column takes."""
    match plain:
        case None:
            return Value(null_value=NullValue.NULL_VALUE)
        case bool():
            return Value(bool_value=plain)
        case int():
            if not _LEAST <= plain <= _MOST:
                raise OverflowError("an integer does not fit into 64 bits")
            return Value(string_value=str(plain))
        case str():
            return Value(string_value=plain)
        case datetime():
            return Value(string_value=time_text(plain))
        case _:
            return Value(list_value=row(plain))


def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def text(found: Value) -> str | None:
    return None if found.HasField("null_value") else found.string_value


def flag(found: Value) -> bool | None:
    return None if found.HasField("null_value") else found.bool_value


def integer(found: Value) -> int | None:
    return None if found.HasField("null_value") else int(found.string_value)


def moment(found: Value) -> datetime | None:
    """To the microsecond; what others write may have nanoseconds."""
    return None if found.HasField("null_value") else datetime.fromisoformat(found.string_value)


def texts(found: Value) -> tuple[str, ...]:
    """NULL is the empty tuple."""
    return tuple(one.string_value for one in found.list_value.values)


def _type_code(param: str | int | datetime) -> api.TypeCode:
    match param:
        case str():
            return api.TypeCode(api.TypeCode.STRING)
        case int():
            return api.TypeCode(api.TypeCode.INT64)
        case _:
            return api.TypeCode(api.TypeCode.TIMESTAMP)
