"""The adapter of a service: that of the settings, or of a place that jobs were sent to under earlier ones.

Its SDK is imported here and not before.
"""

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from controller.cloud_settings import AwsSettings, AzureSettings, GcpSettings, KubernetesSettings
from controller.domain.destination import Destination
from controller.domain.errors import ConfigError
from controller.ports import BatchProvider, Clock
from controller.settings import (
    PROVIDERS,
    CloudSettings,
    OperatorSettings,
    allow_local,
    read_cloud,
    read_data_dir,
    read_region,
    read_watch_namespaces,
)
from controller.variables import Environment


def make_provider(settings: OperatorSettings, clock: Clock) -> BatchProvider:
    """The adapter. Raises ConfigError where its extra is not installed."""
    return _make(settings.provider, settings.cloud, settings.region, settings.common.data_dir, clock)


def provider_at(destination: Destination, clock: Clock, variables: Mapping[str, str] | None = None) -> BatchProvider:
    """An adapter for the site of that destination: by today's settings, but for those that say where it is.

    `variables`: the environment, that of the process by default. Raises ConfigError where a variable or the extra is
    missing. The adapter is not open: whether its credentials work there, `open` finds out.
    """
    if destination.provider not in PROVIDERS:
        raise ConfigError([f"there is no provider {destination.provider!r}"])
    of_place: Callable[[Destination], dict[str, str]]
    of_place = importlib.import_module(f"controller.providers.{destination.provider}.destination").variables
    today = os.environ if variables is None else variables
    env = Environment({**today, **of_place(destination)})
    allow_local(env, destination.provider)  # a destination is a status, which is no leave to run commands here
    region, namespaces = read_region(env, destination.provider), read_watch_namespaces(env)
    cloud = read_cloud(env, destination.provider, region, namespaces, takes_new_jobs=False)
    data_dir = read_data_dir(env)
    env.done()
    return _make(destination.provider, cloud, region, data_dir, clock)


def _make(name: str, cloud: CloudSettings, region: str, data_dir: Path, clock: Clock) -> BatchProvider:
    try:
        match cloud:
            case GcpSettings() as gcp:
                from controller.providers.gcp.provider import GcpProvider

                return GcpProvider(gcp, clock)
            case AwsSettings() as aws:
                from controller.providers.aws.provider import AwsProvider

                return AwsProvider(aws, clock)
            case AzureSettings() as azure:
                from controller.providers.azure.provider import AzureProvider

                return AzureProvider(azure, clock)
            case KubernetesSettings() as kubernetes:
                from controller.providers.kubernetes.provider import KubernetesProvider

                return KubernetesProvider(kubernetes, clock)
    except ModuleNotFoundError as error:
        hint = f"pip install 'jennah-controller[{name}]'"
        raise ConfigError([f"BATCH_PROVIDER={name} needs its extra ({error.name} is missing): {hint}"]) from error
    from controller.providers.local.provider import LocalProvider

    return LocalProvider(data_dir, region, clock)
