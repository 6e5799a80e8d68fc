"""The Cosmos DB store: on the emulator, and on a stand-in that fails on demand. Its laws: tests/contract."""
