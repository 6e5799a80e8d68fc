"""``make kind`` as far as it goes without a container engine: what it says, what it calls, what it installs."""

import asyncio
import json
import os
import sys
from pathlib import Path

import msgspec
import yaml

from controller.domain.resources import Profiles
from tests.cluster import installed
from tests.cluster.setup import LEASE
from tests.kubeapi import serving
from tests.manifests import chart

HERE = chart.CHART.parents[1] / "dev" / "kind"
STUB = """#!/bin/sh
echo "$(basename "$0") $*" >> "{log}"
{more}
"""


def stub(folder: Path, name: str, more: str = "") -> None:
    """A program of that name that writes down how it is called."""
    path = folder / name
    path.write_text(STUB.format(log=folder / "log", more=more))
    path.chmod(0o755)


async def kind(path: str, **variables: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dev.kind"),
        env={"PATH": path, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_without_an_engine_it_says_so_and_does_nothing(tmp_path: Path) -> None:
    stub(tmp_path, "docker", "exit 1")  # installed, and no engine answers
    stub(tmp_path, "kind")
    code, output = await kind(f"{tmp_path}:{os.defpath}")
    assert (code, output) == (0, "skipped: no container engine runs here (docker or podman)\n")
    assert (tmp_path / "log").read_text() == "docker info\n"


async def test_without_kind_it_says_where_to_get_it(tmp_path: Path) -> None:
    stub(tmp_path, "docker")
    code, output = await kind(f"{tmp_path}:/bin:/usr/bin")
    assert code == 0
    assert output.startswith("skipped: kind is not installed (https://kind.sigs.k8s.io/")


async def test_a_cluster_that_could_not_be_used_is_removed(tmp_path: Path) -> None:
    stub(tmp_path, "docker", 'test "$1" != build')
    stub(tmp_path, "kubectl")
    stub(tmp_path, "kind")
    code, output = await kind(f"{tmp_path}:/bin:/usr/bin")
    assert code == 1
    assert "failed: Command" in output
    assert "'docker', 'build'" in output
    called = [line.split(" --")[0] for line in (tmp_path / "log").read_text().splitlines()]
    steps = [line for line in called if not line.startswith("kubectl")]
    assert steps == ["docker info", "kind get clusters", "kind create cluster", "docker build", "kind delete cluster"]


async def test_a_cluster_that_was_there_is_kept(tmp_path: Path) -> None:
    stub(tmp_path, "podman", 'test "$1" != build')
    stub(tmp_path, "kubectl")
    stub(tmp_path, "kind", 'test "$1" != get || echo jennah; test "$KIND_EXPERIMENTAL_PROVIDER" = podman')
    code, output = await kind(f"{tmp_path}:/bin:/usr/bin")
    assert code == 1
    assert "kept: kind export kubeconfig --name jennah" in output
    called = (tmp_path / "log").read_text()
    assert "kind export kubeconfig --name jennah" in called
    assert "kind create" not in called
    assert "kind delete" not in called


def test_the_chart_takes_its_values() -> None:
    profiles = json.loads((HERE / "profiles.json").read_text())
    values = chart.merged(yaml.safe_load((HERE / "values.yaml").read_text()), {"profiles": profiles})
    objects = chart.render(values)
    assert {one["metadata"]["name"] for one in chart.workloads(objects)} >= {"jennah-controller", "jennah-api"}
    config_map = next(one for one in objects if one["kind"] == "ConfigMap" and "profiles.json" in one["data"])
    assert msgspec.json.decode(config_map["data"]["profiles.json"], type=Profiles).resource_profiles


def test_the_suite_finds_what_the_chart_installs() -> None:
    """By the names that `tests/cluster/installed.py` goes by."""
    objects = chart.render(yaml.safe_load((HERE / "values.yaml").read_text()))
    operator, api = (chart.only(objects, "Deployment", name) for name in (installed.OPERATOR, installed.API))
    assert installed.job_namespace_of(api) == "jennah-jobs"
    [container] = chart.containers(operator)
    variables = chart.variables(container)
    assert (variables["LEASE_NAME"], variables["BATCH_PROVIDER"]) == (LEASE, "kubernetes")
    # A leader's pod is known by its identity, which begins with the pod's name.
    assert variables.get("WORKER_ID", "metadata.name") == "metadata.name"
    assert chart.only(objects, "Service", installed.API)["spec"]["ports"][0]["port"] == 8081
    for deployment, component in ((operator, "controller"), (api, "api")):
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert labels["app.kubernetes.io/component"] == component
        assert labels["app.kubernetes.io/name"] == "jennah"


async def test_an_api_server_takes_its_postgresql(tmp_path: Path) -> None:
    paths = {"Secret": "/api/v1/namespaces/default/secrets", "Service": "/api/v1/namespaces/default/services"}
    paths["Deployment"] = "/apis/apps/v1/namespaces/default/deployments"
    query = {"fieldValidation": "Strict", "dryRun": "All"}
    async with serving(tmp_path) as client:
        for document in yaml.safe_load_all((HERE / "postgres.yaml").read_text()):
            await client.call("POST", paths[document["kind"]], body=document, query=query)
