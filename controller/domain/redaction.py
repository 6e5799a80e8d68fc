"""Keeping secret values out of texts that others write: a service's refusals may quote the request, a program's last
words its environment. Pure."""

import base64
import contextlib
import json
import re
from collections.abc import Iterable, Iterator

from controller.domain.errors import JennahError

MASK = "***"
_PREFIX = 6
"""Of a value this long or longer, so many characters are enough to be recognised by: quotes are often cut short."""


def without_values(text: str, values: Iterable[str]) -> str:
    """The text with every trace of those values replaced by ``***``: whole, escaped, a line of them, or cut short."""
    for piece in traces(text, values):
        text = _masked(text, piece) if len(piece) >= _PREFIX else _masked_word(text, piece)
    return text


@contextlib.contextmanager
def in_errors(values: Iterable[str]) -> Iterator[None]:
    """Keeps those values out of the messages of our errors. Their causes may have them, and are cut off."""
    try:
        yield
    except JennahError as error:
        text = str(error)
        masked = without_values(text, values)
        if masked == text:
            raise
        error.args = (masked, *error.args[1:])
        raise error from None


def traces(text: str, values: Iterable[str]) -> list[str]:
    """The pieces of those values that may be in the text, the longest first.

    No others: of a megabyte of short lines each would be a pattern to be made, for seconds.
    """
    forms = [form for value in values for form in _forms(value)]
    # The whole forms too: a line end that the text keeps (there are more of them than \n) does not split them there.
    pieces = {piece for form in forms for piece in (form, *form.splitlines()) if piece.strip()}
    return sorted((piece for piece in pieces if piece[:_PREFIX] in text), key=len, reverse=True)


def _forms(value: str) -> tuple[str, ...]:
    encoded = base64.b64encode(value.encode("utf-8", "surrogatepass")).decode()  # as in a Secret
    return value, encoded, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]


def _masked_word(text: str, piece: str) -> str:
    """Short values count as words only: "1" is not to be cut out of "10"."""
    return re.sub(rf"(?<!\w){re.escape(piece)}(?!\w)", MASK, text)


def _masked(text: str, piece: str) -> str:
    """Every run in the text that begins as the piece does, for as long as they agree."""
    begin = text.find(piece[:_PREFIX])
    while begin >= 0:
        end = begin + _PREFIX
        while end < len(text) and end - begin < len(piece) and text[end] == piece[end - begin]:
            end += 1
        text = text[:begin] + MASK + text[end:]
        begin = text.find(piece[:_PREFIX], begin + len(MASK))
    return text
