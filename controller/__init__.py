"""The operator: everything that turns a JennahJob into one cloud job and keeps the record of it.

Folders are layers; imports point downwards only (import-linter holds it):
main → handlers → reconcile → kube, providers, stores → ports → domain.
Nothing in here knows the API (``api``) or the development tools (``dev``).
"""
