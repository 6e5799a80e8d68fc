"""API_AUTH=kubernetes: whose tokens the cluster is asked about, and what its roles let them do."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.auth.asking import ANSWER_SECONDS
from api.auth.cluster import ClusterTokens
from controller.domain.errors import NotFound, Unavailable
from controller.kube.client import KubeClient
from controller.stores.sqlite import SqliteStore
from dev.kubeapi.server import KubeApiServer
from dev.stack import ROOT
from tests.api.auth.callers import NOW, claims, made_up
from tests.api.conftest import configuration_of, install_crds
from tests.api.harness import Api, api_settings, serving
from tests.controller.fakes import FakeClock, settle

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
GOOD = made_up(sub="good")


class Cluster:
    """It knows one token, and allows what it is told."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.reviewed: list[dict[str, Any]] = []
        self.access: list[dict[str, Any]] = []
        self.user: dict[str, Any] = {"username": "me", "uid": "1", "groups": ["g"], "extra": {"pod": ["p"]}}
        self.answers: dict[str, Any] = {}
        """In place of what it answers to a review of a token."""
        self.allowed: dict[str, Any] = {"team-a": {"allowed": True}}
        self.is_down = False
        self.may_answer = asyncio.Event()
        """To reviews of other tokens than the good one."""
        self.may_answer.set()

    def tokens(self) -> ClusterTokens:
        return ClusterTokens(self, self.clock, audience="jennah")  # type: ignore[arg-type]

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.is_down:
            raise Unavailable("down")
        spec = body["spec"]
        if body["kind"] == "TokenReview":
            self.reviewed.append(spec)
            if spec["token"] != GOOD:
                await self.may_answer.wait()
            good = {"authenticated": True, "user": self.user, "audiences": spec["audiences"]}
            return {"status": self.answers.get(spec["token"], good if spec["token"] == GOOD else {})}
        self.access.append(spec)
        return {"status": self.allowed.get(spec["resourceAttributes"]["name"])}


async def test_a_token_is_reviewed_for_our_audience_once_a_minute() -> None:
    cluster = Cluster()
    tokens = cluster.tokens()
    for _ in range(3):
        assert await tokens.identify(GOOD, "") is not None
        assert await tokens.identify(made_up(sub="bad"), "") is None
    assert cluster.reviewed[0] == {"token": GOOD, "audiences": ["jennah"]}
    assert len(cluster.reviewed) == 2
    cluster.clock.pause(ANSWER_SECONDS)
    assert await tokens.identify(GOOD, "") is not None
    assert len(cluster.reviewed) == 3


@pytest.mark.parametrize(
    "token",
    [
        "made-up-1",
        "a.b.c",
        made_up(payload=[1]),
        made_up(header={}),
        made_up(aud="https://kubernetes.default.svc"),
        made_up(aud=None),
        made_up(exp=NOW - 61),
        made_up(exp=None),
        made_up(exp=True),
        made_up(exp=int("9" * 400)),
        made_up(nbf=NOW + 61),
        made_up(payload=[claims()]),
        made_up() + ".more",
        f"{made_up()}\u0660",
    ],
)
async def test_what_cannot_be_good_costs_no_call(token: str) -> None:
    cluster = Cluster()
    assert await cluster.tokens().identify(token, "") is None
    assert cluster.reviewed == []


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        {"authenticated": "true", "user": {"username": "me"}, "audiences": ["jennah"]},
        {"authenticated": True, "user": {"username": "me"}, "audiences": ["https://kubernetes.default.svc"]},
        {"authenticated": True, "user": {"username": "me"}},  # the server knows no audiences
        {"authenticated": True, "user": {}, "audiences": ["jennah"]},
        {"authenticated": True, "user": {"username": 1}, "audiences": ["jennah"]},
        {"error": "invalid bearer token", "user": {"username": "me"}},
    ],
)
async def test_an_answer_without_a_user_of_our_audience_is_a_refusal(answer: dict[str, Any] | None) -> None:
    cluster = Cluster()
    cluster.answers[GOOD] = answer
    assert await cluster.tokens().identify(GOOD, "") is None


async def test_access_is_asked_for_with_all_that_the_cluster_said_of_the_user() -> None:
    cluster = Cluster()
    user = await cluster.tokens().identify(GOOD, "")
    assert user is not None
    assert str(user.principal) == "kubernetes:me"
    for _ in range(2):
        assert await user.may_act_for("team-a")
        assert not await user.may_act_for("team-b")
    attributes = {"group": "jennah.alphaus.cloud", "resource": "jennahtenants", "name": "team-a", "verb": "act"}
    asked = {"user": "me", "uid": "1", "groups": ["g"], "extra": {"pod": ["p"]}, "resourceAttributes": attributes}
    assert cluster.access[0] == asked
    assert len(cluster.access) == 2, "both answers are remembered"


