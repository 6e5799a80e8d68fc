"""Kubernetes Jobs: a JennahJob becomes a batch/v1 Job, in the same cluster or in another one.

`request` and `observation` are pure: what is asked for, and what the cluster's answers mean. `held` has what the watch
told, `provider` the calls.
"""
