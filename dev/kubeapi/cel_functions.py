"""The functions that Kubernetes adds to CEL, as far as rules in CRDs commonly use them.

`cel` brings the CEL core and, in its stdlib, cel-go's string, list and set libraries. Not here: the
quantity, IP, CIDR and URL object libraries (a rule that uses them fails to evaluate, and says so), and the
`.?field` syntax, which the parser refuses when the CRD is created.
"""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from cel import stdlib


def find(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found[0] if found else ""


def find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [match[0] for match in re.finditer(pattern, text)]
    return found if limit < 0 else found[:limit]


def is_sorted(items: list[Any]) -> bool:
    return all(first <= second for first, second in pairwise(items))


def is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme) or text.startswith("/")


def is_quantity(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?", text) is not None


# The core has `contains` for strings already, and Kubernetes none for lists.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: function for name, function in stdlib.STDLIB_FUNCTIONS.items() if name != "contains"},
    "find": find,
    "findAll": find_all,
    "isSorted": is_sorted,
    "isURL": is_url,
    "isQuantity": is_quantity,
}
