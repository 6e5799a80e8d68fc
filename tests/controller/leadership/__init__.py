"""The election on a lease in memory, whose time the test moves."""