@pytest.mark.parametrize("answer", [None, {}, {"allowed": "yes"}, {"allowed": True, "denied": True}])
async def test_access_without_a_plain_yes_is_none(answer: dict[str, Any] | None) -> None:
    cluster = Cluster()
    cluster.allowed["team-a"] = answer
    user = await cluster.tokens().identify(GOOD, "")
    assert user is not None
    assert not await user.may_act_for("team-a")


@pytest.mark.parametrize("is_well_made", [False, True])
async def test_a_good_token_does_not_wait_behind_made_up_ones(is_well_made: bool) -> None:
    """Each of them was a call to Kubernetes, eight at once: behind 12,000 a good one waited 31 s, a minute after its
    last review or on a replica that has just started."""
    cluster = Cluster()
    tokens = cluster.tokens()
    if is_well_made:
        assert await tokens.identify(GOOD, "10.0.0.1") is not None
        cluster.clock.pause(ANSWER_SECONDS)
    cluster.may_answer.clear()
    flood = [
        asyncio.create_task(tokens.identify(made_up(sub=f"u{number}") if is_well_made else f"made-up-{number}", "x"))
        for number in range(12_000)
    ]
    await settle()
    assert await tokens.identify(GOOD, "10.0.0.1") is not None
    cluster.may_answer.set()
    await asyncio.gather(*flood, return_exceptions=True)


async def test_an_outage_lets_nobody_in_and_is_no_refusal() -> None:
    cluster = Cluster()
    tokens = cluster.tokens()
    cluster.is_down = True
    with pytest.raises(Unavailable):
        await tokens.identify(GOOD, "")
    cluster.is_down = False
    assert await tokens.identify(GOOD, "") is not None


async def test_a_user_that_has_lost_a_group_is_asked_about_again() -> None:
    cluster = Cluster()
    tokens = cluster.tokens()
    user = await tokens.identify(GOOD, "")
    assert user is not None
    assert await user.may_act_for("team-a")
    cluster.clock.pause(ANSWER_SECONDS)
    cluster.user["groups"] = []
    cluster.allowed.clear()
    user = await tokens.identify(GOOD, "")
    assert user is not None
    assert not await user.may_act_for("team-a")


# --- on an API server with RBAC ------------------------------------------------------------------------


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[KubeClient]:
    """The administrator of a cluster of its own, in which nobody may do anything by default."""
    server = KubeApiServer(tmp_path / "kube", has_rbac=True)
    await server.start()
    try:
        await install_crds(server.kubeconfig)
        async with KubeClient(await configuration_of(server.kubeconfig)) as client:
            yield client
    finally:
        await server.stop()


@pytest.fixture
async def api(admin: KubeClient, store: SqliteStore) -> AsyncIterator[Api]:
    async with serving(admin, store, api_settings(kinds=("kubernetes",))) as running:
        yield running


async def token_of(admin: KubeClient, account: str, *audiences: str) -> str:
    with contextlib.suppress(NotFound):
        await admin.delete(f"{ACCOUNTS}/{account}")
    await admin.post(ACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}})
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": list(audiences)}}
    return str((await admin.post(f"{ACCOUNTS}/{account}/token", body))["status"]["token"])


async def grant(admin: KubeClient, account: str, tenant: str) -> None:
    """The role of docs/install.md."""
    guide = (ROOT / "docs" / "install.md").read_text()
    (block,) = (each for each in re.findall(r"```yaml\n(.*?)```", guide, re.S) if "jennahtenants" in each)
    role, binding = yaml.safe_load_all(block)
    role["rules"][0]["resourceNames"] = [tenant]
    binding["subjects"][0] |= {"namespace": "default", "name": account}
    await admin.post(f"{RBAC}/clusterroles", role)
    await admin.post(f"{RBAC}/clusterrolebindings", binding)


async def test_an_account_acts_for_the_tenants_that_a_role_names_and_for_none_by_default(
    admin: KubeClient, api: Api
) -> None:
    ours, theirs = await token_of(admin, "ours", "jennah"), await token_of(admin, "theirs", "jennah")
    await grant(admin, "ours", "team-a")

    async def code(method: str, token: str, tenant: str, **message: object) -> str:
        return (await api.call(method, message, tenant=tenant, Authorization=f"Bearer {token}")).code

    assert await code("SubmitJob", ours, "team-a", image_uri="x", job_id="a-1") == ""
    assert await code("ListJobs", ours, "team-b") == "permission_denied"
    for method in ("GetJob", "CancelJob", "DeleteJob"):
        assert await code(method, theirs, "team-a", job_id="a-1") == "permission_denied", method
    for method in ("ListJobs", "SubmitJob"):
        assert await code(method, theirs, "team-a", image_uri="x") == "permission_denied", method
    assert await code("GetJob", ours, "team-a", job_id="a-1") == ""


async def test_a_token_for_kubernetes_itself_is_none_for_us(admin: KubeClient, api: Api) -> None:
    token = await token_of(admin, "ours")
    await grant(admin, "ours", "team-a")
    reply = await api.call("ListJobs", tenant="team-a", Authorization=f"Bearer {token}")
    assert (reply.status, reply.code) == (401, "unauthenticated")
