"""RBAC: what service accounts may do, who they say they are, and what the audit log tells of it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from dev.kubeapi.server import KubeApiServer

from .client import ANYTHING, MERGE, WIDGETS, Api, Reply, crd, widget

RBAC = "/apis/rbac.authorization.k8s.io/v1"
IN_DEFAULT = f"{RBAC}/namespaces/default"
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
GROUP = "rbac.authorization.k8s.io"


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Api]:
    """The administrator of a server with RBAC that has widgets, and a service account `worker`."""
    server = KubeApiServer(tmp_path / "data", has_rbac=True, audit_log=tmp_path / "audit.log")
    await server.start()
    headers = {"Authorization": f"Bearer {server.token}"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(ssl=False)) as session:
        api = Api(server, session)
        await api.define(crd(ANYTHING))
        await api.ok("POST", ACCOUNTS, {"metadata": {"name": "worker"}})
        yield api
    await server.stop()


@pytest.fixture
async def worker(admin: Api) -> AsyncIterator[Api]:
    """The service account, with a token of its own."""
    reply = await admin.ok("POST", f"{ACCOUNTS}/worker/token", {"spec": {"expirationSeconds": 600}})
    headers = {"Authorization": f"Bearer {reply['status']['token']}"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(ssl=False)) as session:
        yield Api(admin.server, session)


async def grant(admin: Api, *rules: dict[str, Any], everywhere: bool = False, **subject: str) -> None:
    """A role with these rules, bound to the worker (or to `subject`)."""
    kind, base = ("ClusterRole", RBAC) if everywhere else ("Role", IN_DEFAULT)
    plural = kind.lower() + "s"
    await admin.ok("POST", f"{base}/{plural}", {"metadata": {"name": "r"}, "rules": list(rules)})
    await bind(admin, {"apiGroup": GROUP, "kind": kind, "name": "r"}, everywhere=everywhere, **subject)


async def bind(admin: Api, role: dict[str, Any], *, everywhere: bool = False, **subject: str) -> None:
    base, plural = (RBAC, "clusterrolebindings") if everywhere else (IN_DEFAULT, "rolebindings")
    who = subject or {"kind": "ServiceAccount", "name": "worker", "namespace": "default"}
    await admin.ok("POST", f"{base}/{plural}", {"metadata": {"name": "b"}, "roleRef": role, "subjects": [who]})


def rule(verbs: str, resources: str, group: str = "example.com", **more: Any) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split(), **more}


def denied(reply: Reply, message: str) -> bool:
    return (reply.code, reply.body["reason"], reply.body["message"]) == (403, "Forbidden", message)


async def test_a_refusal_reads_as_kubernetes_writes_it(worker: Api) -> None:
    user = 'User "system:serviceaccount:default:worker"'
    reply = await worker.call("GET", WIDGETS)
    where = 'in API group "example.com" in the namespace "default"'
    assert denied(reply, f'widgets.example.com is forbidden: {user} cannot list resource "widgets" {where}')
    assert reply.body["details"] == {"group": "example.com", "kind": "widgets"}
    reply = await worker.call("PATCH", f"{WIDGETS}/w/status", {}, MERGE)
    assert denied(reply, f'widgets.example.com "w" is forbidden: {user} cannot patch resource "widgets/status" {where}')
    reply = await worker.call("GET", "/api/v1/nodes")
    why = f'{user} cannot list resource "nodes" in API group "" at the cluster scope'
    assert denied(reply, f"nodes is forbidden: {why}")
    assert denied(await worker.call("GET", "/metrics"), f'forbidden: {user} cannot get path "/metrics"')


async def test_whether_something_exists_is_not_told_to_who_may_not_read_it(worker: Api) -> None:
    assert (await worker.call("GET", "/apis/no.such.group/v1/things")).code == 403
    assert (await worker.call("GET", f"{WIDGETS}/none")).code == 403


@pytest.mark.parametrize(
    ("verb", "method", "path", "query"),
    [
        ("get", "GET", f"{WIDGETS}/w", {}),
        ("list", "GET", WIDGETS, {}),
        ("create", "POST", WIDGETS, {}),
        ("update", "PUT", f"{WIDGETS}/w", {}),
        ("patch", "PATCH", f"{WIDGETS}/w", {}),
        ("delete", "DELETE", f"{WIDGETS}/w", {}),
        ("deletecollection", "DELETE", WIDGETS, {}),
    ],
)
async def test_each_verb_is_granted_by_itself(
    admin: Api, worker: Api, verb: str, method: str, path: str, query: dict[str, str]
) -> None:
    created = await admin.ok("POST", WIDGETS, widget("w"))
    body = widget("new") if method == "POST" else created if method == "PUT" else {} if method == "PATCH" else None
    media_type = MERGE if method == "PATCH" else "application/json"
    every = {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}
    await grant(admin, rule(" ".join(every - {verb}), "widgets"))
    assert (await worker.call(method, path, body, media_type, **query)).code == 403
    await admin.ok("PATCH", f"{IN_DEFAULT}/roles/r", {"rules": [rule(verb, "widgets")]}, MERGE)
    assert (await worker.call(method, path, body, media_type, **query)).code < 300


async def test_a_watch_needs_the_verb_watch(admin: Api, worker: Api) -> None:
    await grant(admin, rule("get list", "widgets"))
    async with worker.watch(WIDGETS) as response:
        assert response.status == 403
    await admin.ok("PATCH", f"{IN_DEFAULT}/roles/r", {"rules": [rule("watch", "widgets")]}, MERGE)
    async with worker.watch(WIDGETS, timeoutSeconds="1") as response:
        assert response.status == 200


async def test_a_role_holds_in_its_namespace_and_a_subresource_is_granted_by_itself(admin: Api, worker: Api) -> None:
    await admin.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "other"}})
    await admin.ok("POST", WIDGETS, widget("w"))
    await grant(admin, rule("*", "widgets"))
    assert (await worker.call("GET", WIDGETS)).code == 200
    assert (await worker.call("GET", WIDGETS.replace("default", "other"))).code == 403
    assert (await worker.call("GET", "/apis/example.com/v1/widgets")).code == 403
    status = {"status": {"phase": "Running"}}
    assert (await worker.call("PATCH", f"{WIDGETS}/w/status", status, MERGE)).code == 403
    await admin.ok("PATCH", f"{IN_DEFAULT}/roles/r", {"rules": [rule("patch", "*/status")]}, MERGE)
    assert (await worker.call("PATCH", f"{WIDGETS}/w/status", status, MERGE)).code == 200


async def test_names_of_resources_narrow_a_rule(admin: Api, worker: Api) -> None:
    for name in ("a", "b"):
        await admin.ok("POST", WIDGETS, widget(name))
    await grant(admin, rule("get list", "widgets", resourceNames=["a"]))
    assert (await worker.call("GET", f"{WIDGETS}/a")).code == 200
    assert (await worker.call("GET", f"{WIDGETS}/b")).code == 403
    assert (await worker.call("GET", WIDGETS)).code == 403
    assert (await worker.call("GET", WIDGETS, fieldSelector="metadata.name=a")).code == 200


@pytest.mark.parametrize(
    "subject",
    [
        {"kind": "User", "name": "system:serviceaccount:default:worker"},
        {"kind": "Group", "name": "system:serviceaccounts"},
        {"kind": "Group", "name": "system:serviceaccounts:default"},
        {"kind": "Group", "name": "system:authenticated"},
    ],
    ids=lambda subject: str(subject["name"]),
)
async def test_a_service_account_is_a_user_in_groups(admin: Api, worker: Api, subject: dict[str, str]) -> None:
    await grant(admin, rule("list", "*", group="*"), everywhere=True, **subject)
    assert (await worker.call("GET", "/apis/example.com/v1/widgets")).code == 200


async def test_view_and_edit_take_in_the_rules_of_labelled_roles(admin: Api, worker: Api) -> None:
    await bind(admin, {"apiGroup": GROUP, "kind": "ClusterRole", "name": "edit"})
    assert (await worker.call("GET", "/api/v1/namespaces/default/configmaps")).code == 200
    assert (await worker.call("GET", WIDGETS)).code == 403
    metadata = {"name": "widgets-view", "labels": {f"{GROUP}/aggregate-to-view": "true"}}
    await admin.ok("POST", f"{RBAC}/clusterroles", {"metadata": metadata, "rules": [rule("list", "widgets")]})
    assert (await worker.call("GET", WIDGETS)).code == 200
    assert (await worker.call("GET", f"{IN_DEFAULT}/roles")).code == 403


async def test_what_every_program_may_read(worker: Api) -> None:
    for path in ("/version", "/api", "/apis", "/api/v1", "/apis/example.com/v1", "/openapi/v3"):
        assert (await worker.call("GET", path)).code == 200, path


async def test_a_token_is_good_for_its_account_only_as_long_as_that_lives(admin: Api, worker: Api) -> None:
    review = await worker.ok("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    user = review["status"]["userInfo"]
    assert user["username"] == "system:serviceaccount:default:worker"
    assert user["groups"] == ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
    await admin.ok("DELETE", f"{ACCOUNTS}/worker")
    await admin.ok("POST", ACCOUNTS, {"metadata": {"name": "worker"}})
    assert (await worker.call("GET", "/version")).code == 401


async def test_token_reviews_tell_whose_token_it_is_and_for_whom(admin: Api) -> None:
    async def review(token: str, *audiences: str) -> Any:
        spec = {"token": token, "audiences": list(audiences)}
        return (await admin.ok("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": spec}))["status"]

    spec = {"audiences": ["jennah-api"]}
    token = (await admin.ok("POST", f"{ACCOUNTS}/worker/token", {"spec": spec}))["status"]["token"]
    found = await review(token, "jennah-api")
    assert (found["authenticated"], found["user"]["username"]) == (True, "system:serviceaccount:default:worker")
    assert "authenticated" not in await review(token)
    assert "authenticated" not in await review(token[:-2], "jennah-api")
    refused = await admin.call("POST", f"{ACCOUNTS}/worker/token", {"spec": {"expirationSeconds": 1}})
    assert (refused.code, refused.body["details"]["causes"][0]["field"]) == (422, "spec.expirationSeconds")
    assert (await admin.call("POST", f"{ACCOUNTS}/nobody/token", {})).code == 404


async def test_access_reviews_answer_as_the_server_acts(admin: Api, worker: Api) -> None:
    async def may(api: Api, kind: str, verb: str, **spec: Any) -> bool:
        asked = {"verb": verb, "group": "example.com", "resource": "widgets", "namespace": "default"}
        body = {"spec": {"resourceAttributes": asked, **spec}}
        reply = await api.ok("POST", f"/apis/authorization.k8s.io/v1/{kind}", body)
        return bool(reply["status"]["allowed"])

    await grant(admin, rule("list", "widgets"))
    assert [await may(worker, "selfsubjectaccessreviews", verb) for verb in ("list", "get")] == [True, False]
    user = "system:serviceaccount:default:worker"
    for verb, expected in (("list", True), ("get", False)):
        assert await may(admin, "subjectaccessreviews", verb, user=user) is expected
    assert await may(admin, "selfsubjectaccessreviews", "get")
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    rules = (await worker.ok("POST", path, {"spec": {"namespace": "default"}}))["status"]["resourceRules"]
    assert {"verbs": ["list"], "apiGroups": ["example.com"], "resources": ["widgets"]} in rules


async def test_acting_as_another_user(admin: Api, worker: Api) -> None:
    async def who(api: Api, **headers: str) -> tuple[int, Any]:
        url = f"{api.server.url}/apis/authentication.k8s.io/v1/selfsubjectreviews"
        async with api.session.post(url, json={}, headers=headers) as response:
            return response.status, await response.json()

    code, review = await who(admin, **{"Impersonate-User": "system:serviceaccount:default:worker"})
    assert (code, review["status"]["userInfo"]["groups"][1]) == (201, "system:serviceaccounts:default")
    code, review = await who(admin, **{"Impersonate-User": "ann", "Impersonate-Group": "ops"})
    assert review["status"]["userInfo"] == {"username": "ann", "groups": ["ops", "system:authenticated"]}
    code, refused = await who(worker, **{"Impersonate-User": "ann"})
    assert code == 403
    assert 'cannot impersonate resource "users" in API group "" at the cluster scope' in refused["message"]


async def test_each_namespace_has_its_default_account(admin: Api) -> None:
    await admin.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "team"}})
    await admin.ok("GET", "/api/v1/namespaces/team/serviceaccounts/default")
    await admin.ok("DELETE", "/api/v1/namespaces/team/serviceaccounts/default")
    await admin.ok("GET", "/api/v1/namespaces/team/serviceaccounts/default")
    await admin.ok("DELETE", "/api/v1/namespaces/team")
    await admin.until_gone("/api/v1/namespaces/team")


async def test_the_audit_log_has_a_line_for_each_request(admin: Api, worker: Api, tmp_path: Path) -> None:
    await grant(admin, rule("create watch", "widgets"))
    await worker.call("POST", WIDGETS, widget("w"))
    await worker.call("PATCH", f"{WIDGETS}/w/status", {}, MERGE)
    async with worker.watch(WIDGETS, timeoutSeconds="60"):
        lines = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    found = [line for line in lines if line["user"].endswith(":worker")]
    shown = [(line["verb"], line["resource"], line["subresource"], line["name"], line["code"]) for line in found]
    assert shown == [
        ("create", "widgets", "", "", 201),
        ("patch", "widgets", "status", "w", 403),
        ("watch", "widgets", "", "", 200),
    ]
    assert {(line["group"], line["namespace"]) for line in found} == {("example.com", "default")}
