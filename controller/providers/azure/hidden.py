"""Tasks of sets that were made and that no read shows: for a while they may be there all the same."""

import itertools
from collections.abc import Collection, Container, Sequence

from controller.ports import Clock
from controller.providers.azure import observation
from controller.providers.azure.wire import Task

HIDDEN_SECONDS = 60.0
"""How long a task that was made may be there though no read shows it; then somebody removed it."""


class Hidden:
    """Since when they are missed. Lost with the process: the next one begins to wait anew."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._missed: dict[str, dict[int, float]] = {}

    def look(self, external_name: str, tasks: Sequence[Task | None], submitted: int | None) -> Collection[int]:
        """The indexes of those of a set that stands like that, as `observation.observation` takes it."""
        if len(tasks) == 1:
            return ()
        now, before = self._clock.monotonic(), self._missed.pop(external_name, {})
        made = itertools.islice(enumerate(tasks), observation.made_of(tasks, submitted))
        missed = {index: before.get(index, now) for index, task in made if task is None}
        if missed:
            self._missed[external_name] = missed
        return [index for index, since in missed.items() if now - since < HIDDEN_SECONDS]

    def forget_all_but(self, external_names: Container[str]) -> None:
        """Drop the sets that nobody asks for any more."""
        self._missed = {name: missed for name, missed in self._missed.items() if name in external_names}
