"""One suite for any cluster, as its users see it: kubectl, the API, and programs that are killed.

By default (``make test``) it runs on an in-memory API server of its own; ``make e2e KUBECONFIG=/path`` runs it on that
cluster, in namespaces of its own, and leaves nothing behind. It needs an API server and etcd and nothing else: what
needs more is marked (`kubelet`, `controllers`, `own_server`, `local_programs`, `local_provider`) and skipped with a
line that says so. `options.py` has what can be chosen.
"""
