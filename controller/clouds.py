"""The adapter of the service that was chosen; its SDK is imported here and not before."""

from controller.cloud_settings import AwsSettings, AzureSettings, GcpSettings, KubernetesSettings
from controller.domain.errors import ConfigError
from controller.ports import BatchProvider, Clock
from controller.settings import OperatorSettings


def make_provider(settings: OperatorSettings, clock: Clock) -> BatchProvider:
    """The adapter. Raises ConfigError where its extra is not installed."""
    try:
        match settings.cloud:
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
        extra = settings.provider
        hint = f"pip install 'jennah-controller[{extra}]'"
        raise ConfigError([f"BATCH_PROVIDER={extra} needs its extra ({error.name} is missing): {hint}"]) from error
    from controller.providers.local.provider import LocalProvider

    return LocalProvider(settings.common.data_dir, settings.region, clock)
