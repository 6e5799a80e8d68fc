"""What holds of a job's program on every service: its image's name, and what Linux starts a program with. Pure.

Source of the limits: execve(2). MAX_ARG_STRLEN (32 pages of 4096 bytes) holds one string with its NUL; arguments and
environment together get a quarter of the stack's limit, which is 8 MiB in containers.
"""

from collections.abc import Iterable, Mapping

import msgspec

from controller.domain import images
from controller.domain.errors import Invalid

STRING_BYTES = 131_071
"""Of one argument, or of one ``NAME=value``, in UTF-8, without its NUL."""
TOTAL_BYTES = 2 * 1024 * 1024 - 4096
"""Of all of them, each with its NUL and the eight bytes of its pointer; a page is left for what the runtime adds."""
_POINTER_BYTES = 8


class Fields(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller knows the parts by: messages name them so."""

    image: str = "spec.image"
    command: str = "spec.command"
    args: str = "spec.args"
    env: str = "spec.env"


_SPEC = Fields()


def check(
    image: str, command: Iterable[str], args: Iterable[str], env: Mapping[str, str], fields: Fields = _SPEC
) -> None:
    """Raises Invalid, naming the field, for what no service can start. No message has a variable's value."""
    if fault := images.fault(image):
        raise Invalid(f"{fields.image}: {fault}")
    total = 0
    for field, words in ((fields.command, command), (fields.args, args)):
        for index, word in enumerate(words):
            total += _counted(f"{field}[{index}]", word, _bytes(word))
    for name, value in env.items():
        total += _counted(f"{fields.env}: {name}", value, _bytes(name) + 1 + _bytes(value))
    if total > TOTAL_BYTES:
        all_of_it = f"{fields.command}, {fields.args} and {fields.env}"
        raise Invalid(f"{all_of_it} have {total} bytes together: Linux starts a program with at most {TOTAL_BYTES}")


def _counted(where: str, text: str, size: int) -> int:
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise Invalid(f"{where} has half of a UTF-16 pair, which is no text that a program can be given")
    if "\0" in text:
        raise Invalid(f"{where} has a NUL character, which no program can be given")
    if size > STRING_BYTES:
        raise Invalid(f"{where} has {size} bytes: Linux takes at most {STRING_BYTES} for an argument or NAME=value")
    return size + 1 + _POINTER_BYTES


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
