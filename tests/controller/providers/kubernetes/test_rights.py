"""The rights that the page on this provider lists are enough for all that it does, and none is too much."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from controller.clock import SystemClock
from controller.domain.errors import ConfigError
from controller.domain.job import Job, JobStatus, Metadata
from controller.kube.client import KubeClient
from controller.ports import SubmitRequest
from controller.providers.kubernetes import logs
from controller.providers.kubernetes.provider import KubernetesProvider
from dev.kubeapi.server import KubeApiServer
from tests.controller.providers.kubernetes.harness import fresh, settings
from tests.controller.providers.kubernetes.service import path_of, ref_of, until
from tests.kubeapi import configuration_of

PAGE = Path(__file__).parents[4] / "docs" / "providers" / "kubernetes.md"
RULES: list[dict[str, Any]] = yaml.safe_load(re.search(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)[1])["rules"]
FOR_LOGS = {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}
NAMESPACE = "team-a"
RBAC = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}"


class Cluster:
    """An API server on which a service account has those rights in one namespace, and no others."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.audit = folder / "audit.jsonl"
        self.server = KubeApiServer(folder, has_rbac=True, audit_log=self.audit)

    async def account(self, admin: KubeClient, rules: list[dict[str, Any]]) -> str:
        """A kubeconfig file of it."""
        accounts = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
        await admin.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        await admin.post(accounts, {"metadata": {"name": "jobs"}})
        await admin.post(f"{RBAC}/roles", {"metadata": {"name": "jobs"}, "rules": rules})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "jobs"}
        subject = {"kind": "ServiceAccount", "name": "jobs", "namespace": NAMESPACE}
        await admin.post(f"{RBAC}/rolebindings", {"metadata": {"name": "jobs"}, "roleRef": role, "subjects": [subject]})
        reply = await admin.post(f"{accounts}/jobs/token", {"spec": {"expirationSeconds": 3600}})
        config = yaml.safe_load(self.server.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": reply["status"]["token"]}
        path = self._folder / "of-the-account"
        path.write_text(yaml.safe_dump(config))
        return str(path)

    def used(self) -> set[tuple[str, str, str]]:
        """Group, resource and verb of what the account did, and was allowed to."""
        entries = [msgspec.json.decode(line) for line in self.audit.read_bytes().splitlines()]
        own = [one for one in entries if one["user"].startswith("system:serviceaccount:") and one.get("resource")]
        assert not [one for one in own if one["code"] == 403]
        return {
            (one["group"], "/".join(filter(None, (one["resource"], one["subresource"]))), one["verb"]) for one in own
        }


async def run_late(provider: KubernetesProvider, admin: KubeClient, request: SubmitRequest) -> None:
    """A Pod of it runs into its limit, and is marked."""
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    job = await admin.get(path_of(request))
    meta, template = job["metadata"], job["spec"]["template"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
    made = {"name": "late", "labels": template["metadata"]["labels"], "ownerReferences": [owner]}
    await admin.post(pods, {"metadata": made, "spec": template["spec"]})
    await admin.merge_patch(f"{pods}/late/status", {"status": {"phase": "Failed", "reason": "DeadlineExceeded"}})
    await provider.get(ref_of(request))


async def live(provider: KubernetesProvider, admin: KubeClient) -> SubmitRequest:
    """All that the provider does; a request that was submitted."""
    await provider.open()
    kept, cancelled, deleted, late = fresh(), fresh(), fresh(), fresh()
    for request in (kept, cancelled, deleted, late):
        await provider.submit(request)
    await run_late(provider, admin, late)
    await provider.submit(kept)  # again: adopted, its Secret compared
    await until(provider, kept, lambda seen: seen is not None)
    await provider.get(ref_of(kept))
    await provider.cancel(ref_of(cancelled), reason="because")
    path = (await provider.get(ref_of(deleted))).resource_path
    then = "2026-01-01T00:00:00Z"
    failed = {"status": "True", "reason": "DeadlineExceeded", "lastTransitionTime": then}
    ended = [{"type": kind, **failed} for kind in ("FailureTarget", "Failed")]
    await admin.merge_patch(f"{path}/status", {"status": {"startTime": then, "conditions": ended}})
    await provider.delete(ref_of(deleted))
    await provider.unclaimed(set())
    return kept


async def test_the_rights_on_the_page_are_what_the_provider_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(tmp_path)
    await cluster.server.start()
    async with KubeClient(await configuration_of(tmp_path)) as admin:
        kubeconfig = await cluster.account(admin, [*RULES, FOR_LOGS])
        own = settings(kubeconfig=kubeconfig, watch_namespaces=(NAMESPACE,))
        provider = KubernetesProvider(own, SystemClock())
        try:
            request = await live(provider, admin)
            owner = await provider.get(ref_of(request))
            pod = {"name": "p", "labels": {"jennah.alphaus.cloud/uid": request.uid}}
            pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
            await admin.post(pods, {"metadata": pod, "spec": {"containers": [{"name": "task", "image": "i"}]}})
            await admin.merge_patch(f"{pods}/p/status", {"status": {"phase": "Running"}})
            monkeypatch.setenv("KUBERNETES_JOB_KUBECONFIG", kubeconfig)
            status = JobStatus(provider="kubernetes", resource_path=owner.resource_path)
            job = Job(metadata=Metadata(name="j", uid=request.uid), spec=request.spec, status=status)
            assert [line async for line in logs.lines(job)] == []
        finally:
            await provider.close()
    await cluster.server.stop()
    granted = {
        (group, resource, verb)
        for rule in [*RULES, FOR_LOGS]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert cluster.used() == granted


async def test_without_them_the_start_says_where_they_lack(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    await cluster.server.start()
    async with KubeClient(await configuration_of(tmp_path)) as admin:
        kubeconfig = await cluster.account(admin, [rule for rule in RULES if "pods" not in rule["resources"]])
        provider = KubernetesProvider(settings(kubeconfig=kubeconfig, namespace=NAMESPACE), SystemClock())
        with pytest.raises(ConfigError, match=f"rights of docs/providers/kubernetes.md in {NAMESPACE}"):
            await provider.open()
        await provider.close()
    await cluster.server.stop()
