"""Values that kube-apiserver refuses in built-in kinds, and what etcd does not take of any."""

import base64
from typing import Any

import pytest

from .client import MERGE, WIDGETS, Api, widget

IN_DEFAULT = "/api/v1/namespaces/default"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
MICRO = "2026-01-02T03:04:05.000600Z"


def lease(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a"}, "spec": {"holderIdentity": "me", **spec}}


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"leaseDurationSeconds": 0}, "spec.leaseDurationSeconds"),
        ({"leaseTransitions": -1}, "spec.leaseTransitions"),
        ({"preferredHolder": "b"}, "spec.preferredHolder"),
    ],
)
async def test_a_lease_that_cannot_be_meant(api: Api, spec: dict[str, Any], field: str) -> None:
    reply = await api.call("POST", LEASES, lease(**spec))
    assert (reply.code, [cause["field"] for cause in reply.body["details"]["causes"]]) == (422, [field])


@pytest.mark.parametrize("time", ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.0006Z", "yesterday"])
async def test_a_leases_times_have_six_digits(api: Api, time: str) -> None:
    reply = await api.call("POST", LEASES, lease(renewTime=time))
    assert reply.code == 400
    assert "parsing time" in reply.body["message"]
    assert (await api.call("POST", LEASES, lease(renewTime=MICRO, acquireTime=MICRO))).code == 201


async def test_a_put_makes_a_lease_but_not_one_of_a_given_uid(api: Api) -> None:
    made = await api.ok("PUT", f"{LEASES}/a", lease(), fieldManager="me")
    await api.ok("DELETE", f"{LEASES}/a")
    gone = await api.call("PUT", f"{LEASES}/a", made)
    assert (gone.code, gone.body["reason"]) == (409, "Conflict")
    del made["metadata"]["uid"]
    assert (await api.call("PUT", f"{LEASES}/a", made)).code == 201


def event(name: str, about: dict[str, str], **more: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "involvedObject": {"kind": "Pod", "name": "p", **about}, **more}


async def test_an_event_is_in_the_namespace_of_what_it_is_about(api: Api) -> None:
    assert (await api.call("POST", f"{IN_DEFAULT}/events", event("a", {"namespace": "default"}))).code == 201
    assert (await api.call("POST", f"{IN_DEFAULT}/events", event("b", {}))).code == 201, "of a cluster-wide object"
    reply = await api.call("POST", f"{IN_DEFAULT}/events", event("c", {"namespace": "other"}))
    assert reply.code == 422
    assert "does not match event.namespace" in reply.body["message"]
    elsewhere = await api.call("POST", "/api/v1/namespaces/kube-system/events", event("d", {}))
    assert elsewhere.code == 422


def secret(name: str, values: dict[str, str], **more: Any) -> dict[str, Any]:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"metadata": {"name": name}, "data": data, **more}


async def test_keys_and_size_of_a_secret(api: Api) -> None:
    path = f"{IN_DEFAULT}/secrets"
    for key in ("a b", "ä", "..a", ".", "k" * 254, ""):
        assert (await api.call("POST", path, secret("a", {key: "v"}))).code == 422, key
    reply = await api.call("POST", path, secret("a", {"a": "x" * 2**20, "b": "y"}))
    assert (reply.code, reply.body["details"]["causes"][0]["reason"]) == (422, "FieldValueTooLong")
    assert (await api.call("POST", path, secret("a", {"a": "x" * 2**20, "._-Z9": ""}))).code == 201


async def test_an_immutable_secret_stays(api: Api) -> None:
    path = f"{IN_DEFAULT}/secrets"
    await api.ok("POST", path, secret("a", {"k": "v"}, immutable=True))
    for patch in ({"data": {"k": None}}, {"stringData": {"other": "v"}}, {"immutable": None}):
        assert (await api.call("PATCH", f"{path}/a", patch, MERGE)).code == 422
    assert (await api.call("PATCH", f"{path}/a", {"metadata": {"labels": {"a": "b"}}}, MERGE)).code == 200


async def test_what_is_too_large_for_etcd(widgets: Api) -> None:
    """1.5 MiB, as Go writes JSON: each of ``< > &`` takes six bytes."""
    assert (await widgets.call("POST", WIDGETS, widget("a", {"text": "x" * 1_500_000}))).code == 201
    for text in ("x" * 1_600_000, "<" * 300_000):
        reply = await widgets.call("POST", WIDGETS, widget("b", {"text": text}))
        assert (reply.code, reply.body["message"]) == (500, "etcdserver: request is too large")
    assert (await widgets.call("GET", f"{WIDGETS}/b")).code == 404
