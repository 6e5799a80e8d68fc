"""What a restored Kubernetes has lost and got back is read from the disks, job by job."""

import json
from pathlib import Path

from controller.domain import names
from dev.chaos.restores import Objects, Restored, read
from dev.kubeapi.database import Database


def objects(*jobs: str, going: tuple[str, ...] = (), secrets: tuple[str, ...] = ()) -> Objects:
    return Objects(jobs=frozenset(jobs), going=frozenset(going), with_secrets=frozenset(secrets))


def test_the_disk_tells_jobs_and_their_secrets_of_the_namespace_alone(tmp_path: Path) -> None:
    database = Database(tmp_path / "objects.db")
    jobs = f"{names.PLURAL}.{names.GROUP}"
    for namespace, name in (("ours", "a"), ("ours", "b"), ("theirs", "c")):
        job = {"metadata": {"name": f"{name}-1"}, "spec": {"jobId": name}}
        database.put(jobs, namespace, name, json.dumps(job).encode())
    going = {"name": "d-1", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    database.put(jobs, "ours", "d", json.dumps({"metadata": going, "spec": {"jobId": "d"}}).encode())
    owners = [{"kind": names.KIND, "name": "a-1"}]
    for name, metadata in (("s1", {"name": "s1", "ownerReferences": owners}), ("s2", {"name": "s2"})):
        database.put("secrets", "ours", name, json.dumps({"metadata": metadata}).encode())
    database.close()
    assert read(tmp_path, "ours") == objects("a", "b", "d", going=("d",), secrets=("a",))


def test_what_was_made_after_the_copy_is_forgotten_and_what_went_after_it_comes_back() -> None:
    restored = Restored()
    restored.add(objects("old", "deleted"), objects("old", "new"), at=1)
    assert (restored.forgotten, restored.revived) == ({"new"}, {"deleted": 1})
    restored.add(objects("old", "slow"), objects("old", "slow", secrets=("slow",)), at=2)
    assert restored.forgotten == {"new", "slow"}, "a job waits for its environment, and that is gone"
    restored.add(objects("deleted"), objects(), at=3)
    assert restored.revived == {"deleted": 3}


def test_an_object_whose_deletion_had_begun_comes_back_without_it_or_is_forgotten() -> None:
    restored = Restored()
    restored.add(
        objects("old", "both", going=("both",)), objects("old", "both", "new", going=("old", "both", "new")), 1
    )
    assert (restored.forgotten, restored.revived) == ({"new"}, {"old": 1})
