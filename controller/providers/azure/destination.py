"""The settings that stand for a place at Azure Batch."""

import re

from controller.domain.destination import Destination

_HOST = re.compile(r"https://([a-z0-9]+)\.([a-z0-9]+)\.batch\.azure\.com", re.IGNORECASE)


def variables(destination: Destination) -> dict[str, str]:
    """The environment variables by which an adapter is made for that place. In which pool a job is, each job's own
    destination says; today's need not exist there."""
    endpoint = destination.account or ""
    found = {
        "AZURE_BATCH_ENDPOINT": endpoint,
        "JENNAH_INSTANCE": destination.instance or "",
        "AZURE_BATCH_POOL": "",
        "AZURE_BATCH_POOLS": "",
    }
    match = _HOST.fullmatch(endpoint)
    if match is not None:  # else it is a stand-in, or a private name for the account of today's settings
        found |= {"AZURE_BATCH_ACCOUNT": match[1], "BATCH_REGION": match[2]}
    return found
