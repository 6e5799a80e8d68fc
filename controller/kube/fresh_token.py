"""Tokens of a kubeconfig that end: an exec plugin's (EKS: 15 minutes, GKE: an hour) and a file's are taken anew.

``kubernetes.aio`` reads them once, when the file is loaded; of itself it looks only after the pod's own token.
"""

import time
from collections.abc import Awaitable, Callable

from kubernetes.aio import client as kube
from kubernetes.aio.config.kube_config import KubeConfigLoader

LOOK_SECONDS = 60.0
"""Between two looks at the file or at the token's expiry; the loader runs the plugin from five minutes before that."""


def keep_fresh(
    configuration: kube.Configuration,
    loader: KubeConfigLoader,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Have the configuration's token looked after by whoever asks it for one. Nothing to do for one that never ends."""
    read = _reader(loader)
    if read is None:
        return
    next_look = monotonic() + LOOK_SECONDS

    async def look(configuration: kube.Configuration) -> None:
        nonlocal next_look
        if monotonic() < next_look:
            return
        # First, so that calls at the same moment go on with the token that they have: it is good for minutes.
        next_look = monotonic() + LOOK_SECONDS
        await read()
        configuration.api_key["BearerToken"] = loader.token

    configuration.refresh_api_key_hook = look


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
