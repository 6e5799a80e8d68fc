"""What the service did otherwise than was asked, as words in a tag and as remarks: pure, and each from the other.

The words are ``cpu=500/1000 memory=3000/4096 timeout=10/60`` (asked/given, in millis, MiB and seconds),
``parallelism=4``, ``disk=50`` (GiB) and ``command``. Words that are not known are left out.
"""

from collections.abc import Iterator

import msgspec

from controller.domain import conditions, reasons
from controller.domain.differences import Remark


class Deviations(msgspec.Struct, frozen=True, kw_only=True):
    """Each None or False where what was asked for is what is given."""

    cpu: tuple[int, int] | None = None
    memory: tuple[int, int] | None = None
    timeout: tuple[int, int] | None = None
    parallelism: int | None = None
    disk: int | None = None
    command: bool = False


def encode(found: Deviations) -> str:
    """The words; "" where there is nothing to say."""
    words = []
    for name in ("cpu", "memory", "timeout"):
        pair: tuple[int, int] | None = getattr(found, name)
        if pair is not None:
            words.append(f"{name}={pair[0]}/{pair[1]}")
    if found.parallelism is not None:
        words.append(f"parallelism={found.parallelism}")
    if found.disk is not None:
        words.append(f"disk={found.disk}")
    if found.command:
        words.append("command")
    return " ".join(words)


def decode(text: str) -> tuple[Remark, ...]:
    """The remarks that those words stand for. Total."""
    words = {name: value for name, _, value in (word.partition("=") for word in text.split())}
    return tuple(_remarks(words))


def _remarks(words: dict[str, str]) -> Iterator[Remark]:
    rounded = [
        _pair(words.get("cpu"), "CPU of {}m became {}m"),
        _pair(words.get("memory"), "memory of {} MiB became {} MiB"),
    ]
    no_disk = ""
    if (disk := words.get("disk", "")).isdecimal():
        no_disk = f"bootDiskGiB {disk} is not honoured: the disk is that of the queue's machines"
    if any(rounded) or no_disk:
        yield Remark(
            condition=conditions.RESOURCES_EXACT,
            reason=reasons.ROUNDED_UP if any(rounded) else reasons.NOT_SUPPORTED,
            message="; ".join(filter(None, (*rounded, no_disk))),
        )
    if longer := _pair(words.get("timeout"), "activeDeadlineSeconds of {} became {}, the least that AWS Batch takes"):
        yield Remark(condition=conditions.DEADLINE_EXACT, reason=reasons.ROUNDED_UP, message=longer)
    if (parallelism := words.get("parallelism", "")).isdecimal():
        yield Remark(
            condition=conditions.PARALLELISM_HONOURED,
            reason=reasons.NOT_SUPPORTED,
            message=f"AWS Batch has no limit for tasks at once: parallelism {parallelism} changes nothing",
        )
    if "command" in words:
        yield Remark(
            condition=conditions.ENTRYPOINT_REPLACED,
            reason=reasons.NOT_SUPPORTED,
            message="AWS Batch cannot replace an image's entrypoint: command and args are handed to it, which is the "
            "same only for an image without one",
        )


def _pair(value: str | None, text: str) -> str:
    asked, _, given = (value or "").partition("/")
    return text.format(asked, given) if asked.isdecimal() and given.isdecimal() else ""
