"""The policies of tenants as Kubernetes has them: read now and then, never taken for granted."""

import asyncio
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
from tests.controller.fakes import FakeClock, settle
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


async def test_a_kind_that_had_policies_and_is_gone_is_an_outage(client: KubeClient) -> None:
    """A CRD that is replaced must not fail the jobs that come in that moment."""
    await create(client, "team-a", allow={"queues": ["q"]})
    clock = FakeClock()
    policies = TenantPolicies(client, clock)
    await policies.policy_for("team-a")
    await client.delete(CRD)
    await clock.advance(REMEMBERED_SECONDS)
    with pytest.raises(Unavailable):
        await policies.policy_for("team-a")


async def test_all_who_wait_for_policies_share_one_answer(monkeypatch: pytest.MonkeyPatch, client: KubeClient) -> None:
    """Each in turn, a hundred callers would wait for a hundred time limits."""
    asked: list[asyncio.Future[dict[str, Any]]] = []

    async def get(path: str, **query: str) -> dict[str, Any]:
        asked.append(asyncio.get_running_loop().create_future())
        return await asked[-1]

    monkeypatch.setattr(client, "get", get)
    policies = TenantPolicies(client, FakeClock())
    waiting = [asyncio.create_task(policies.policy_for(f"t{number}")) for number in range(100)]
    await settle()
    waiting[0].cancel()
    asked[0].set_exception(Unavailable("no answer"))
    await settle()
    assert [task.done() for task in waiting] == [True] * 100 and len(asked) == 1
    assert all(isinstance(task.exception(), Unavailable) for task in waiting[1:])
    again = asyncio.create_task(policies.policy_for("t"))
    await settle()
    asked[1].set_result({"items": []})
    assert (await again).source == "the built-in policy"
