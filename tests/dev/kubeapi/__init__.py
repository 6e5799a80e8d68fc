"""Tests of dev.kubeapi beyond the contract: client.py has what they share."""
