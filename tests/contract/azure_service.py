"""Settings for a stand-in of Azure Batch."""

from controller.cloud_settings import AzureSettings, NodeSize
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
        "nodes": {
            "Standard_D2s_v5": NodeSize(cpu_millis=2000, memory_mib=8192, gpus=0),
            "Standard_D4s_v5": NodeSize(cpu_millis=4000, memory_mib=16384, gpus=0),
        },
        "reads_per_second": 10_000,
        "mutations_per_second": 10_000,
    }
    return AzureSettings(**{**fields, **other})
