"""The chart's admission policies: whose a job is, who writes its status, where it runs and as whom. One test a rule.

They are bound to namespaces of this file only; where the chart is installed (E2E_INSTALLED) its own are tried, if it
has them. Writers are played by impersonation, as `kubectl --as` does it.
"""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from controller.domain import names
from controller.kube import paths
from controller.kube.client import MERGE_PATCH, Object, open_session
from tests.cluster import accounts, belongings, clusters, options

MASTERS = "system:masters"
LIMIT_SECONDS = 60.0
VALUES: dict[str, Any] = {
    "provider": {"name": "gcp", "region": "r", "gcp": {"projectId": "p"}},
    "database": {"provider": "postgres", "endpointSecret": {"name": "unused"}},
    "api": {"auth": {"tokensSecret": {"name": "unused"}}},
}


class Tenants:
    """Namespaces under the policies: `team`, labelled with the tenant blue, and `plain`, without a label; the programs'
    own is `system`."""

    def __init__(self, cluster: clusters.Cluster, session: aiohttp.ClientSession, host: str, token: str) -> None:
        self.cluster = cluster
        self._session = session
        self._host = host
        self._token = token
        suffix = secrets.token_hex(3)
        self.system = options.read().installed or f"policy-{suffix}"
        self.team, self.plain = f"policy-{suffix}-team", f"policy-{suffix}-plain"
        self.api = f"system:serviceaccount:{self.system}:jennah-api"
        self.controller = f"system:serviceaccount:{self.system}:jennah-controller"
        self.user = "ann"
        self.owner = f"owner-{suffix}"
        """Who may change namespaces, and is in no group of administrators."""

    async def create(self, user: str, namespace: str, *, keep: bool = False, labels: Any = None, **spec: str) -> str:
        """Create a job as that user; what the refusal says, empty where there is none. Without `keep` a dry run."""
        metadata = {"name": f"j-{secrets.token_hex(4)}" if not keep else "kept", "labels": labels or {}}
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": metadata,
            "spec": {"image": "busybox:1.36", **spec},
        }
        return await self._write(user, "POST", paths.jobs(namespace), body, dry_run=not keep)

    async def change(self, user: str, namespace: str, patch: Object, *, status: bool = False) -> str:
        """Change the kept job as that user."""
        path = paths.job_status(namespace, "kept") if status else paths.job(namespace, "kept")
        return await self._write(user, "PATCH", path, patch, dry_run=False)

    async def label(self, user: str, namespace: str, tenant: str, subresource: str = "") -> str:
        """Label a namespace as that user, in a dry run."""
        body = {"metadata": {"labels": {names.LABEL_TENANT: tenant}}}
        return await self._write(user, "PATCH", paths.namespace(namespace) + subresource, body, dry_run=True)

    async def make(self, user: str, path: str, body: Object, group: str = MASTERS) -> str:
        """Create something else than a JennahJob as that user, in a dry run."""
        made = {"metadata": {"name": "made"}} | body
        return await self._write(user, "POST", path, made, dry_run=True, group=group)

    async def _write(
        self, user: str, method: str, path: str, body: Object, *, dry_run: bool, group: str = MASTERS
    ) -> str:
        headers = {"Impersonate-User": user} | ({} if user == self.owner else {"Impersonate-Group": group})
        headers["Content-Type"] = MERGE_PATCH if method == "PATCH" else "application/json"
        if self._token:
            headers["Authorization"] = self._token
        query = {"dryRun": "All"} if dry_run else {}
        url = self._host + path
        async with self._session.request(method, url, json=body, headers=headers, params=query) as response:
            reply = await response.json()
        if response.status < 300:
            return ""
        assert (response.status, reply["reason"]) == (403, "Forbidden"), reply
        message = str(reply["message"])
        assert "ValidatingAdmissionPolicy" in message
        return message.partition("denied request: ")[2]

    async def until(self, is_refused: bool) -> None:
        """Until the policies hold, or hold no longer: an API server takes them up some time later, and one by one."""
        probe = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": "probe"}}
        await self.cluster.client.post(paths.jobs(self.plain), probe | {"spec": {"image": "i", "suspend": True}})
        status = paths.job_status(self.plain, "probe")
        async with asyncio.timeout(LIMIT_SECONDS):
            for namespace in (self.team, self.plain):
                while bool(await self.create(self.user, namespace, jobId="probe")) != is_refused:
                    await asyncio.sleep(0.1)
            while bool(await self._write(self.user, "PATCH", status, {"status": {}}, dry_run=True)) != is_refused:
                await asyncio.sleep(0.1)
            while bool(await self.label(self.owner, self.plain, "probe")) != is_refused:
                await asyncio.sleep(0.1)
            while bool(await self.make(self.controller, job_path(self.system), JOB)) != is_refused:
                await asyncio.sleep(0.1)
            while bool(await self.make(self.user, pod_path(self.system), PROGRAM)) != is_refused:
                await asyncio.sleep(0.1)
        await self.cluster.client.delete(paths.job(self.plain, "probe"))


