"""The PostgreSQL store: its faults, its schema, its limits. Its laws: tests/contract/test_stores.py."""
