"""The known word, or name of a field, that somebody probably meant. Pure."""

import difflib
import re
from collections.abc import Iterable
from typing import Final

NAME_MAX: Final = 64
"""Longer names are near to none: no field has as long a one."""
_LIKENESS: Final = 0.75
"""So much of two names that are near is the same: ``imageUrl`` and ``image_uri`` have 0.88, ``namespace`` and ``name``
0.62."""
_HUMP = re.compile(r"([a-z0-9])([A-Z])")
_WORD = re.compile(r"[a-z0-9]+")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean WORD?)`` for the known word that is nearest, without regard to case; "" where none is near."""
    by_lower = {each.lower(): each for each in known}
    found = difflib.get_close_matches(word.lower()[:64], by_lower, n=1)
    return f" (did you mean {by_lower[found[0]]}?)" if found else ""


def near_name(name: str, known: Iterable[str]) -> str | None:
    """The known field that is nearest to that name; None where none is near.

    `known` may be paths, as ``gpu.type``. snake_case and camelCase are alike. Near is what differs in few letters, or
    is a part of the other, in whole words: ``cpu`` of ``resource_override.cpu_millis``.
    """
    words = _words(name) if len(name) <= NAME_MAX else []
    near = {each: found for each in known if words and (found := _nearness(words, each))}
    return max(near, key=near.__getitem__, default=None)


def _nearness(words: list[str], path: str) -> float:
    """The greater, the nearer: the same words, then nearly the same letters, then a part. 0: not near."""
    whole, leaf = _words(path), _words(path.rpartition(".")[2])
    if words in (whole, leaf):
        return 4.0
    likeness = max(_likeness(words, whole), _likeness(words, leaf))
    if likeness >= _LIKENESS:
        return 2.0 + likeness
    if any(whole[start : start + len(words)] == words for start in range(len(whole))):
        return 1.0 + (leaf[: len(words)] == words)
    return 0.0


def _likeness(words: list[str], others: list[str]) -> float:
    matcher = difflib.SequenceMatcher(None, "".join(words), "".join(others), autojunk=False)
    is_possible = matcher.real_quick_ratio() >= _LIKENESS and matcher.quick_ratio() >= _LIKENESS
    return matcher.ratio() if is_possible else 0.0


def _words(name: str) -> list[str]:
    return _WORD.findall(_HUMP.sub(r"\1_\2", name).lower())
