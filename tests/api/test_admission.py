"""SubmitJob says at once what the tenant's policy does not allow, and makes nothing."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from controller.kube import paths
from controller.kube.client import KubeClient
from controller.stores.sqlite import SqliteStore
from tests.api.conftest import trusted
from tests.api.harness import Api, serving

TENANT = "confined"


@pytest.fixture(autouse=True)
async def policy(kube: KubeClient) -> AsyncIterator[str]:
    """The path of the tenant's own policy: it may name one account."""
    spec = {"allow": {"serviceAccounts": ["own@project"]}, "maxima": {"completions": 10}}
    await kube.post(paths.tenants(), {**trusted(TENANT), "spec": spec})
    path = f"{paths.tenants()}/{TENANT}"
    yield path
    await kube.delete(path)


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ({"service_account": "theirs@project"}, "'theirs@project' is not in allow.serviceAccounts of JennahTenant"),
        ({"env_vars": {"JENNAH_TASK_COUNT": "11"}}, "spec.completions: 11 is more than maxima.completions"),
    ],
)
async def test_what_is_not_allowed_is_denied_with_field_and_rule(api: Api, field: dict[str, Any], told: str) -> None:
    before = await api.count()
    reply = await api.submit(tenant=TENANT, **field)
    assert (reply.status, reply.code) == (403, "permission_denied")
    assert told in reply.message
    assert await api.count() == before


async def test_what_is_listed_is_taken(api: Api) -> None:
    assert (await api.submit(tenant=TENANT, service_account="own@project")).status == 200


async def test_a_job_that_was_taken_before_is_still_answered_for(
    api: Api, kube: KubeClient, store: SqliteStore, policy: str
) -> None:
    request = {"job_id": "0f0e0d0c-0b0a-4908-8706-050403020100", "service_account": "own@project"}
    first = await api.submit(tenant=TENANT, **request)
    await kube.merge_patch(policy, {"spec": {"allow": None}})
    async with serving(kube, store) as other:
        again = await other.submit(tenant=TENANT, **request)
        assert (again.status, again.json) == (200, first.json)
        assert (await other.submit(tenant=TENANT, service_account="own@project")).code == "permission_denied"
