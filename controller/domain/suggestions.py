"""The known word that somebody probably meant. Pure."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean WORD?)`` for the known word that is nearest, without regard to case; "" where none is near."""
    by_lower = {each.lower(): each for each in known}
    found = difflib.get_close_matches(word.lower()[:64], by_lower, n=1)
    return f" (did you mean {by_lower[found[0]]}?)" if found else ""
