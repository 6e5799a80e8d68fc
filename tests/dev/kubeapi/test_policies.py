"""ValidatingAdmissionPolicy: which writes one is about, what its expressions see, and what comes of a refusal."""

from typing import Any

import pytest

from .client import MERGE, WIDGETS, Api, Reply, widget

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
POLICIES, BINDINGS = f"{ADMISSION}/validatingadmissionpolicies", f"{ADMISSION}/validatingadmissionpolicybindings"


async def install(api: Api, *expressions: str, binding: dict[str, Any] | None = None, **spec: Any) -> None:
    """A policy on creating and changing widgets that demands all of this, and its binding."""
    rule = {
        "apiGroups": ["example.com"],
        "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["widgets"],
    }
    validations = [{"expression": each, "reason": "Forbidden"} for each in expressions]
    body = {"matchConstraints": {"resourceRules": [rule]}, "validations": validations, **spec}
    await api.ok("POST", POLICIES, {"metadata": {"name": "p"}, "spec": body})
    bound = {"policyName": "p", "validationActions": ["Deny"], **(binding or {})}
    await api.ok("POST", BINDINGS, {"metadata": {"name": "b"}, "spec": bound})


async def create(api: Api, spec: dict[str, Any] | None = None, **query: str) -> Reply:
    return await api.call("POST", WIDGETS, widget("w", spec), **query)


async def test_a_refusal_names_policy_binding_and_message(widgets: Api) -> None:
    await install(widgets, validations=[{"expression": "object.spec.size < 5", "message": "too large"}])
    reply = await create(widgets, {"size": 7})
    why = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: too large"
    assert reply.body["message"] == f'widgets.example.com "w" is forbidden: {why}'
    assert (reply.code, reply.body["reason"]) == (422, "Invalid")
    assert (await create(widgets, {"size": 1})).code == 201
    change = await widgets.call("PATCH", f"{WIDGETS}/w", {"spec": {"size": 8}}, MERGE, dryRun="All")
    assert change.code == 422


async def test_variables_are_worked_out_from_each_other_and_show_in_messages(widgets: Api) -> None:
    variables = [
        {"name": "size", "expression": "has(object.spec.size) ? object.spec.size : 0"},
        {"name": "double", "expression": "variables.size * 2"},
    ]
    message = "'twice the size is ' + string(variables.double)"
    validation = {"expression": "variables.double < 10", "messageExpression": message, "reason": "Forbidden"}
    await install(widgets, variables=variables, validations=[validation])
    reply = await create(widgets, {"size": 7})
    assert (reply.code, reply.body["message"].rpartition(": ")[2]) == (403, "twice the size is 14")
    assert (await create(widgets)).code == 201


@pytest.mark.parametrize(
    "holds",
    [
        "request.userInfo.username == 'system:admin' && 'system:masters' in request.userInfo.groups",
        "request.operation == 'CREATE' && oldObject == null && request.dryRun == true",
        "request.namespace == 'default' && request.name == 'w' && request.resource.resource == 'widgets'",
        "namespaceObject.metadata.labels['kubernetes.io/metadata.name'] == 'default'",
        "object.metadata.name == 'w' && !has(object.spec.size)",
    ],
)
async def test_what_expressions_see(widgets: Api, holds: str) -> None:
    await install(widgets, f"!({holds})")
    assert (await create(widgets, dryRun="All")).code == 403


async def test_the_old_object_is_there_on_updates(widgets: Api) -> None:
    await install(widgets, "oldObject == null || object.spec.size >= oldObject.spec.size")
    assert (await create(widgets, {"size": 3})).code == 201
    for size, code in ((2, 403), (4, 200)):
        assert (await widgets.call("PATCH", f"{WIDGETS}/w", {"spec": {"size": size}}, MERGE)).code == code


async def test_conditions_and_selectors_narrow_a_policy(widgets: Api) -> None:
    elsewhere = {"matchLabels": {"kubernetes.io/metadata.name": "other"}}
    await install(widgets, "false", binding={"matchResources": {"namespaceSelector": elsewhere}})
    assert (await create(widgets, dryRun="All")).code == 201
    here = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["default"]}]}
    patch = {"spec": {"matchResources": {"namespaceSelector": {"matchLabels": None, **here}}}}
    await widgets.ok("PATCH", f"{BINDINGS}/b", patch, MERGE)
    assert (await create(widgets, dryRun="All")).code == 403
    condition = {"name": "x-only", "expression": "request.name == 'x'"}
    await widgets.ok("PATCH", f"{POLICIES}/p", {"spec": {"matchConditions": [condition]}}, MERGE)
    assert (await create(widgets, dryRun="All")).code == 201


async def test_a_subresource_and_a_deletion_are_judged_where_they_are_named(widgets: Api) -> None:
    await install(widgets, "false")
    rules = [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["DELETE"], "resources": ["widgets"]}]
    rules.append({**rules[0], "operations": ["UPDATE"], "resources": ["*/status"]})
    await widgets.ok("PATCH", f"{POLICIES}/p", {"spec": {"matchConstraints": {"resourceRules": rules}}}, MERGE)
    assert (await create(widgets)).code == 201
    assert (await widgets.call("PATCH", f"{WIDGETS}/w", {"spec": {"a": 1}}, MERGE)).code == 200
    assert (await widgets.call("PATCH", f"{WIDGETS}/w/status", {"status": {"a": 1}}, MERGE)).code == 403
    assert (await widgets.call("DELETE", f"{WIDGETS}/w")).code == 403
    assert (await widgets.call("DELETE", WIDGETS)).code == 403


async def test_what_cannot_be_evaluated_is_refused_unless_the_policy_forgives_it(widgets: Api) -> None:
    await install(widgets, "object.spec.size > 1")
    reply = await create(widgets)
    assert "expression 'object.spec.size > 1' resulted in error" in reply.body["message"]
    await widgets.ok("PATCH", f"{POLICIES}/p", {"spec": {"failurePolicy": "Ignore"}}, MERGE)
    assert (await create(widgets)).code == 201


async def test_a_binding_may_only_warn(widgets: Api) -> None:
    await install(widgets, "false", binding={"validationActions": ["Warn"]})
    reply = await create(widgets)
    assert reply.code == 201
    assert "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b'" in reply.warnings[0]


async def test_without_a_binding_nothing_is_refused(widgets: Api) -> None:
    await install(widgets, "false")
    assert (await create(widgets, dryRun="All")).code == 403
    await widgets.ok("DELETE", f"{BINDINGS}/b")
    assert (await create(widgets)).code == 201


async def test_a_policy_that_does_not_compile_is_refused(api: Api) -> None:
    spec = {"validations": [{"expression": "object.("}]}
    reply = await api.call("POST", POLICIES, {"metadata": {"name": "p"}, "spec": spec})
    assert (reply.code, reply.body["details"]["causes"][0]["field"]) == (422, "spec.validations[0].expression")
