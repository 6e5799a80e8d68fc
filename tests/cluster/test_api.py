"""The DeploymentService as the Gateway and curl call it, and what becomes of a call in the cluster."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest

from controller.domain import names
from controller.domain.errors import NotFound
from controller.domain.phases import Phase
from controller.kube import paths
from controller.kube.client import Object
from tests.cluster import accounts
from tests.cluster.installation import Installation
from tests.e2e.client import RPC, is_finished, is_running

SECRET = "s3cr3t-v4lu3"
"""Of a variable."""


async def refused(jennah: Installation, method: str, request: dict[str, object], tenant: str = "") -> str:
    """The code of a call that must fail."""
    url = f"{jennah.programs.api_url}{RPC}{method}"
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, json=request, headers={"X-Tenant-Id": tenant or jennah.tenant}) as response,
    ):
        assert response.status >= 400
        return str((await response.json())["code"])


async def test_a_job_from_submit_to_delete(jennah: Installation) -> None:
    job_id = await jennah.submit("exit 0", name="by the API", resource_profile="small")
    assert job_id in await jennah.rows(), "at once"
    jobs = await jennah.wait_for([job_id], is_finished, "finished")
    row = await jennah.get(job_id)
    assert (row["status"], row["name"]) == ("COMPLETED", "by the API")
    assert row["gcpBatchJobPath"] == jobs[job_id].status.resource_path
    notes = (await jennah.call("ListNotifications", {"limit": 100}))["notifications"]
    assert [note["finalStatus"] for note in notes if note["jobId"] == job_id] == ["COMPLETED"]
    await jennah.call("DeleteJob", {"job_id": job_id})
    assert await refused(jennah, "GetJob", {"job_id": job_id}) == "not_found"
    await jennah.until_gone(jennah.path_of(job_id, "by the API"))


async def test_values_of_variables_are_in_a_secret_that_the_job_owns(jennah: Installation) -> None:
    """And nowhere else: not in the object, nor its events. `test_afterwards` looks into what the programs printed."""
    good = await jennah.submit('case "$PASSWORD" in s3*3) exit 0;; esac; exit 1', env_vars={"PASSWORD": SECRET})
    bad = await jennah.submit("exit 1", env_vars={"PASSWORD": SECRET}, name="fails")
    jobs = await jennah.wait_for([good, bad], is_finished, "finished")
    assert jobs[bad].status.phase is Phase.FAILED
    if jennah.runs_commands:
        assert jobs[good].status.phase is Phase.COMPLETED
    for name in (good, bad):
        path = jennah.path_of(name, jobs[name].spec.display_name or "")
        secret = await env_secret(jennah, path)
        owner = secret["metadata"]["ownerReferences"][0]
        assert (owner["kind"], owner["uid"]) == ("JennahJob", jobs[name].metadata.uid)
        assert base64.b64decode(secret["data"]["PASSWORD"]).decode() == SECRET
        assert SECRET not in str(await jennah.kube.get(path))
    assert SECRET not in str(await jennah.kube.get(paths.events(jennah.namespace)))


async def env_secret(jennah: Installation, path: str) -> Object:
    """The Secret that the API made for a job's env_vars."""
    (source,) = (await jennah.kube.get(path))["spec"]["envFrom"]
    return await jennah.kube.get(paths.secret(jennah.namespace, source["secretRef"]["name"]))


@pytest.mark.controllers
async def test_the_secret_goes_with_its_job(jennah: Installation) -> None:
    job_id = await jennah.submit("exit 0", env_vars={"PASSWORD": "x"})
    await jennah.wait_for([job_id], is_finished, "finished")
    name = (await env_secret(jennah, jennah.path_of(job_id)))["metadata"]["name"]
    await jennah.kube.delete(jennah.path_of(job_id))
    await jennah.until_gone(paths.secret(jennah.namespace, name))


async def test_a_call_that_is_made_again_makes_no_second_job(jennah: Installation) -> None:
    gate, name = jennah.gate(), f"once-{jennah.instance}"
    first = await asyncio.gather(*(jennah.submit(gate.script, job_id=name, env_vars={"A": "1"}) for _ in range(5)))
    assert set(first) == {name}
    await jennah.wait_for([name], is_running, "running")
    assert await jennah.submit(gate.script, job_id=name, env_vars={"A": "1"}) == name
    gate.open()
    job = (await jennah.wait_for([name], is_finished, "finished"))[name]
    assert await gate.runs(job) == 1
    other = {"image_uri": "another", "job_id": name}
    assert await refused(jennah, "SubmitJob", other) == "already_exists"


