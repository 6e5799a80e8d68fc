"""For whom and where the chart's admission policies hold; tests/cluster has a test for each of their rules."""

import pytest

from dev.manifests import helm
from tests.manifests import chart
from tests.manifests.cases import DEFAULT
from tests.manifests.chart import Values

API = "system:serviceaccount:jennah-system:jennah-api"
CONTROLLER = "system:serviceaccount:jennah-system:jennah-controller"


def policy(which: str, *values: Values) -> str:
    """The text of its spec."""
    objects = chart.render(chart.merged(DEFAULT, *values))
    return str(chart.only(objects, "ValidatingAdmissionPolicy", f"jennah-{which}")["spec"])


def test_the_api_creates_jobs_of_any_tenant_and_the_controller_writes_their_status() -> None:
    assert f"in ['{API}'])" in policy("tenant")
    assert f"request.userInfo.username == '{CONTROLLER}'" in policy("status")
    assert API not in policy("status")


def test_other_accounts_and_users_take_their_place() -> None:
    accounts = {name: {"serviceAccount": {"create": False, "name": f"my-{name}"}} for name in ("api", "controller")}
    users = {"api": {"users": ["api@project.iam.gserviceaccount.com"]}}
    my_api = API.replace("jennah-api", "my-api")
    assert f"in ['{my_api}','api@project.iam.gserviceaccount.com'])" in policy("tenant", accounts, users)
    assert CONTROLLER.replace("jennah-controller", "my-controller") in policy("status", accounts)
    assert "in ['api@project.iam.gserviceaccount.com'])" in policy("tenant", users, {"api": {"enabled": False}})
    assert "in [])" in policy("tenant", {"api": {"enabled": False}})


def test_a_user_that_would_break_the_expression_is_refused() -> None:
    with pytest.raises(helm.HelmError, match="users"):
        policy("tenant", {"api": {"users": ["o'brien"]}})


def bound_to(*values: Values) -> dict[str, list[str]]:
    """The namespaces of each binding; none: all."""
    bindings = chart.of_kind(chart.render(chart.merged(DEFAULT, *values)), "ValidatingAdmissionPolicyBinding")
    found = {}
    for binding in bindings:
        selector = binding["spec"].get("matchResources", {}).get("namespaceSelector", {})
        found[binding["spec"]["policyName"].removeprefix("jennah-")] = [
            name for expression in selector.get("matchExpressions", ()) for name in expression["values"]
        ]
    return found


def test_an_installation_for_some_namespaces_judges_no_others() -> None:
    """What the controller itself may make it judges everywhere, and its accounts where they are."""
    for values, namespaces in (
        ({}, ["jennah-jobs"]),
        ({"watchNamespaces": ["team-a", "jennah-jobs"]}, ["team-a", "jennah-jobs"]),
        ({"rbac": {"clusterWide": True}}, []),
    ):
        judged = dict.fromkeys(("tenant", "status", "namespaces"), namespaces)
        assert bound_to(values) == {**judged, "places": [], "accounts": ["jennah-system"]}


def test_jobs_run_in_the_namespaces_that_the_values_name() -> None:
    kubernetes = {"provider": {"name": "kubernetes", "region": "", "kubernetes": {"namespace": "batch"}}}
    assert "request.namespace in ['batch']" in policy("places", kubernetes)
    assert "request.namespace in ['jennah-jobs']" in policy("places")
    assert "request.namespace in ['jennah-jobs']" in policy("places", {"rbac": {"clusterWide": True}})
    assert "request.namespace in ['team-a','jennah-jobs']" in policy(
        "places", {"watchNamespaces": ["team-a", "jennah-jobs"]}
    )


def test_the_label_of_a_namespace_is_guarded_on_each_way_to_it() -> None:
    """A real API server takes labels through these subresources as well; the in-memory one does not."""
    resources = policy("namespaces").partition("'resources': ")[2].partition("]")[0]
    assert resources == "['namespaces', 'namespaces/status', 'namespaces/finalize'"


def test_the_account_that_everybody_has_is_not_closed_to_others() -> None:
    accounts = {"api": {"serviceAccount": {"create": False, "name": "default"}}}
    assert "in ['jennah-controller','jennah-migrate']" in policy("accounts", accounts)


def test_each_policy_is_bound_and_denies() -> None:
    objects = chart.render(DEFAULT)
    bindings = chart.of_kind(objects, "ValidatingAdmissionPolicyBinding")
    policies = chart.of_kind(objects, "ValidatingAdmissionPolicy")
    assert [binding["spec"]["policyName"] for binding in bindings] == [found["metadata"]["name"] for found in policies]
    assert all(binding["spec"]["validationActions"] == ["Deny"] for binding in bindings)
    assert all(found["spec"]["failurePolicy"] == "Fail" for found in policies)
