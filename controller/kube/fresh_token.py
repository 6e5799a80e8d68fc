"""Tokens of a kubeconfig that end: an exec plugin's (EKS: 15 minutes, GKE: an hour) and a file's are taken anew.

``kubernetes.aio`` reads them once, when the file is loaded; of itself it looks only after the pod's own token.
"""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from kubernetes.aio import client as kube
from kubernetes.aio.config.kube_config import KubeConfigLoader

LOOK_SECONDS = 60.0
"""Between two looks at the file or at the token's expiry; the loader runs the plugin from five minutes before that."""
LOOK_AGAIN_SECONDS = 5.0
"""The same when the token has ended or is about to: a plugin with a cache of its own (GKE's) hands out its token to the
end."""


def keep_fresh(
    configuration: kube.Configuration,
    loader: KubeConfigLoader,
    monotonic: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Have the configuration's token looked after by whoever asks it for one. Nothing to do for one that never ends."""
    read = _reader(loader)
    if read is None:
        return
    next_look = monotonic() + _pause(loader, now())

    async def look(configuration: kube.Configuration) -> None:
        nonlocal next_look
        if monotonic() < next_look:
            return
        # First, so that calls at the same moment go on with the token that they have: it is good for minutes.
        next_look = monotonic() + LOOK_SECONDS
        await read()
        configuration.api_key["BearerToken"] = loader.token
        next_look = monotonic() + _pause(loader, now())

    configuration.refresh_api_key_hook = look


def _pause(loader: KubeConfigLoader, now: datetime) -> float:
    """The seconds until the next look."""
    expiry: datetime | None = getattr(loader, "exec_plugin_expiry", None)
    if expiry is None:
        return LOOK_SECONDS
    return min(max((expiry - now).total_seconds(), LOOK_AGAIN_SECONDS), LOOK_SECONDS)


def _reader(loader: KubeConfigLoader) -> Callable[[], Awaitable[None]] | None:
    """What has `loader.token` read again."""
    if hasattr(loader, "exec_plugin_expiry"):
        plugin: Callable[[], Awaitable[None]] = loader.load_from_exec_plugin
        return plugin
    if loader._user is not None and "tokenFile" in loader._user:

        async def read_file() -> None:
            loader._load_user_token()

        return read_file
    return None
