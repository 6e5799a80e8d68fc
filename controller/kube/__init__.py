"""Talking to Kubernetes: the client, the JennahJob objects, events. Nothing is decided here."""
