"""A destination as the settings that reach it, for who chooses an adapter."""

from pathlib import Path

from controller.domain.destination import Destination

FOLDER = "local"
"""Of the jobs, in JENNAH_DATA_DIR."""


def variables(destination: Destination) -> dict[str, str]:
    """The environment variables that stand for it, over those of today."""
    folder = Path(destination.account or "")
    return {"JENNAH_DATA_DIR": str(folder.parent)} if folder.name == FOLDER else {}
