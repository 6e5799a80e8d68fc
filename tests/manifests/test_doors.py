"""The chart on an API server that enforces RBAC and the admission policies: each door is tried from outside."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from controller.domain import names
from controller.kube import paths
from controller.kube.client import MERGE_PATCH, Object, open_session
from dev.kubeapi.server import KubeApiServer
from tests.cluster import accounts, clusters
from tests.cluster.local import Program
from tests.e2e import client as users
from tests.manifests import chart
from tests.manifests.cases import DEFAULT, KUBERNETES
from tests.manifests.chart import NAMESPACE, Values, merged
from tests.manifests.conftest import connected
from tests.manifests.test_rendering import apply

OPERATOR = f"system:serviceaccount:{NAMESPACE}:jennah-controller"
API = f"system:serviceaccount:{NAMESPACE}:jennah-api"
USER, ADMIN, NODES = "ann", "root", "system:serviceaccount:kube-system:replicaset-controller"
GROUPS = {ADMIN: "system:masters", NODES: "system:serviceaccounts:kube-system"}
TENANT = {names.LABEL_TENANT: "acme"}
NAMESPACES: dict[str, dict[str, str]] = {"team-a": TENANT, "other": {}}
"""One that was given to a tenant, and one that has nothing to do with Jennah."""
LET_THROUGH, REFUSED = 0, 403


class Doors:
    """A cluster with a release of the chart, and who knocks: the API server decides about impersonated users."""

    def __init__(self, kubeconfig: Path, host: str, session: aiohttp.ClientSession, token: str) -> None:
        self.kubeconfig = kubeconfig
        self._host, self._session, self._token = host, session, token

    async def knock(self, user: str, method: str, path: str, body: Object | None = None) -> tuple[int, str]:
        """What the server says: `LET_THROUGH`, or its code and why. Nothing is written."""
        headers = {"Authorization": self._token, "Impersonate-User": user}
        if user in GROUPS:
            headers["Impersonate-Group"] = GROUPS[user]
        headers["Content-Type"] = MERGE_PATCH if method == "PATCH" else "application/json"
        query = {"dryRun": "All"} if method != "GET" else {}
        async with self._session.request(method, self._host + path, json=body, headers=headers, params=query) as reply:
            said = await reply.json()
        return (LET_THROUGH, "") if reply.status < 300 or reply.status == 404 else (reply.status, said["message"])

    async def make(self, user: str, kind: str, namespace: str, **more: Any) -> tuple[int, str]:
        path, body = MADE[kind]
        path = path.format(namespace=namespace)
        return await self.knock(user, "POST", path, {"metadata": {"name": "made"}, **body} | more)

    async def label(self, user: str, namespace: str, tenant: str | None) -> tuple[int, str]:
        body = {"metadata": {"labels": {names.LABEL_TENANT: tenant}}}
        return await self.knock(user, "PATCH", paths.namespace(namespace), body)


POD = {"containers": [{"name": "task", "image": "busybox:1.36"}], "restartPolicy": "Never"}
MADE: dict[str, tuple[str, Object]] = {
    "job": ("/apis/batch/v1/namespaces/{namespace}/jobs", {"spec": {"template": {"spec": POD}}}),
    "secret": ("/api/v1/namespaces/{namespace}/secrets", {}),
    "pod": ("/api/v1/namespaces/{namespace}/pods", {"spec": {**POD, "serviceAccountName": "jennah-controller"}}),
}


@asynccontextmanager
async def installed(folder: Path, *values: Values) -> AsyncIterator[Doors]:
    """A release on a server of its own. Ann has the cluster's role `edit` everywhere and may change namespaces."""
    server = KubeApiServer(folder, has_rbac=True)
    await server.start()
    try:
        async with connected(server.kubeconfig) as client:
            for name, labels in {NAMESPACE: {}, **NAMESPACES}.items():
                await apply(client, {**_object("v1", "Namespace", name), "metadata": {"name": name, "labels": labels}})
            objects = chart.render(merged(*values))
            kinds = ("CustomResourceDefinition", "Namespace", "ServiceAccount")
            for found in sorted(objects, key=lambda found: kinds.index(found["kind"]) if found["kind"] in kinds else 9):
                if found["kind"] != "Job":  # the migration, which is Helm's to run
                    await apply(client, found)
            rules = [
                {"apiGroups": [""], "resources": ["namespaces", "namespaces/status"], "verbs": ["create", "patch"]}
            ]
            await apply(client, {**_rbac("ClusterRole", "owner"), "rules": rules})
            for role in ("owner", "edit"):
                await apply(client, _bound(role, USER))
            await apply(client, _bound("cluster-admin", NODES))
            configuration = await clusters.configuration_of(server.kubeconfig)
            async with open_session(configuration, limit=4) as session:
                yield Doors(server.kubeconfig, server.url, session, f"Bearer {server.token}")
    finally:
        await server.stop()