async def test_a_running_job_is_cancelled_and_a_finished_one_is_not(jennah: Installation) -> None:
    finished, job_id = await jennah.submit("exit 0"), await jennah.submit("sleep 600")
    await jennah.wait_for([job_id], is_running, "running")
    await jennah.call("CancelJob", {"job_id": job_id})
    jobs = await jennah.wait_for([finished, job_id], is_finished, "finished")
    assert jobs[job_id].status.phase is Phase.CANCELLED
    assert (await jennah.get(job_id))["status"] == "CANCELLED"
    assert await refused(jennah, "CancelJob", {"job_id": finished}) == "invalid_argument"


async def test_a_running_job_that_is_deleted_ends_and_leaves_no_record(jennah: Installation) -> None:
    gate = jennah.gate()
    job_id = await jennah.submit(gate.script)
    jobs = await jennah.wait_for([job_id], is_running, "running")
    await jennah.call("DeleteJob", {"job_id": job_id})
    await jennah.until_gone(jennah.path_of(job_id))
    assert not await gate.is_alive(jobs[job_id])
    assert await refused(jennah, "GetJob", {"job_id": job_id}) == "not_found"


async def test_a_tenant_sees_and_touches_its_own_jobs_alone(jennah: Installation) -> None:
    job_id = await jennah.submit("exit 0")
    await jennah.wait_for([job_id], is_finished, "finished")
    for method in ("GetJob", "CancelJob", "DeleteJob"):
        assert await refused(jennah, method, {"job_id": job_id}, f"{jennah.tenant}-x") == "not_found"
    assert await jennah.rows(f"{jennah.tenant}-x") == {}
    assert (await jennah.get(job_id))["status"] == "COMPLETED"


async def test_what_kubectl_made_is_the_tenants_whose_namespace_it_is_in(jennah: Installation) -> None:
    made = await jennah.create("by-kubectl", "exit 0", jennah.team)
    await jennah.wait_for(["by-kubectl"], is_finished, "finished", jennah.team)
    assert made.job_id in await jennah.rows(jennah.team_tenant)
    assert await refused(jennah, "GetJob", {"job_id": made.job_id}) == "not_found"
    await jennah.call("DeleteJob", {"job_id": made.job_id}, jennah.team_tenant)
    await jennah.until_gone(paths.job(jennah.team, "by-kubectl"))
    with pytest.raises(NotFound):
        await jennah.job("by-kubectl", jennah.team)


RBAC = "/apis/rbac.authorization.k8s.io/v1"


@contextlib.asynccontextmanager
async def may_act(jennah: Installation, account: str, tenant: str) -> AsyncIterator[None]:
    """While the block runs, that account of our namespace may act for the tenant."""
    name = f"{jennah.instance}-acts"
    rule = {"apiGroups": [names.GROUP], "resources": ["jennahtenants"], "resourceNames": [tenant], "verbs": ["act"]}
    of = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
    binding = {
        **of,
        "kind": "ClusterRoleBinding",
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "namespace": jennah.system, "name": account}],
    }
    try:
        await jennah.kube.post(f"{RBAC}/clusterroles", {**of, "kind": "ClusterRole", "rules": [rule]})
        await jennah.kube.post(f"{RBAC}/clusterrolebindings", binding)
        yield
    finally:
        for kind in ("clusterrolebindings", "clusterroles"):
            with contextlib.suppress(NotFound):
                await jennah.kube.delete(f"{RBAC}/{kind}/{name}")


@pytest.mark.local_programs
async def test_an_account_of_the_cluster_calls_for_the_tenants_that_a_role_names(jennah: Installation) -> None:
    account = "jennah-controller"
    for_us = await accounts.token(jennah.kube, jennah.system, account, "jennah")
    for_kubernetes = await accounts.token(jennah.kube, jennah.system, account)
    async with (
        may_act(jennah, account, jennah.tenant),
        jennah.another_api(API_AUTH="kubernetes") as url,
        aiohttp.ClientSession(url) as http,
    ):
        for token, tenant, code in (
            (for_us, jennah.tenant, ""),
            (for_us, f"{jennah.tenant}-x", "permission_denied"),
            (for_kubernetes, jennah.tenant, "unauthenticated"),
            ("made-up-token-0001", jennah.tenant, "unauthenticated"),
            ("", jennah.tenant, "unauthenticated"),
        ):
            headers = {"X-Tenant-Id": tenant, **({"Authorization": f"Bearer {token}"} if token else {})}
            async with http.post(f"{RPC}ListJobs", json={}, headers=headers) as response:
                assert (await response.json()).get("code", "") == code
        async with http.get("/health") as response:
            assert response.status == 200
