"""Batch services, one folder each, behind `ports.BatchProvider`.

In every folder: `provider` talks to the service and turns its errors into ours, `mapping` is pure (spec →
request, native state → phase, by a total table). Adapters translate, they decide nothing and never log an
environment variable's value.
"""
