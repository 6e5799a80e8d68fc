"""Everything is killed, and every ledger must agree afterwards: Kubernetes, the database and the cloud."""