def job_path(namespace: str) -> str:
    return f"/apis/batch/v1/namespaces/{namespace}/jobs"


def pod_path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods"


POD = {"containers": [{"name": "task", "image": "busybox:1.36"}], "restartPolicy": "Never"}
JOB = {"spec": {"template": {"spec": POD}}}
PROGRAM = {"spec": POD | {"serviceAccountName": "jennah-controller"}}


def belongings_of(tenants: Tenants) -> list[Object]:
    """What the users here need beside the policies."""
    group, name = "rbac.authorization.k8s.io", tenants.owner
    rules = [{"apiGroups": [""], "resources": ["namespaces", "namespaces/status"], "verbs": ["patch"]}]
    role = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": group, "kind": "User", "name": name}],
    }
    if options.read().installed:
        return [role, binding]
    account = {"metadata": {"name": "jennah-controller", "namespace": tenants.system}}
    return [role, binding, {"apiVersion": "v1", "kind": "ServiceAccount", **account}]


POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"


async def policies(tenants: Tenants) -> list[Object]:
    """What is to be made; nothing where an installed chart has them already."""
    if options.read().installed:
        found = (await tenants.cluster.client.get(POLICIES))["items"]
        if not any("jennah-controller" in json.dumps(each) for each in found):
            pytest.skip("the chart is installed without its admission policies")
        return []
    own = {"watchNamespaces": [tenants.team, tenants.plain], "jobNamespace": {"name": tenants.plain, "create": False}}
    rendered = accounts.render(tenants.system, VALUES | own)
    return [doc for doc in rendered if doc["apiVersion"].startswith("admissionregistration.k8s.io/")]


def namespaces_of(made: Tenants) -> dict[str, dict[str, str]]:
    """With their labels; that of an installed chart is there."""
    own: dict[str, dict[str, str]] = {made.team: {names.LABEL_TENANT: "blue"}, made.plain: {}}
    return own if options.read().installed else {**own, made.system: {}}


@contextlib.asynccontextmanager
async def connected(cluster: clusters.Cluster) -> AsyncIterator[Tenants]:
    configuration = await clusters.configuration_of(cluster.kubeconfig)
    token = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
    async with open_session(configuration, limit=4) as session:
        yield Tenants(cluster, session, configuration.host, token or "")


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def tenants(cluster: clusters.Cluster) -> AsyncIterator[Tenants]:
    async with contextlib.AsyncExitStack() as stack:
        made = await stack.enter_async_context(connected(cluster))
        await stack.enter_async_context(belongings.crd(cluster))
        await stack.enter_async_context(belongings.namespaces(cluster, namespaces_of(made)))
        await stack.enter_async_context(belongings.objects(cluster, [*belongings_of(made), *await policies(made)]))
        await made.until(is_refused=True)
        yield made


