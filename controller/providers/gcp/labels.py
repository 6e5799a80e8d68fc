"""Labels of a cloud job: ours, by which jobs are found and owned, and the user's, made legal. Pure.

Legal are at most 64, keys and values of at most 63 lower case letters, digits, ``_`` and ``-``, keys beginning with
a letter and not with ``goog-`` or ``google-`` (providers.md §1d).
"""

import base64
import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping

from controller.ports import SubmitRequest

INSTANCE = "jennah-instance"
TENANT = "jennah-tenant"
UID = "jennah-uid"
"""The JennahJob's uid: whose job it is."""
JOB_ID = "jennah-job-id"
NAMESPACE = "jennah-namespace"
DELETION_POLICY = "jennah-deletion-policy"
"""`ORPHAN`, or not there."""
ORPHAN = "orphan"
_EXACT = "-base32"
"""Ends the key of a second label, which has what a first one cannot have exactly: capitals, say, or dots."""

MAX_OF_USERS = 56
"""Of the 64 that the service takes, what the eight of `ours` leave."""
MAX_LENGTH = 63
_RESERVED = ("goog-", "google-", "jennah-")
_HASH_DIGITS = 8


def ours(request: SubmitRequest, instance: str) -> dict[str, str]:
    """The labels that every job of ours has."""
    own = {INSTANCE: instance, UID: value(request.uid)}
    own |= _exactly(TENANT, request.tenant_id) | _exactly(JOB_ID, request.job_id)
    if request.namespace:
        own[NAMESPACE] = value(request.namespace)  # is a legal value as it is
    if request.spec.deletion_policy == "Orphan":
        own[DELETION_POLICY] = ORPHAN
    return own


def exact(labels: Mapping[str, str], key: str) -> str:
    """What that label of ours was made of; "" where there is none."""
    encoded = labels.get(key + _EXACT)
    if encoded is None:
        return labels.get(key, "")
    try:
        return base64.b32decode(encoded.upper() + "=" * (-len(encoded) % 8)).decode()
    except ValueError:
        return ""


def _exactly(key: str, text: str) -> dict[str, str]:
    """The label, readable; where that loses something a second one, of which `exact` makes the text again."""
    found = {key: value(text)}
    if found[key] != text:
        # 36 characters, as an id may have, are 58 of these.
        found[key + _EXACT] = base64.b32encode(text.encode()).decode().rstrip("=").lower()[:MAX_LENGTH]
    return found


def sanitised(users: Mapping[str, str]) -> dict[str, str]:
    """The user's labels, each under a legal key of its own."""
    return {key: value(users[original]) for original, key in _keys(users).items()}


def changed(users: Mapping[str, str]) -> dict[str, str]:
    """The labels that are not as the user wrote them: "key=value" to what became of it."""
    keys = _keys(users)
    pairs = {f"{original}={text}": f"{keys[original]}={value(text)}" for original, text in users.items()}
    return {written: became for written, became in pairs.items() if written != became}


def _keys(users: Mapping[str, str]) -> dict[str, str]:
    """The legal key of each: keys that would become the same get a hash behind them. What a key becomes depends on the
    other keys, never on their order."""
    by_key: dict[str, list[str]] = defaultdict(list)
    for original in users:
        by_key[_key(original)].append(original)
    found = {key: key for key, originals in by_key.items() if key in originals}
    taken = set(found)
    for key, originals in sorted(by_key.items()):
        for original in sorted(originals):
            if original == key:
                continue
            free = key if len(originals) == 1 else _apart(key, original)
            while free in taken:  # another label has that very key
                free = _apart(key, original + free)
            found[original] = free
            taken.add(free)
    return found


def value(text: str) -> str:
    """A legal value: lower case, every other character a ``-``, cut to the limit."""
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[:MAX_LENGTH]


def _key(original: str) -> str:
    key = value(original)
    if not key or not key[0].isalpha() or key.startswith(_RESERVED):
        key = f"x-{key}"[:MAX_LENGTH]
    return key


def _apart(key: str, original: str) -> str:
    digits = hashlib.sha256(original.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    return f"{key[: MAX_LENGTH - _HASH_DIGITS - 1]}-{digits}"
