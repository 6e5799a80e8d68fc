"""Built-in kinds: their fields are known, as the real server knows them."""

from typing import Any

import pytest

from .client import MERGE, Api, Reply

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
POD = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "nginx", "resources": {"requests": {"cpu": 1, "memory": "1Gi"}}}]},
}

ENDING = {**POD, "spec": {**POD["spec"], "restartPolicy": "Never"}}


def deployment(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": POD, **spec},
    }


def container(**fields: Any) -> dict[str, Any]:
    """A deployment with one container that has these fields."""
    return deployment(template={**POD, "spec": {"containers": [{"name": "web", "image": "nginx", **fields}]}})


async def create(api: Api, body: dict[str, Any], **query: str) -> Reply:
    return await api.call("POST", DEPLOYMENTS, body, **query)


async def test_unknown_fields_are_refused_named_or_dropped(api: Api) -> None:
    wrong = {**container(imagePullPolice="Always"), "spce": {}}
    reply = await create(api, wrong, fieldValidation="Strict")
    assert reply.code == 400
    assert (
        'strict decoding error: unknown field "spec.template.spec.containers[0].imagePullPolice", unknown field "spce"'
        in reply.body["message"]
    )
    reply = await create(api, wrong, fieldValidation="Warn")
    assert (reply.code, len(reply.warnings)) == (201, 2)
    assert "spce" not in reply.body
    assert "imagePullPolice" not in reply.body["spec"]["template"]["spec"]["containers"][0]
    reply = await api.call("PATCH", f"{DEPLOYMENTS}/web", {"spec": {"replicaz": 1}}, MERGE, fieldValidation="Strict")
    assert 'unknown field "spec.replicaz"' in reply.body["message"]


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (deployment(replicas="3"), "string into Go struct field DeploymentSpec.spec.replicas of type int32"),
        (container(args="sh"), "string into Go struct field Container.spec.template.spec.containers[0].args of type"),
        (container(env=[{"name": "A", "value": 1}]), "number into Go struct field EnvVar.spec.template"),
        (container(stdin="yes"), "of type bool"),
        (
            deployment(selector={"matchLabels": {"app": 1}}),
            "LabelSelector.spec.selector.matchLabels.app of type string",
        ),
        (container(resources={"limits": {"cpu": "much"}}), "quantities must match the regular expression"),
    ],
)
async def test_a_value_of_another_type_is_a_bad_request(api: Api, body: dict[str, Any], wrong: str) -> None:
    reply = await create(api, body)
    assert reply.code == 400
    assert wrong in reply.body["message"]


async def test_a_field_that_must_be_there(api: Api) -> None:
    reply = await create(api, container(name="", ports=[{"name": "http"}]), dryRun="All")
    assert reply.code == 422
    assert [(cause["field"], cause["reason"]) for cause in reply.body["details"]["causes"]] == [
        ("spec.template.spec.containers[0].name", "FieldValueRequired"),
        ("spec.template.spec.containers[0].ports[0].containerPort", "FieldValueRequired"),
    ]


async def test_numbers_where_either_will_do_and_nulls_that_mean_nothing(api: Api) -> None:
    for port in (80, "http"):
        body = container(readinessProbe={"httpGet": {"port": port}}, command=None, resources=None)
        assert (await create(api, body, dryRun="All", fieldValidation="Strict")).code == 201


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/namespaces/default/services", {"spec": {"ports": [{"port": 80, "targetPort": "http"}]}}),
        ("/api/v1/namespaces/default/configmaps", {"data": {"a": "b"}, "immutable": True}),
        ("/api/v1/namespaces/default/serviceaccounts", {"automountServiceAccountToken": False}),
        (
            "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
            {
                "spec": {
                    "maxReplicas": 3,
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"},
                }
            },
        ),
        ("/apis/policy/v1/namespaces/default/poddisruptionbudgets", {"spec": {"maxUnavailable": "50%"}}),
        (
            "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
            {"spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 8081}]}]}},
        ),
        (
            "/apis/networking.k8s.io/v1/namespaces/default/ingresses",
            {"spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}}},
        ),
        ("/apis/scheduling.k8s.io/v1/priorityclasses", {"value": 1000}),
        ("/apis/batch/v1/namespaces/default/jobs", {"spec": {"backoffLimit": 1, "template": ENDING}}),
    ],
    ids=lambda value: value.rpartition("/")[2] if isinstance(value, str) else "",
)
async def test_the_kinds_of_a_chart_are_known_by_their_fields(api: Api, path: str, body: dict[str, Any]) -> None:
    good = {"metadata": {"name": "a"}, **body}
    assert (await api.call("POST", path, good, fieldValidation="Strict")).code == 201
    refused = await api.call("POST", path, {**good, "bogus": 1}, fieldValidation="Strict")
    assert 'unknown field "bogus"' in refused.body["message"]


async def test_schemas_of_built_in_kinds_are_served(api: Api) -> None:
    schemas = (await api.ok("GET", "/openapi/v3/apis/apps/v1"))["components"]["schemas"]
    root = schemas["apps.v1.Deployment"]
    assert root["x-kubernetes-group-version-kind"] == [{"group": "apps", "version": "v1", "kind": "Deployment"}]
    assert root["properties"]["spec"]["allOf"] == [{"$ref": "#/components/schemas/V1DeploymentSpec"}]
    assert schemas["V1DeploymentSpec"]["description"].endswith("desired behavior of the Deployment.")
    assert schemas["V1DeploymentSpec"]["required"] == ["selector", "template"]
    assert schemas["V1Container"]["properties"]["image"]["type"] == "string"
