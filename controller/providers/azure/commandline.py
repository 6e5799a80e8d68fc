"""A list of words as the one string that the service takes for a command line.

No shell runs it (providers.md §3d). How the node's agent takes it apart is not documented; on Linux nodes the words
are taken to be separated as in POSIX: blanks between words, double quotes around one, and inside them a backslash in
front of a quote or a backslash (UNCONFIRMED). Nothing is quoted that need not be.
"""

import re
from collections.abc import Sequence

_PLAIN = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


def join(words: Sequence[str]) -> str:
    """The command line of those words. Raises ValueError for a word with a NUL, which no program can be given."""
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    if "\0" in word:
        raise ValueError("a word has a NUL in it")
    if _PLAIN.fullmatch(word):
        return word
    return '"' + re.sub(r'(["\\])', r"\\\1", word) + '"'
