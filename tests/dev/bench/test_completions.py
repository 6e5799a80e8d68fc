"""The watch of the benchmarks: an API server ends it at any time, and forgets what was before."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from controller.domain import names
from controller.kube import paths
from controller.kube.client import KubeClient
from dev.bench import completions
from dev.bench.installation import Installation
from tests.kubeapi import serving

CRD = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{names.PLURAL}.{names.GROUP}"


async def complete(client: KubeClient, name: str) -> None:
    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name},
        "spec": {"image": "i"},
    }
    await client.post(paths.jobs("default"), body)
    await client.merge_patch(paths.job_status("default", name), {"status": {"phase": "Completed"}})


async def test_jobs_are_seen_though_the_watch_ends_with_a_change_of_its_crd(
    tmp_path: Path,
) -> None:
    where = SimpleNamespace(namespace="default", kubeconfig=tmp_path / "kubeconfig")
    installation = cast("Installation", where)
    async with serving(tmp_path) as client:
        await complete(client, "earlier")
        async with completions.watching(installation) as found:
            await complete(client, "before")
            await found.wait_for(1, patience=30)
            await client.merge_patch(CRD, {"spec": {"names": {"shortNames": ["other"]}}})
            await complete(client, "after")
            await found.wait_for(2, patience=30)
            assert set(found.at) == {"before", "after"}