async def test_a_job_belongs_to_the_tenant_of_its_namespaces_label(tenants: Tenants) -> None:
    assert not await tenants.create(tenants.user, tenants.team)
    assert not await tenants.create(tenants.user, tenants.team, tenantId="blue")
    refusal = await tenants.create(tenants.user, tenants.team, tenantId="red")
    where = f"jobs of the namespace {tenants.team} belong to the tenant blue"
    assert refusal == f"spec.tenantId is red, but {where}"
    assert await tenants.create(tenants.user, tenants.team, tenantId=tenants.team)


async def test_without_a_label_jobs_are_the_namespaces_own_and_name_no_tenant(tenants: Tenants) -> None:
    assert not await tenants.create(tenants.user, tenants.plain)
    for tenant in ("red", tenants.plain):
        refusal = await tenants.create(tenants.user, tenants.plain, tenantId=tenant)
        assert f"belong to the tenant ns:{tenants.plain}" in refusal


async def test_only_the_api_sets_another_tenant_or_a_job_id(tenants: Tenants) -> None:
    for namespace in (tenants.team, tenants.plain):
        assert not await tenants.create(tenants.api, namespace, tenantId="red", jobId="one")
        for user in (tenants.user, tenants.controller):
            assert await tenants.create(user, namespace, jobId="one") == "only Jennah's API sets spec.jobId"
            assert await tenants.create(user, namespace, tenantId="red")


async def test_a_jobs_tenant_label_is_that_of_its_tenant(tenants: Tenants) -> None:
    def labelled(tenant: str) -> dict[str, str]:
        return {names.LABEL_TENANT: tenant, "team": "a"}

    told = f"the label {names.LABEL_TENANT} of a job is that of its tenant"
    assert not await tenants.create(tenants.user, tenants.team, labels=labelled("blue"))
    assert await tenants.create(tenants.user, tenants.team, labels=labelled("red")) == told
    assert await tenants.create(tenants.user, tenants.plain, labels=labelled("blue")) == told
    assert not await tenants.create(tenants.api, tenants.team, labels=labelled("red"), tenantId="red")


@pytest_asyncio.fixture(loop_scope="package")
async def kept(tenants: Tenants) -> AsyncIterator[Tenants]:
    """With a job of the API in `plain`, of the tenant red."""
    labels = {names.LABEL_TENANT: "red", names.LABEL_JOB_ID: "kept"}
    assert not await tenants.create(tenants.api, tenants.plain, keep=True, labels=labels, tenantId="red", jobId="kept")
    yield tenants
    await tenants.cluster.client.delete(paths.job(tenants.plain, "kept"))


async def test_a_job_of_another_tenant_can_be_cancelled_and_annotated_by_who_may_change_it(kept: Tenants) -> None:
    for user in (kept.user, kept.api, kept.controller):
        change = {"metadata": {"annotations": {"note": user}}, "spec": {"cancel": True}}
        assert not await kept.change(user, kept.plain, change)
    for label in ("red", None):
        assert not await kept.change(kept.user, kept.plain, {"metadata": {"labels": {names.LABEL_TENANT: label}}})


async def test_only_the_controller_moves_a_jobs_tenant_label(kept: Tenants) -> None:
    moved = {"metadata": {"labels": {names.LABEL_TENANT: "green"}}}
    assert await kept.change(kept.user, kept.plain, moved)
    assert not await kept.change(kept.controller, kept.plain, moved)
    # What is there already is nobody's fault.
    assert not await kept.change(kept.user, kept.plain, {"metadata": {"annotations": {"note": "x"}}})


async def test_only_the_controller_writes_a_status(kept: Tenants) -> None:
    status = {"status": {"phase": "Completed"}}
    told = "only Jennah's controller writes the status of a job"
    for user in (kept.user, kept.api):
        assert await kept.change(user, kept.plain, status, status=True) == told
    assert not await kept.change(kept.controller, kept.plain, status, status=True)


