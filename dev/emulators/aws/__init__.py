"""A stand-in for AWS Batch: `jobs` (how a job moves in time), `outcomes` (how an attempt ends), `service` (what the
operations do), `checks` (what they refuse), `shapes` (requests checked against botocore's model), `server` (HTTP, and
the faults). Run it by ``python -m dev.emulators.aws_batch``.
"""
