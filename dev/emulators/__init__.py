"""Stand-ins for clouds that have no emulator: as strict as providers.md says, in memory, for developing only."""
