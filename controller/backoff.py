"""How long to wait between tries: longer each time, up to a cap, and never in step with others."""

import random

_MOST_DOUBLINGS = 32  # more would only make a number that no cap lets through


class Backoff:
    """Pauses in seconds: `first` doubled after each failure up to `cap`, of which a random part of at least half."""

    def __init__(self, *, first: float, cap: float, jitter: random.Random | None = None) -> None:
        self._first = first
        self._cap = cap
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads load, guards nothing

    def pause(self, failures: int) -> float:
        """The pause after so many failures before this one, in seconds."""
        whole = min(self._first * 2.0 ** min(failures, _MOST_DOUBLINGS), self._cap)
        return whole * self._jitter.uniform(0.5, 1.0)
