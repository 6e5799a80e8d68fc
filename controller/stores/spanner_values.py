"""Python's values as Spanner's and back: pure. A row is a list of values in the order of its columns.

Integers travel as decimal text and times as RFC 3339 in UTC, see TypeCode in
https://cloud.google.com/spanner/docs/reference/rpc/google.spanner.v1.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from google.cloud import spanner_v1 as api
from google.protobuf.struct_pb2 import ListValue, NullValue, Struct, Value

Plain = str | int | bool | datetime | Sequence[str] | None
Found = Any
"""A value as it was sent: text (of integers and times too), a bool, a list of these, or None."""
Row = list[Found]

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


def rows(parts: Iterable[api.PartialResultSet]) -> list[Row]:
    """The rows of a stream. A value may begin in one part and end in a later one (`chunked_value`).

    Not by the SDK's StreamedResultSet: it keeps a protobuf object for each value, and a list of 10,000 jobs has
    270,000, whose garbage collection took two thirds of the call's time.
    """
    found: list[Row] = []
    row: list[Found] = []
    width, is_chunked = 0, False
    for part in parts:
        message = api.PartialResultSet.pb(part)
        width = width or len(message.metadata.row_type.fields)
        for one in message.values:
            plain = _found(one)
            if is_chunked:
                row[-1], is_chunked = _joined(row[-1], plain), False
                continue
            if len(row) == width:
                found.append(row)
                row = []
            row.append(plain)
        is_chunked = message.chunked_value
    return [*found, row] if row else found


def _found(one: Value) -> Found:
    match one.WhichOneof("kind"):
        case "string_value":
            return one.string_value
        case "bool_value":
            return one.bool_value
        case "list_value":
            return [_found(item) for item in one.list_value.values]
        case _:
            return None


def _joined(begin: Found, end: Found) -> Found:
    """Two pieces of a value: texts are put together, and so are the texts where two lists meet."""
    if isinstance(begin, str) and isinstance(end, str):
        return begin + end
    assert isinstance(begin, list)
    assert isinstance(end, list)
    if begin and end and isinstance(begin[-1], str) and isinstance(end[0], str):
        return [*begin[:-1], begin[-1] + end[0], *end[1:]]
    return begin + end


def integer(found: Any) -> int | None:
    return None if found is None else int(found)


def moment(found: Any) -> datetime | None:
    """To the microsecond; what others write may have nanoseconds."""
    return None if found is None else datetime.fromisoformat(found)


def texts(found: Any) -> tuple[str, ...]:
    """NULL is the empty tuple."""
    return tuple(found or ())


def _type_code(param: str | int | datetime) -> api.TypeCode:
    match param:
        case str():
            return api.TypeCode(api.TypeCode.STRING)
        case int():
            return api.TypeCode(api.TypeCode.INT64)
        case _:
            return api.TypeCode(api.TypeCode.TIMESTAMP)
