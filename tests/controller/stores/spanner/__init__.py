"""The Spanner store on the emulator: its faults, times, schema, and the Gateway beside us. Its laws: tests/contract."""
