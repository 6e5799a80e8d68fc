"""Settings for a stand-in of Azure Batch."""

from controller.cloud_settings import AzureSettings
from dev.emulators.azure import auth


def azure_settings(url: str, **other: object) -> AzureSettings:
    """Those that the stand-in agrees with, without a limit of our own that a test could feel."""
    fields = {
        "region": "westeurope",
        "instance": "test",
        "subscription_id": "subscription",
        "resource_group": "group",
        "account": auth.ACCOUNT,
        "account_key": auth.KEY,
        "endpoint": url,
        "pool": "jennah",
        "pools": {"spot": "jennah-spot", "gpu": "jennah-gpu"},
        "reads_per_second": 10_000,
        "mutations_per_second": 10_000,
    }
    return AzureSettings(**{**fields, **other})
