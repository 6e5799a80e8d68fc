"""Helm's whole life of a release on an API server: install, upgrade, rollback, uninstall, and what outlives it."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.domain.errors import NotFound
from controller.kube.client import KubeClient
from dev.emulators.kubernetes import detection
from dev.manifests import files, helm
from tests.manifests import chart
from tests.manifests.cases import DEFAULT
from tests.manifests.chart import Values, merged
from tests.manifests.conftest import is_somebodys, remove_namespaces
from tests.manifests.releases import CRD, Release


@pytest.fixture
async def release(client: KubeClient, kubeconfig: Path, tmp_path: Path) -> AsyncIterator[Release]:
    is_confined = is_somebodys(kubeconfig)
    has_job_controller = is_confined and await detection.has_controllers(client)
    release = Release(client, kubeconfig, tmp_path, is_confined=is_confined, has_job_controller=has_job_controller)
    async with release.job_controller():
        yield release
        await release.uninstall()
    if is_confined:
        await remove_namespaces(kubeconfig, (release.name, release.jobs))
    await release.remove_crds()


@pytest.fixture
async def values(client: KubeClient) -> Values:
    """With the CRD, unless it is in this cluster already."""
    try:
        await client.get(CRD)
    except NotFound:
        return DEFAULT
    return merged(DEFAULT, {"crds": {"install": False}})


@pytest.fixture
def with_crd(values: Values) -> Values:
    if values is not DEFAULT:
        pytest.skip("the cluster has the CRD already")
    return values


async def test_install_upgrade_rollback_and_uninstall(release: Release, values: Values) -> None:
    notes = await release.install(values)
    assert f"kubectl -n {release.name} rollout status deploy/{release.name}-controller" in notes
    assert (await release.status(), await release.replicas()) == ("deployed", 2)
    await release.upgrade(merged(values, {"controller": {"replicas": 3}}))
    assert (await release.status(), await release.replicas()) == ("deployed", 3)
    await release.helm("rollback", "1")
    assert (await release.status(), await release.replicas()) == ("deployed", 2)
    # The schema is made before the first pod, and brought up to date before the next ones; never taken back.
    assert release.migrations == [False, True]
    assert await release.get("apis/batch/v1", "jobs", f"{release.name}-migrate") is None
    assert await release.get("api/v1", "serviceaccounts", f"{release.name}-migrate") is None
    await release.helm("uninstall")
    for group, plural, name in [
        ("apis/apps/v1", "deployments", "controller"),
        ("apis/apps/v1", "deployments", "api"),
        ("api/v1", "serviceaccounts", "controller"),
        ("apis/policy/v1", "poddisruptionbudgets", "api"),
        ("apis/networking.k8s.io/v1", "networkpolicies", "api"),
        ("apis/rbac.authorization.k8s.io/v1", "roles", "controller-lease"),
    ]:
        assert await release.get(group, plural, f"{release.name}-{name}") is None


async def test_a_migration_that_fails_stops_the_upgrade_and_keeps_its_job(release: Release, values: Values) -> None:
    await release.install(values)
    release.migrates = False
    with pytest.raises(helm.HelmError, match="pre-upgrade hooks failed"):
        await release.upgrade(merged(values, {"controller": {"replicas": 5}}))
    assert (await release.status(), await release.replicas()) == ("failed", 2)
    job = await release.get("apis/batch/v1", "jobs", f"{release.name}-migrate")
    assert job is not None, "for its logs"
    release.migrates = True
    await release.upgrade(merged(values, {"controller": {"replicas": 4}}))
    assert (await release.status(), await release.replicas()) == ("deployed", 4)


async def test_an_upgrade_brings_the_crd_up_to_date(
    release: Release, with_crd: Values, client: KubeClient, tmp_path: Path
) -> None:
    older = tmp_path / "chart"
    shutil.copytree(chart.CHART, older)
    definition = yaml.safe_load(files.CRD.read_text())
    columns = definition["spec"]["versions"][0]["additionalPrinterColumns"]
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    del spec["properties"]["ttlSecondsAfterFinished"]  # a field that no rule names: else there could be no such CRD
    definition["spec"]["versions"][0]["additionalPrinterColumns"] = columns[:2]
    (older / "files" / files.CRD.name).write_text(yaml.safe_dump(definition))

    async def served() -> tuple[bool, int]:
        version = (await client.get(CRD))["spec"]["versions"][0]
        spec: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        return "ttlSecondsAfterFinished" in spec, len(version["additionalPrinterColumns"])

    await release.install(with_crd, older)
    assert await served() == (False, 2)
    await release.upgrade(with_crd)
    assert await served() == (True, len(columns))


async def test_jobs_outlive_the_release_and_the_next_one_finds_them(
    release: Release, with_crd: Values, client: KubeClient
) -> None:
    await release.install(with_crd)
    path = f"/apis/jennah.alphaus.cloud/v1/namespaces/{release.jobs}/jennahjobs"
    job = {
        "apiVersion": "jennah.alphaus.cloud/v1",
        "kind": "JennahJob",
        "metadata": {"name": "kept"},
        "spec": {"image": "busybox:1.36"},
    }
    uid = (await client.post(path, job))["metadata"]["uid"]
    await release.helm("uninstall")
    assert (await client.get(f"{path}/kept"))["metadata"]["uid"] == uid
    await release.install(with_crd)
    assert await release.status() == "deployed"
    assert (await client.get(f"{path}/kept"))["metadata"]["uid"] == uid


async def test_a_package_is_the_chart(tmp_path: Path) -> None:
    await asyncio.to_thread(helm.run, "package", chart.CHART, "--destination", tmp_path)
    [package] = tmp_path.glob("jennah-*.tgz")
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(DEFAULT))
    rendered = [helm.run("template", chart.RELEASE, source, "--values", values) for source in (package, chart.CHART)]
    assert rendered[0] == rendered[1]
    assert "kind: CustomResourceDefinition" in rendered[0]
