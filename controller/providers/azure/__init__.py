"""Azure Batch: a JennahJob is a task, or a set of tasks, in an Azure job that it shares with others (providers.md §3).

`request` and `observation` are pure; `calls` is the one place where the SDK is called, `sdk_faults` where it is mended.
"""
