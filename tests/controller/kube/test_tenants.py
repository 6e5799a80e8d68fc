"""The policies of tenants as Kubernetes has them: read now and then, never taken for granted."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.domain import names
from controller.domain.errors import Unavailable
from controller.kube import paths
from controller.kube.client import KubeClient
from controller.kube.tenants import REMEMBERED_SECONDS, TenantPolicies
from tests.controller.fakes import FakeClock
from tests.kubeapi import serving

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/jennahtenants.jennah.alphaus.cloud"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[KubeClient]:
    async with serving(tmp_path) as client:
        yield client


async def create(client: KubeClient, name: str, **spec: Any) -> None:
    body = {"apiVersion": names.API_VERSION, "kind": "JennahTenant", "metadata": {"name": name}, "spec": spec}
    await client.post(paths.tenants(), body)


async def test_a_change_holds_soon_and_is_not_read_for_every_job(client: KubeClient) -> None:
    clock = FakeClock()
    policies = TenantPolicies(client, clock)
    assert (await policies.policy_for("team-a")).source == "the built-in policy"
    await create(client, "team-a", allow={"queues": ["q"]})
    assert (await policies.policy_for("team-a")).source == "the built-in policy"
    await clock.advance(REMEMBERED_SECONDS)
    assert (await policies.policy_for("team-a")).spec.allow.queues == ("q",)


async def test_prefixes_that_cover_anothers_are_warned_of_once(
    client: KubeClient, caplog: pytest.LogCaptureFixture
) -> None:
    await create(client, "a", allow={"secrets": ["projects/p/secrets/a-*"]})
    await create(client, "a-prod", allow={"secrets": ["projects/p/secrets/a-prod-*"]})
    clock = FakeClock()
    policies = TenantPolicies(client, clock)
    for _ in range(3):
        await policies.policy_for("a")
        await clock.advance(REMEMBERED_SECONDS)
    told = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 1 and "a-prod" in told[0].getMessage()


async def test_without_the_kind_the_built_in_policy_holds(client: KubeClient) -> None:
    await client.delete(CRD)
    assert (await TenantPolicies(client, FakeClock()).policy_for("team-a")).source == "the built-in policy"


async def test_a_policy_that_cannot_be_read_is_none(client: KubeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def get(path: str, **query: str) -> dict[str, Any]:
        raise Unavailable("no answer")

    monkeypatch.setattr(client, "get", get)
    with pytest.raises(Unavailable):
        await TenantPolicies(client, FakeClock()).policy_for("team-a")
