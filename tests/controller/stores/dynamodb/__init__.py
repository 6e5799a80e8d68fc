"""The DynamoDB store: its limits, its index, its faults. Its laws: tests/contract/test_stores.py."""
