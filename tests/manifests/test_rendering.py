"""The chart over a matrix of values: what it renders is what an API server takes, and what holds for all of it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.domain.errors import NotFound, Unavailable
from controller.kube.client import KubeClient
from tests.manifests import chart, monitoring
from tests.manifests.cases import CASES
from tests.manifests.chart import Object
from tests.manifests.conftest import connected, is_somebodys, remove_namespaces

PLURALS = {
    "Ingress": "ingresses",
    "NetworkPolicy": "networkpolicies",
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
}
CLUSTER_WIDE = (
    *("Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"),
    *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
)
every_case = pytest.mark.parametrize("case", CASES)


def render(case: str) -> list[Object]:
    return chart.render(CASES[case])


@pytest.fixture(scope="module")
def namespaces(kubeconfig: Path) -> Iterator[None]:
    """Those that the cases speak of: an object's dry run asks for its namespace."""
    made = asyncio.run(_make_namespaces(kubeconfig))
    yield
    if is_somebodys(kubeconfig):
        asyncio.run(remove_namespaces(kubeconfig, made))


async def _make_namespaces(kubeconfig: Path) -> list[str]:
    made = []
    async with connected(kubeconfig) as client:
        for name in (chart.NAMESPACE, "jennah-jobs", "team-a", "batch"):
            try:
                await client.get(f"/api/v1/namespaces/{name}")
            except NotFound:
                await client.post(
                    "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
                )
                made.append(name)
    return made


@every_case
@pytest.mark.usefixtures("namespaces")
async def test_an_api_server_takes_each_object(case: str, client: KubeClient, kubeconfig: Path) -> None:
    objects = render(case)
    if any(found["apiVersion"] == monitoring.API_VERSION for found in objects):
        if is_somebodys(kubeconfig):  # it has those kinds as they are, or does without
            objects = [found for found in objects if found["apiVersion"] != monitoring.API_VERSION]
        else:
            for definition in monitoring.DEFINITIONS:
                await apply(client, definition)
    for found in objects:
        await apply(client, found, dryRun="All")


@pytest.mark.usefixtures("namespaces")
async def test_an_api_server_that_is_shown_a_wrong_object_says_so(client: KubeClient) -> None:
    deployment = chart.only(render("the least"), "Deployment", "jennah-api")
    wrong = {**deployment, "spec": {**deployment["spec"], "replica": 3}}
    with pytest.raises(Exception, match=r"spec\.replica"):
        await apply(client, wrong, dryRun="All")


async def apply(client: KubeClient, found: Object, **query: str) -> Any:
    """Apply on the server's side, with no field that it does not know."""
    query |= {"fieldManager": "tests", "force": "true", "fieldValidation": "Strict"}
    try:
        return await client.call(
            "PATCH", path_of(found), body=found, content_type="application/apply-patch+yaml", query=query
        )
    except Unavailable as error:
        raise AssertionError(f"{found['kind']} {found['metadata']['name']}: {error}") from error


def path_of(found: Object) -> str:
    version, kind, metadata = found["apiVersion"], found["kind"], found["metadata"]
    base = f"/apis/{version}" if "/" in version else f"/api/{version}"
    where = "" if kind in CLUSTER_WIDE else f"/namespaces/{metadata['namespace']}"
    return f"{base}{where}/{PLURALS.get(kind, kind.lower() + 's')}/{metadata['name']}"


# --- what holds for each object ------------------------------------------------------------------------


@every_case
def test_no_object_is_rendered_twice(case: str) -> None:
    keys = [path_of(found) for found in render(case)]
    assert sorted(keys) == sorted(set(keys))


@every_case
def test_each_object_but_the_crd_says_whose_it_is(case: str) -> None:
    for found in render(case):
        if found["kind"] != "CustomResourceDefinition":
            labels = found["metadata"]["labels"]
            assert labels["app.kubernetes.io/name"] == "jennah"
            assert labels["app.kubernetes.io/instance"] == chart.RELEASE