def _object(version: str, kind: str, name: str) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}}


def _rbac(kind: str, name: str) -> Object:
    return _object("rbac.authorization.k8s.io/v1", kind, name)


def _bound(role: str, user: str) -> Object:
    group = "rbac.authorization.k8s.io"
    return _rbac("ClusterRoleBinding", f"{user.rpartition(':')[2]}-{role}") | {
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=[DEFAULT, merged(DEFAULT, KUBERNETES)], ids=["gcp", "jobs"]
)
async def doors(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Doors]:
    """The chart as it is installed by default."""
    async with installed(tmp_path_factory.mktemp("doors"), request.param) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wide(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Doors]:
    """One that runs the jobs of all namespaces as Kubernetes Jobs: its roles let it write everywhere."""
    async with installed(tmp_path_factory.mktemp("wide"), DEFAULT, KUBERNETES, {"rbac": {"clusterWide": True}}) as made:
        yield made


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("account", [OPERATOR, API])
async def test_secrets_of_other_namespaces_cannot_be_read(doors: Doors, account: str) -> None:
    for namespace in ("kube-system", NAMESPACE, "team-a", "other"):
        code, why = await doors.knock(account, "GET", f"{paths.secrets(namespace)}/jennah-database")
        assert (code, "cannot get resource" in why) == (REFUSED, True), namespace
    assert (await doors.knock(account, "GET", f"{paths.secrets('jennah-jobs')}/env"))[0] == LET_THROUGH
    assert (await doors.knock(account, "GET", paths.secrets("jennah-jobs")))[0] == REFUSED, "by name only"


@pytest.mark.parametrize("kind", ["job", "secret", "pod"])
async def test_the_operator_makes_nothing_outside_of_the_namespace_of_jobs(doors: Doors, kind: str) -> None:
    for namespace in ("kube-system", NAMESPACE, "team-a", "other"):
        assert (await doors.make(OPERATOR, kind, namespace))[0] == REFUSED, namespace


async def test_jennahjobs_elsewhere_are_closed_to_both(doors: Doors) -> None:
    for account in (OPERATOR, API):
        for namespace in (NAMESPACE, "other"):
            assert (await doors.knock(account, "GET", paths.jobs(namespace)))[0] == REFUSED
        assert (await doors.knock(account, "GET", "/apis/jennah.alphaus.cloud/v1/jennahjobs"))[0] == REFUSED


async def test_rights_over_all_namespaces_stop_at_the_policies(wide: Doors) -> None:
    for kind in ("job", "secret"):
        for namespace in ("team-a", "jennah-jobs"):
            assert await wide.make(OPERATOR, kind, namespace) == (LET_THROUGH, "")
        code, why = await wide.make(OPERATOR, kind, NAMESPACE)
        assert (code, "makes nothing in its own namespace" in why) == (REFUSED, True)
        for namespace in ("kube-system", "other"):
            code, why = await wide.make(OPERATOR, kind, namespace)
            assert (code, "in the namespaces that it was installed for" in why) == (REFUSED, True), namespace


async def test_others_make_jobs_where_they_like(wide: Doors) -> None:
    for namespace in ("other", NAMESPACE):
        assert await wide.make(USER, "job", namespace) == (LET_THROUGH, "")


async def test_only_the_releases_own_pods_run_as_its_accounts(doors: Doors) -> None:
    told = "the accounts of Jennah's programs are those of its own Deployments only"
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "uid": "u", "controller": True}
    ours = {"name": "made", "ownerReferences": [{**owner, "name": "jennah-controller-5d4f8"}]}
    theirs = {"name": "made", "ownerReferences": [{**owner, "name": "ann-5d4f8"}]}
    for user, metadata in ((USER, ours), (ADMIN, {"name": "made"}), (NODES, theirs), (NODES, {"name": "made"})):
        code, why = await doors.make(user, "pod", NAMESPACE, metadata=metadata)
        assert (code, told in why) == (REFUSED, True), (user, metadata)
    assert await doors.make(NODES, "pod", NAMESPACE, metadata=ours) == (LET_THROUGH, "")
    # Elsewhere an account of that name is another one, and here another account is nothing of ours.
    assert await doors.make(USER, "pod", "other") == (LET_THROUGH, "")
    assert await doors.make(USER, "pod", NAMESPACE, spec=POD) == (LET_THROUGH, "")


