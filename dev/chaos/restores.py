"""What a restored Kubernetes has lost and got back: the same of each job by job id, however often that was done."""

from pathlib import Path

import msgspec

from controller.domain import names
from dev.kubeapi import backups

_JOBS = f"{names.PLURAL}.{names.GROUP}"


class Objects(msgspec.Struct, frozen=True, kw_only=True):
    """What there was of jobs at one moment."""

    jobs: frozenset[str]
    """Job ids."""
    going: frozenset[str]
    """Those of them whose objects were being deleted."""
    with_secrets: frozenset[str]
    """Those of them whose environment was there as well."""


class Restored(msgspec.Struct, kw_only=True):
    """All restores of a run, summed up."""

    forgotten: set[str] = set()
    """Jobs whose object, or its Secret, was made after the copy."""
    revived: dict[str, float] = {}
    """Jobs whose object was deleted after the copy, and when (seconds since 1970) it was there again."""

    def add(self, copied: Objects, last: Objects, at: float) -> None:
        """`last`: what there was when the copy was put back."""
        self.forgotten |= (last.jobs - copied.jobs) | (last.with_secrets - copied.with_secrets)
        self.revived |= dict.fromkeys((copied.jobs - copied.going) - (last.jobs - last.going), at)


def read(data_dir: Path, namespace: str) -> Objects:
    """What the disk of a stopped API server, or a copy of it, has."""
    found = list(backups.objects(data_dir, _JOBS, namespace))
    ids = {one["metadata"]["name"]: one["spec"]["jobId"] for one in found}
    going = frozenset(ids[one["metadata"]["name"]] for one in found if "deletionTimestamp" in one["metadata"])
    owners = (
        owner["name"]
        for secret in backups.objects(data_dir, "secrets", namespace)
        for owner in secret["metadata"].get("ownerReferences") or ()
        if owner["kind"] == names.KIND
    )
    return Objects(
        jobs=frozenset(ids.values()), going=going, with_secrets=frozenset(ids[name] for name in owners if name in ids)
    )
