"""A Kubernetes API server for development: it behaves as kube-apiserver does, keeps its objects in SQLite.

Run it with `python -m dev.kubeapi`, or embed `server.KubeApiServer`. tests/contract says what it promises.
Nothing in here knows of Jennah: it is an API server, with no kubelet, scheduler or Job controller behind it.
"""
