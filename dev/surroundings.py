"""The environment variables that decide what our programs, the SDKs and the tools do: one list.

``make demo`` and the suite are closed to them: both clear what is set of them before anything reads it.
"""

import contextlib
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, MutableMapping

from api import settings as api_settings
from controller import settings
from controller.domain.errors import ConfigError

SDKS = (
    r"(AMAZON|AWS|BOTO|MOTO)_.*",
    r"(AZURE|IDENTITY|IMDS|MSI)_.*|AZUREPS_HOST_ENVIRONMENT",
    r"(CLOUDSDK|GCE|GCLOUD|GCP|GOOGLE|GRPC|SPANNER)_.*|grpc_proxy|no_grpc_proxy|NO_GCE_CHECK",
    r"(KUBE|HELM|KOPF_).*",
    r"PG[A-Z]+",
    r"(OTEL|PROMETHEUS|PROTOCOL_BUFFERS)_.*|prometheus_multiproc_dir",
)
"""Of the clouds, Kubernetes, the databases and the libraries."""
PROXIES = (r"(?i:(ALL|HTTPS?|WSS?|FTP|NO)_PROXY)",)
REGISTRIES = (
    r"SSL_CERT_(FILE|DIR)|SSLKEYLOGFILE|(REQUESTS|CURL)_CA_BUNDLE",
    r"(?i:npm_config_).*|NODE_.*",
)
"""The way to those of packages, beside the proxies."""
LOOKS = (
    r"LANG|LANGUAGE|LC_[A-Z]+|TZ|TZDIR",
    r"COLUMNS|LINES|NO_COLOR|FORCE_COLOR|CLICOLOR(_FORCE)?|TTY_.*|CURL_HOME",
    r"PYTHON[A-Z0-9_]+|PYTEST_(ADDOPTS|PLUGINS|DISABLE_PLUGIN_AUTOLOAD)|HYPOTHESIS_.*|XDG_(CONFIG|DATA)_HOME",
)
"""How programs read and write, in which language and when."""
FOREIGN = (*SDKS, *PROXIES, *REGISTRIES)
ALL = (*FOREIGN, *LOOKS)
KEPT = ("KUBE_CONTRACT_URL", "KUBE_CONTRACT_TOKEN")
"""The suite's own, like all that begin with DB_TEST_ and E2E_."""


_LEADS_TO_MORE = {"API_AUTH": "token,oidc", "AZURE_REGISTRY_SERVER": "r", "ORPHANS": "cancel"}
"""Settings with which others are read."""


class _Asked(dict[str, str]):
    """An environment that has the given variables, and remembers which were asked for."""

    def __init__(self, variables: dict[str, str]) -> None:
        super().__init__(variables)
        self.names: set[str] = set()

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        self.names.add(name)
        return super().get(name, default)


def settings_of_programs() -> frozenset[str]:
    """The variables that the operator, the API and ``jennah migrate`` read, with whatever cloud and database."""
    asked: set[str] = set()
    for provider, database in itertools.product(settings.PROVIDERS, settings.DATABASES):
        given = {"BATCH_PROVIDER": provider, "DB_PROVIDER": database, **_LEADS_TO_MORE}
        for read in (settings.read_operator, api_settings.read_api, settings.read_for_migration):
            environment = _Asked(given)
            with contextlib.suppress(ConfigError):
                read(environment)
            asked |= environment.names
    return frozenset(asked)


def found(variables: Iterable[str], *patterns: str) -> Iterator[str]:
    """Those of the names that are settings of our programs, or are meant by one of the patterns."""
    ours = settings_of_programs()
    pattern = re.compile("|".join(patterns))
    return (name for name in variables if name not in KEPT and (name in ours or pattern.fullmatch(name)))


def clear(variables: MutableMapping[str, str], *patterns: str, keep: Collection[str] = ()) -> dict[str, str]:
    """Take the settings, and what the patterns mean, out of the environment. What was taken."""
    return {name: variables.pop(name) for name in sorted(found(list(variables), *patterns)) if name not in keep}
