"""AWS Batch: the adapter, and beside it the pure mapping."""
