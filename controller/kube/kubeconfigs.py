"""Which kubeconfig is used, and what it says beside the way to the API server. Used by `client` and ``jennah logs``."""

import os
from pathlib import Path

from kubernetes.aio import config as kube_config


def path() -> str | None:
    """KUBECONFIG (one path, or several as kubectl takes them), else the user's own file where it exists."""
    home = Path("~/.kube/config").expanduser()
    return os.environ.get("KUBECONFIG") or (str(home) if home.exists() else None)


def namespace() -> str:
    """The namespace of the current context, as kubectl takes it; else ``default``.

    A kubeconfig that cannot be read is for `client.load_configuration` to tell.
    """
    file = path()
    try:
        _, current = kube_config.list_kube_config_contexts(config_file=file) if file else ((), {})
        return str(current["context"]["namespace"] or "default")
    except Exception:  # of many types, as in `load_configuration`, which tells it
        return "default"


def fault(file: str | None, error: Exception) -> str:
    """What is wrong with that file (None: there is none), which could not be loaded."""
    if file is None:
        return f"no KUBECONFIG, no ~/.kube/config, and this is no pod ({error})"
    if not any(Path(each).expanduser().exists() for each in file.split(os.pathsep)):
        return f"{file} does not exist"
    return f"{file} is not usable ({' '.join(str(error).split())})"
