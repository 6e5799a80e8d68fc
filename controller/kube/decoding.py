"""From the API server's JSON to types that know the fields that are looked at, and no others."""

from typing import Generic, TypeVar

import msgspec

from controller.domain.nulls import without_nulls

T = TypeVar("T")


class Decoder(Generic[T]):
    """Decodes JSON to that type. Null is as good as absent, also where the type does not say so."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._decoder = msgspec.json.Decoder(kind)

    def decode(self, data: bytes | msgspec.Raw) -> T:
        """Raises msgspec.MsgspecError for what is no JSON, or none of that type."""
        try:
            return self._decoder.decode(data)
        except msgspec.ValidationError:
            # Nulls are rare, so that only what cannot be read with them is read a second time.
            return msgspec.convert(without_nulls(msgspec.json.decode(data)), self._kind)
