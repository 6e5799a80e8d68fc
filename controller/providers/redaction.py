"""`domain.redaction`, where adapters have always found it."""

from controller.domain.redaction import traces, without_values

__all__ = ["traces", "without_values"]