async def test_the_tenant_of_a_namespace_is_set_by_the_listed_groups(wide: Doors) -> None:
    told = f"the label {names.LABEL_TENANT} of a namespace may be set by the groups"
    for namespace, tenant in (("other", "acme"), ("team-a", "victim"), ("team-a", None), ("jennah-jobs", "acme")):
        for user in (USER, NODES):
            code, why = await wide.label(user, namespace, tenant)
            assert (code, told in why) == (REFUSED, True)
        assert await wide.label(ADMIN, namespace, tenant) == (LET_THROUGH, "")
    assert await wide.label(USER, "team-a", "acme") == (LET_THROUGH, ""), "it is that already"
    new = {"metadata": {"name": "new", "labels": TENANT}}
    code, why = await wide.knock(USER, "POST", "/api/v1/namespaces", new)
    assert (code, told in why) == (REFUSED, True)
    assert await wide.knock(USER, "POST", "/api/v1/namespaces", {"metadata": {"name": "new"}}) == (LET_THROUGH, "")


async def test_an_installation_for_some_namespaces_guards_their_labels(doors: Doors) -> None:
    assert (await doors.label(USER, "jennah-jobs", "acme"))[0] == REFUSED
    assert await doors.label(USER, "other", "acme") == (LET_THROUGH, ""), "nobody runs its jobs"


async def test_nobody_but_the_operator_writes_the_status_of_jobs(doors: Doors) -> None:
    job = {"metadata": {"name": "j"}, "spec": {"image": "i"}, "apiVersion": names.API_VERSION, "kind": names.KIND}
    code, why = await doors.knock(USER, "POST", paths.jobs("jennah-jobs"), job | {"spec": {"image": "i", "jobId": "x"}})
    assert (code, "only Jennah's API sets spec.jobId" in why) == (REFUSED, True)
    assert await doors.knock(API, "POST", paths.jobs("jennah-jobs"), job) == (LET_THROUGH, "")
    assert (await doors.knock(API, "POST", paths.jobs("other"), job))[0] == REFUSED


# --- the API's own door --------------------------------------------------------------------------------

TOKEN = "a-token-of-acme-alone"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The URL of an API with the environment and the rights that the chart gives it, but for the database."""
    folder = tmp_path_factory.mktemp("api")
    async with installed(folder / "kube", DEFAULT) as made, connected(made.kubeconfig) as client:
        deployment = chart.only(chart.render(DEFAULT), "Deployment", "jennah-api")
        given = chart.variables(chart.containers(deployment)[0])
        (folder / "tokens").write_text(f"acme {hashlib.sha256(TOKEN.encode()).hexdigest()} acme\n")
        token = await accounts.token(client, NAMESPACE, "jennah-api")
        path = accounts.write_kubeconfig(folder / "kubeconfig", admin=made.kubeconfig, token=token)
        own = {"DB_PROVIDER": "sqlite", "DB_ENDPOINT": str(folder / "jobs.db"), "KUBECONFIG": str(path)}
        own |= {"API_TOKENS_FILE": str(folder / "tokens"), "WORKER_HOST": "127.0.0.1", "METRICS_PORT": "0"}
        program = Program("api", "api", {**given, **own, "STOP_DELAY_SECONDS": "0"})
        await program.start()
        try:
            yield f"http://127.0.0.1:{program.port}"
        finally:
            await program.stop()


async def call(url: str, tenant: str, token: str) -> tuple[int, str]:
    headers = {"X-Tenant-Id": tenant, **({"Authorization": f"Bearer {token}"} if token else {})}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}{users.RPC}ListJobs", json={}, headers=headers) as reply,
    ):
        return reply.status, (await reply.json()).get("code", "")


async def test_without_a_token_nobody_calls_the_api(api: str) -> None:
    for token in ("", "a-token-that-is-made-up"):
        assert await call(api, "acme", token) == (401, "unauthenticated")


async def test_a_caller_is_its_own_tenants_and_nobody_elses(api: str) -> None:
    assert await call(api, "acme", TOKEN) == (200, "")
    assert await call(api, "victim", TOKEN) == (403, "permission_denied")
