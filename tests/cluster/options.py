"""What the suite is told by its environment; `make e2e` sets it. Read once, with one line for a fault."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

PROVIDERS = ("local", "kubernetes")
DATABASES = ("sqlite", "postgres")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Where and with what the suite runs."""

    kubeconfig: Path | None = None
    """E2E_KUBECONFIG: of the cluster to run on; by default an in-memory API server is started."""
    provider: str = "local"
    """E2E_PROVIDER: local (jobs as processes of this machine) or kubernetes (batch/v1 Jobs)."""
    database: str = "sqlite"
    """E2E_DATABASE: sqlite or postgres (a server of our own, or that of DB_TEST_POSTGRES_URL)."""
    installed: str = ""
    """E2E_INSTALLED: the namespace in which the chart is installed; by default the programs are local processes."""

    @property
    def limit(self) -> float:
        """Seconds that a job may take, whatever it does: containers have to be pulled, and to find room."""
        return 240 if self.kubeconfig else 40


def read(variables: Mapping[str, str] = os.environ) -> Options:
    """Raises pytest.UsageError for what cannot be meant."""
    kubeconfig = variables.get("E2E_KUBECONFIG", "")
    options = Options(
        kubeconfig=Path(kubeconfig).expanduser() if kubeconfig else None,
        provider=variables.get("E2E_PROVIDER", "") or "local",
        database=variables.get("E2E_DATABASE", "") or "sqlite",
        installed=variables.get("E2E_INSTALLED", ""),
    )
    if options.kubeconfig is not None and not options.kubeconfig.is_file():
        raise pytest.UsageError(f"E2E_KUBECONFIG={kubeconfig!r} is not a file")
    if options.provider not in PROVIDERS:
        raise pytest.UsageError(f"E2E_PROVIDER={options.provider!r} is not one of {', '.join(PROVIDERS)}")
    if options.database not in DATABASES:
        raise pytest.UsageError(f"E2E_DATABASE={options.database!r} is not one of {', '.join(DATABASES)}")
    if options.installed and options.kubeconfig is None:
        raise pytest.UsageError("E2E_INSTALLED needs E2E_KUBECONFIG: the cluster in which it is installed")
    return options