async def test_a_job_that_is_older_than_its_namespaces_label_goes_on(kept: Tenants) -> None:
    namespace, label = paths.namespace(kept.plain), names.LABEL_TENANT
    await kept.cluster.client.merge_patch(namespace, {"metadata": {"labels": {label: "green"}}})
    try:
        for user in (kept.user, kept.controller):
            change = {"metadata": {"finalizers": [names.FINALIZER]}, "spec": {"suspend": True}}
            assert not await kept.change(user, kept.plain, change)
            assert not await kept.change(user, kept.plain, {"metadata": {"finalizers": None}})
    finally:
        await kept.cluster.client.merge_patch(namespace, {"metadata": {"labels": {label: None}}})


async def test_the_tenant_of_a_namespace_is_set_by_administrators(tenants: Tenants) -> None:
    told = (
        f"the label {names.LABEL_TENANT} of a namespace may be set by the groups of tenancy.namespaceLabelGroups only"
    )
    for namespace in (tenants.team, tenants.plain):
        assert await tenants.label(tenants.owner, namespace, "red") == told
        assert not await tenants.label(tenants.user, namespace, "red")
    assert not await tenants.label(tenants.owner, tenants.team, "blue"), "it is that already"


async def test_the_label_is_not_written_through_a_subresource(tenants: Tenants) -> None:
    """Where the server takes it there it is refused; elsewhere it does nothing."""
    refusal = await tenants.label(tenants.owner, tenants.plain, "red", "/status")
    if tenants.cluster.server is None:
        assert "may be set by the groups" in refusal


async def test_the_controller_makes_jobs_and_secrets_where_it_was_installed_for(tenants: Tenants) -> None:
    for path, body in ((job_path, JOB), (paths.secrets, {})):
        assert not await tenants.make(tenants.controller, path(tenants.team), body)
        refusal = await tenants.make(tenants.controller, path(tenants.system), body)
        assert refusal == f"Jennah's controller makes nothing in its own namespace, {tenants.system}"
        assert "in the namespaces that it was installed for" in await tenants.make(
            tenants.controller, path("kube-system"), body
        )
        assert not await tenants.make(tenants.user, path(tenants.system), body), "others may"


async def test_only_the_programs_own_pods_run_as_their_accounts(tenants: Tenants) -> None:
    told = "the accounts of Jennah's programs are those of its own Deployments only"
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "uid": "u", "name": "jennah-controller-1"}
    replica = PROGRAM | {"metadata": {"name": "made", "ownerReferences": [owner]}}
    assert await tenants.make(tenants.user, pod_path(tenants.system), replica) == told
    manager = "system:kube-controller-manager"
    assert await tenants.make(manager, pod_path(tenants.system), PROGRAM) == told
    assert not await tenants.make(manager, pod_path(tenants.system), replica)
    assert not await tenants.make(tenants.user, pod_path(tenants.system), {"spec": POD})


@pytest.mark.skipif(bool(options.read().installed), reason="the policies are not the suite's to take back")
async def test_an_administrator_takes_the_policies_back_by_their_bindings(cluster: clusters.Cluster) -> None:
    async with contextlib.AsyncExitStack() as stack:
        made = await stack.enter_async_context(connected(cluster))
        await stack.enter_async_context(belongings.crd(cluster))
        await stack.enter_async_context(belongings.namespaces(cluster, namespaces_of(made)))
        made_policies = await policies(made)
        await stack.enter_async_context(belongings.objects(cluster, [*belongings_of(made), *made_policies]))
        await made.until(is_refused=True)
        for doc in made_policies:
            if doc["kind"] == "ValidatingAdmissionPolicyBinding":
                await cluster.client.delete(f"{BINDINGS}/{doc['metadata']['name']}")
        await made.until(is_refused=False)