@every_case
def test_pods_meet_the_restricted_level_of_pod_security(case: str) -> None:
    for workload in chart.workloads(render(case)):
        spec = chart.pod_spec(workload)
        context = spec["securityContext"]
        assert (context["runAsNonRoot"], context["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
        assert context["runAsUser"] > 0
        for ours in (c for c in chart.containers(workload) if "args" in c):
            assert ours["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "/tmp" in [mount["mountPath"] for mount in ours["volumeMounts"]], "a place to write"
        kinds = {next(key for key in volume if key != "name") for volume in spec["volumes"]}
        assert kinds <= {"emptyDir", "configMap", "secret"}


@every_case
def test_what_a_pod_refers_to_is_there(case: str) -> None:
    """Volumes of mounts, ports of probes; accounts and ConfigMaps, unless they are the user's own."""
    objects = render(case)
    made = {(found["kind"], found["metadata"]["name"]) for found in objects}
    own = {"mine", "mine-too", "my-profiles", "database-ca", "issuer-ca"}
    for workload in chart.workloads(objects):
        spec = chart.pod_spec(workload)
        account = spec["serviceAccountName"]
        assert account in own or ("ServiceAccount", account) in made
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        assert len(volumes) == len(spec["volumes"]), "no name twice"
        for volume in volumes.values():
            name = volume.get("configMap", {}).get("name")
            assert name is None or name in own or ("ConfigMap", name) in made
        for container in chart.containers(workload):
            assert {mount["name"] for mount in container.get("volumeMounts", ())} <= set(volumes)
            ports = {port.get("name") for port in container.get("ports", ())}
            for probe in ("livenessProbe", "readinessProbe"):
                if probe in container:
                    assert container[probe]["httpGet"]["port"] in ports


@every_case
def test_selectors_find_the_pods_of_their_own_component_and_no_others(case: str) -> None:
    objects = render(case)
    pods = {w["metadata"]["name"]: w["spec"]["template"]["metadata"]["labels"] for w in chart.workloads(objects)}
    selectors = {
        (found["kind"], found["metadata"]["name"]): selector
        for found in objects
        if found["kind"] != "ServiceMonitor" and (selector := _selector(found))
    }
    assert len(selectors) >= 2
    for (kind, name), selector in selectors.items():
        found = [pod for pod, labels in pods.items() if selector.items() <= labels.items()]
        assert found == [name.removesuffix("-metrics")], kind


def _selector(found: Object) -> dict[str, str]:
    spec = found.get("spec", {})
    selector: dict[str, Any] = spec.get("selector", spec.get("podSelector")) or {}
    labels: dict[str, str] = selector.get("matchLabels", selector)
    return labels


@every_case
def test_services_and_policies_open_ports_that_the_pods_have(case: str) -> None:
    objects = render(case)
    ports: dict[str, set[Any]] = {}
    for workload in chart.of_kind(objects, "Deployment"):
        listed = [port for c in chart.containers(workload) for port in c.get("ports", ())]
        ports[workload["metadata"]["name"]] = {p for port in listed for p in (port.get("name"), port["containerPort"])}
    for found in objects:
        name = found["metadata"]["name"].removesuffix("-metrics")
        if found["kind"] == "Service":
            assert {port["targetPort"] for port in found["spec"]["ports"]} <= ports[name]
        if found["kind"] == "NetworkPolicy" and found["metadata"]["namespace"] == chart.NAMESPACE:
            assert {port["port"] for rule in found["spec"]["ingress"] for port in rule["ports"]} <= ports[name]


@every_case
def test_roles_are_bound_to_the_accounts_of_the_pods(case: str) -> None:
    objects = render(case)
    accounts = {chart.pod_spec(w)["serviceAccountName"] for w in chart.of_kind(objects, "Deployment")}
    roles = {(f["kind"], f["metadata"].get("namespace"), f["metadata"]["name"]) for f in objects if "Role" in f["kind"]}
    for binding in (f for f in objects if f["kind"].endswith("RoleBinding")):
        role = binding["roleRef"]
        assert (role["kind"], binding["metadata"].get("namespace"), role["name"]) in roles
        for subject in binding["subjects"]:
            if subject["kind"] == "ServiceAccount":
                assert (subject["namespace"], subject["name"] in accounts) == (chart.NAMESPACE, True)


# --- what single values do -----------------------------------------------------------------------------


def test_an_identity_of_azure_labels_the_pods() -> None:
    for workload in chart.workloads(render("azure with workload identity")):
        assert workload["spec"]["template"]["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    for workload in chart.workloads(render("the least")):
        assert "azure.workload.identity/use" not in workload["spec"]["template"]["metadata"]["labels"]


def test_variables_of_ones_own_win_and_no_name_comes_twice() -> None:
    own = {
        "extraEnv": [{"name": "LOG_LEVEL", "value": "warning"}, {"name": "TZ", "value": "UTC"}],
        "api": {"extraEnv": [{"name": "TZ", "value": "CET"}]},
    }
    objects = chart.render(chart.merged(CASES["the least"], own))
    for name, zone in (("jennah-controller", "UTC"), ("jennah-api", "CET")):
        [container] = chart.containers(chart.only(objects, "Deployment", name))
        names = [variable["name"] for variable in container["env"]]
        assert len(names) == len(set(names))
        given = chart.variables(container)
        assert (given["LOG_LEVEL"], given["TZ"]) == ("warning", zone)


def test_changed_profiles_restart_the_pods_that_read_them() -> None:
    checksums = set()
    for cpu in (1000, 2000):
        profiles = {"resourceProfiles": {"small": {"cpuMillis": cpu}}}
        objects = chart.render(chart.merged(CASES["the least"], {"profiles": profiles}))
        for name in ("jennah-controller", "jennah-api"):
            template = chart.only(objects, "Deployment", name)["spec"]["template"]
            checksums.add(template["metadata"]["annotations"]["checksum/profiles"])
    assert len(checksums) == 2


def test_the_grace_period_of_the_api_covers_its_delay_and_its_requests() -> None:
    api = chart.only(render("everything about the API"), "Deployment", "jennah-api")
    assert chart.pod_spec(api)["terminationGracePeriodSeconds"] == 3 + 60 + 10
    assert "replicas" not in api["spec"], "the autoscaler's"


def test_migrations_run_before_all_else_and_with_rights_of_their_own() -> None:
    job = chart.only(render("the least"), "Job")
    account = chart.only(render("the least"), "ServiceAccount", "jennah-migrate")
    for found in (job, account):
        assert found["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    weights = [int(found["metadata"]["annotations"]["helm.sh/hook-weight"]) for found in (account, job)]
    assert weights == sorted(weights), "the account is there when the Job needs it"
    assert chart.pod_spec(job)["automountServiceAccountToken"] is False
    # Nothing else of the release is there at that time.
    spec = chart.pod_spec(job)
    assert [volume["name"] for volume in spec["volumes"]] == ["tmp"]
    for case in ("migrations in each pod", "migrations by hand, accounts of one's own"):
        assert not chart.of_kind(render(case), "Job")
    first = chart.containers(chart.only(render("migrations in each pod"), "Deployment", "jennah-api"))[0]
    assert (first["name"], first["args"]) == ("migrate", ["migrate"])
    assert chart.variables(first)["DB_ENDPOINT"] == "secret:owner/DB_ENDPOINT"


def test_what_holds_jobs_outlives_the_release() -> None:
    objects = render("the least")
    for found in (*chart.of_kind(objects, "CustomResourceDefinition"), chart.only(objects, "Namespace", "jennah-jobs")):
        assert found["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_pods_of_other_namespaces_reach_the_api_only_where_that_is_said() -> None:
    def peers(case: str, name: str) -> Any:
        return chart.only(render(case), "NetworkPolicy", name)["spec"]["ingress"][0].get("from")

    own: list[Any] = [{"podSelector": {}}]
    assert peers("the least", "jennah-api") == own
    gateway = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateway"}}}
    assert peers("everything about the API", "jennah-api") == [*own, gateway]
    assert peers("everything about the API", "jennah-controller") is None, "everybody"
