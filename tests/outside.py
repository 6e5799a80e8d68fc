"""The shell around the suite: closed out when this is imported, which `conftest` does before anything else."""

import os
import re
import time

from dev import surroundings

# A cluster that is not the suite's own is reached as kubectl reaches it: through proxies, and with plugins for its
# credentials that read variables of a cloud.
_CLOSED_TO = surroundings.LOOKS if os.environ.get("E2E_KUBECONFIG") else surroundings.ALL
_TAKEN = surroundings.clear(os.environ, *_CLOSED_TO)
time.tzset()


def for_installers() -> dict[str, str]:
    """The environment of npm and uv: that of now, with the way to their registries that the shell has."""
    way = re.compile("|".join((*surroundings.PROXIES, *surroundings.REGISTRIES)))
    return {**os.environ, **{name: value for name, value in _TAKEN.items() if way.fullmatch(name)}}
