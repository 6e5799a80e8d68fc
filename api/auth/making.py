"""From the settings to the gate."""

from collections.abc import Iterator

from api import metrics
from api.auth.cluster import ClusterTokens
from api.auth.gate import Gate
from api.auth.principal import Authenticator
from api.auth.settings import AuthSettings, OidcSettings
from api.auth.tokens import VARIABLE, FileTokens
from api.hosts import KnownHosts
from controller.domain.errors import ConfigError
from controller.kube.client import KubeClient
from controller.ports import Clock


def make(settings: AuthSettings, *, hosts: KnownHosts, client: KubeClient, clock: Clock) -> Gate:
    """The gate for these settings. Raises ConfigError."""
    return Gate(tuple(_authenticators(settings, client, clock)), hosts)


def _authenticators(settings: AuthSettings, client: KubeClient, clock: Clock) -> Iterator[Authenticator]:
    """Those that ask no other program come first."""
    if settings.tokens_file is not None:
        yield FileTokens(settings.tokens_file, clock, metrics.RELOAD_FAILING.labels(VARIABLE).set)
    if settings.oidc is not None:
        yield _oidc(settings.oidc, clock)
    if "kubernetes" in settings.kinds:
        yield ClusterTokens(client, clock, audience=settings.audience_of_tokens)


def _oidc(settings: OidcSettings, clock: Clock) -> Authenticator:
    try:
        from api.auth.oidc import OidcTokens
    except ModuleNotFoundError as error:
        raise ConfigError(
            [f"API_AUTH=oidc needs its extra ({error.name}): pip install 'jennah-controller[oidc]'"]
        ) from error
    return OidcTokens(settings, clock)
