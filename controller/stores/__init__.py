"""The record: one adapter a database behind `ports.JobStore`, the rule that all of them share, and group commit.

`merge` decides what a transition does to a record (pure), the adapters read and write it in one transaction,
`writer` gathers the transitions of many jobs into one call. Nothing in here knows Kubernetes or a cloud.
"""
