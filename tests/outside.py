"""The shell around the suite: closed out when this is imported, which `conftest` does before anything else."""

import os
import re
import time

from dev import surroundings

_TAKEN = surroundings.clear(os.environ, *surroundings.ALL)
time.tzset()


def for_installers() -> dict[str, str]:
    """The environment of npm and uv: that of now, with the way to their registries that the shell has."""
    way = re.compile("|".join((*surroundings.PROXIES, *surroundings.REGISTRIES)))
    return {**os.environ, **{name: value for name, value in _TAKEN.items() if way.fullmatch(name)}}
