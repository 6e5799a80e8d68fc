"""What the suite makes on a cluster goes again, also after a failure, and nothing else is touched."""

from pathlib import Path

import pytest

from controller.domain.errors import NotFound
from controller.domain.phases import Phase
from controller.kube import paths
from controller.kube.client import KubeClient
from tests.cluster import belongings, clusters, rights
from tests.cluster.installation import Installation
from tests.cluster.options import Options
from tests.cluster.setup import installed
from tests.e2e.client import is_finished, is_running

SOMEBODYS = {
    "apiVersion": "jennah.alphaus.cloud/v1",
    "kind": "JennahJob",
    "metadata": {"name": "somebodys"},
    "spec": {"image": "i"},
}


async def test_a_suite_that_fails_leaves_the_cluster_as_it_was(tmp_path: Path) -> None:
    """Also where nobody empties namespaces and collects garbage, and with Kubernetes Jobs, of which operators that are
    confined to some namespaces are refused nothing. `conftest.py` looks whether this run does where somebody does."""
    (tmp_path / "kubeapi").mkdir()
    (tmp_path / "jennah").mkdir()
    made: list[Installation] = []
    async with clusters.in_memory(tmp_path / "kubeapi", has_controllers=False) as cluster:
        before = await belongings.everything(cluster.client)
        with pytest.raises(ZeroDivisionError):
            async with installed(cluster, Options(provider="kubernetes"), tmp_path / "jennah") as one:
                made.append(one)
                ended = [await one.submit(f"exit {code}", env_vars={"A": "b"}) for code in (0, 3)]
                running, cancelled = [await one.submit("sleep 600") for _ in range(2)]
                await one.wait_for([running, cancelled], is_running, "running")
                await one.call("CancelJob", {"job_id": cancelled})
                jobs = await one.wait_for([*ended, cancelled], is_finished, "finished")
                assert [job.status.phase for job in jobs.values()].count(Phase.COMPLETED) == 1
                await one.call("DeleteJob", {"job_id": cancelled})
                await one.until_gone(one.path_of(cancelled))
                assert len(await belongings.everything(cluster.client)) > len(before) + 10
                for operator in one.local.operators:
                    await operator.kill()  # nobody is left to take off finalizers
                raise ZeroDivisionError
        assert await belongings.everything(cluster.client) == before
        assert cluster.server is not None
        calls = rights.calls(cluster.server.audit_log, made[0].system)
    assert [call for call in calls if call.code == 403] == []
    used = {call.right for call in calls if call.right.account == "jennah-controller"}
    assert {right for right in used if right.group == "batch" or right.resource == "pods"} == {
        right for right in rights.granted(made[0].granted) if right.group == "batch" or right.resource == "pods"
    }
    assert not made[0].local.api.is_running


async def test_the_crd_goes_unless_it_was_there_or_is_used(tmp_path: Path) -> None:
    async with clusters.in_memory(tmp_path) as cluster:
        client = cluster.client
        async with belongings.crd(cluster):
            await client.get(paths.jobs())
        with pytest.raises(NotFound):
            await client.get(belongings.CRD)
        async with belongings.crd(cluster):
            await client.post(paths.jobs("default"), SOMEBODYS)
        assert await client.get(paths.job("default", "somebodys")), "in use: it stays"
        async with belongings.crd(cluster):
            await client.delete(paths.job("default", "somebodys"))
        assert (await client.get(paths.jobs()))["items"] == [], "there before: it stays"


async def test_a_crd_of_somebody_else_that_differs_is_left_alone(tmp_path: Path) -> None:
    async with clusters.in_memory(tmp_path) as cluster:
        manifest = belongings.manifest()
        manifest["spec"]["names"]["shortNames"] = ["theirs"]
        query = {"fieldManager": "kubectl"}
        await cluster.client.call("PATCH", belongings.CRD, body=manifest, content_type=belongings.APPLY, query=query)
        with pytest.raises(belongings.NotOurs, match="shortNames"):
            async with belongings.crd(cluster):
                raise AssertionError("it must not come to this")
        found = await cluster.client.get(belongings.CRD)
        assert found["spec"]["names"]["shortNames"] == ["theirs"]


async def test_a_namespace_is_emptied_though_a_kind_in_it_is_served_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CRD that goes while it is done: its kind was among those that were found."""
    async with clusters.in_memory(tmp_path, has_controllers=False) as cluster:
        before = await belongings.everything(cluster.client)
        found = await belongings.discover(cluster.client)
        gone = {"name": "things", "kind": "Thing", "namespaced": True, "verbs": ["deletecollection", "list"]}

        async def discover(client: KubeClient) -> list[belongings.Resource]:
            return [belongings.Resource("gone.example.com/v1", gone), *found]

        async with belongings.namespaces(cluster, {"n": {}}):
            await cluster.client.post("/api/v1/namespaces/n/configmaps", {"metadata": {"name": "c"}})
            monkeypatch.setattr(belongings, "discover", discover)
        monkeypatch.undo()
        assert await belongings.everything(cluster.client) == before
