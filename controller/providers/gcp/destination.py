"""The settings that stand for a place at Google Cloud Batch."""

from controller.domain.destination import Destination


def variables(destination: Destination) -> dict[str, str]:
    """The environment variables by which an adapter is made for that place."""
    return {
        "BATCH_PROJECT_ID": destination.project or "",
        "BATCH_REGION": destination.region or "",
        "JENNAH_INSTANCE": destination.instance or "",
    }
