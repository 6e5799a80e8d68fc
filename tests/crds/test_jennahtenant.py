"""The JennahTenant as the API server takes it, and as the code reads it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from controller.domain import names
from controller.domain.errors import Invalid
from controller.domain.tenants import Allow, Identity, Maxima, TenantSpec, parse
from controller.kube import paths
from controller.kube.client import KubeClient
from tests.kubeapi import CRDS, serving

SCHEMA = yaml.safe_load((CRDS / "jennahtenant.yaml").read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SAMPLES = sorted((CRDS.parent / "manifests" / "samples" / "tenants").glob("*.yaml"))


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[KubeClient]:
    async with serving(tmp_path) as client:
        yield client


def tenant(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": names.API_VERSION, "kind": "JennahTenant", "metadata": {"name": "t"}, "spec": spec}


def fields(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


def test_the_schema_has_the_fields_of_the_code_and_each_is_described() -> None:
    spec = SCHEMA["properties"]["spec"]["properties"]
    assert set(spec) == fields(TenantSpec)
    for name, kind in (("allow", Allow), ("maxima", Maxima), ("identity", Identity)):
        assert set(spec[name]["properties"]) == fields(kind)
        assert all(one.get("description") for one in spec[name]["properties"].values())
    assert all(one.get("description") for one in spec.values())


@pytest.mark.parametrize(
    "spec",
    [
        {"allow": {"secrets": [""]}},
        {"allow": {"secrets": ["*"]}},
        {"allow": {"secrets": ["projects/p/secrets/team-a*"]}},
        {"allow": {"secrets": ["projects/*/secrets/x"]}},
        {"allow": {"queues": ["*"]}},
        {"allow": {"queues": ["team-a*"]}},
        {"allow": {"serviceAccounts": ["team-a*"]}},
        {"allow": {"queues": ["a*b"]}},
        {"allow": {"imageRegistries": ["*"]}},
        {"allow": {"imageRegistries": [""]}},
        {"allow": {"tolerations": ["a=*"]}},
        {"trusted": True, "allow": {"queues": ["q"]}},
        {"maxima": {"cpu": "many"}},
        {"maxima": {"completions": 0}},
        {"tenantId": ""},
    ],
)
async def test_what_says_nothing_or_everything_by_accident_is_refused(client: KubeClient, spec: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await client.post(paths.tenants(), tenant(**spec))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
async def test_the_samples_are_taken_and_read(client: KubeClient, sample: Path) -> None:
    made = await client.post(paths.tenants(), yaml.safe_load(sample.read_text()))
    assert parse(made).spec != TenantSpec()


def test_there_are_samples() -> None:
    assert len(SAMPLES) >= 3
