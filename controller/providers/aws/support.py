"""What the service makes of each field of the spec: its column of the table in docs/jennahjob.md."""

from controller.domain.support import Column

COLUMN: Column = {}
