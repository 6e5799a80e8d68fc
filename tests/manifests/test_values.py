"""Values: which there are, which are refused and with which words, and that the programs take what becomes of them."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.settings import read_api
from controller import settings
from controller.domain.errors import ConfigError
from dev.kubeapi import certs
from dev.manifests import helm, values
from tests.manifests import chart
from tests.manifests.cases import (
    AWS,
    AZURE,
    CASES,
    COSMOSDB,
    DEFAULT,
    DYNAMODB,
    GCP,
    KUBERNETES,
    POSTGRES,
    SPANNER,
    TOKENS,
)
from tests.manifests.chart import CHART, Values, merged

ROOT = CHART.parents[1]
VALUES = (CHART / "values.yaml").read_text()
SCHEMA = json.loads((CHART / "values.schema.json").read_text())

# --- what is refused -----------------------------------------------------------------------------------

BESIDE = "jobs would run in the release's namespace jennah-system"

WRONG: list[tuple[Values, str]] = [
    # One value: the schema.
    ({"controler": {}}, "Additional property controler is not allowed"),
    ({"controller": {"replica": 3}}, "controller: Additional property replica is not allowed"),
    ({"controller": {"replicas": 0}}, "controller.replicas: Must be greater than or equal to 1"),
    ({"controller": {"replicas": "2"}}, "controller.replicas: Invalid type. Expected: integer, given: string"),
    ({"image": {"tag": 1.1}}, "image.tag: Invalid type. Expected: string, given: number"),
    ({"image": {"repository": "registry/jennah:1"}}, "image.repository: Does not match pattern"),
    ({"provider": {"name": "google"}}, "provider.name: provider.name must be one of the following"),
    ({"provider": {"instance": "Blue"}}, "provider.instance: Does not match pattern"),
    ({"watchNamespaces": "team-a"}, "watchNamespaces: Invalid type. Expected: array, given: string"),
    ({"watchNamespaces": ["Team_A"]}, "watchNamespaces.0: Does not match pattern"),
    ({"controller": {"lease": {"ttlSeconds": 15.5}}}, "controller.lease.ttlSeconds: Invalid type"),
    ({"api": {"auth": {"kind": "ldap"}}}, "api.auth.kind: Must validate one and only one schema"),
    ({"api": {"auth": {"kind": ["token", "none"]}}}, "api.auth.kind: Must validate one and only one schema"),
    ({"api": {"auth": None}}, "api: auth is required"),
    ({"tenancy": {"namespaceLabelGroups": ["o'brien"]}}, "tenancy.namespaceLabelGroups.0: Does not match pattern"),
    ({"api": {"allowedOrigins": ["example.com"]}}, "api.allowedOrigins.0: Does not match pattern"),
    ({"extraEnv": [{"name": "A", "value": 1}]}, "extraEnv.0.value: Invalid type. Expected: string, given: integer"),
    ({"profiles": {"profiles": {}}}, "profiles: Additional property profiles is not allowed"),
    # Several: the chart.
    ({"provider": {"name": ""}}, "provider.name is required: gcp, aws, azure or kubernetes"),
    ({"provider": {"name": "local"}}, "provider.name=local runs jobs as processes of the controller's own pod"),
    ({"provider": {"region": ""}}, "provider.region is required with provider.name=gcp"),
    ({"provider": {"gcp": {"projectId": ""}}}, "provider.gcp.projectId is required with provider.name=gcp"),
    ({"provider": {"name": "aws"}}, "provider.aws.jobQueue is required with provider.name=aws"),
    ({"provider": {"name": "azure"}}, "provider.azure.account is required with provider.name=azure"),
    ({"provider": {"name": "azure"}}, "provider.azure.pool is required with provider.name=azure"),
    ({"provider": {"azure": {"registry": {"server": "r"}}}}, "provider.azure.registry.server needs"),
    ({"provider": {"azure": {"registry": {"identity": "i"}}}}, "provider.azure.registry.server is required"),
    ({"provider": {"azure": {"output": {"url": "https://u", "secretName": "s"}}}}, "are the same variable"),
    ({"provider": {"azure": {"endpoint": "http://stand-in"}}}, "needs provider.azure.keySecret.name"),
    ({"database": {"provider": ""}}, "database.provider is required: spanner, postgres, dynamodb or cosmosdb"),
    ({"database": {"provider": "sqlite"}}, "database.provider=sqlite is a file of one machine"),
    ({"database": {"endpointSecret": {"name": ""}}}, "database.endpointSecret.name is required"),
    ({"database": {"endpoint": "postgresql://host/db"}}, "are the same variable: set one of them"),
    (
        {"database": {"endpoint": "postgresql://me:secret@host/db", "endpointSecret": {"name": ""}}},
        "database.endpoint holds a password",
    ),
    (
        {"database": {"endpoint": "postgresql://host/db?user=me&password=secret", "endpointSecret": {"name": ""}}},
        "database.endpoint holds a password",
    ),
    (
        {"provider": {"azure": {"output": {"url": "https://a.blob.core.windows.net/c?sv=1&sig=secret"}}}},
        "provider.azure.output.url holds a signature",
    ),
    (
        {"database": {"endpoint": "postgresql://me:pa/se@cret@host/db", "endpointSecret": {"name": ""}}},
        "database.endpoint holds a password",
    ),
    ({"database": {"provider": "spanner"}}, "database.instance is required with database.provider=spanner"),
    ({"database": {"provider": "dynamodb"}}, "database.region is required with database.provider=dynamodb"),
    ({"controller": {"orphans": "cancel"}}, "controller.orphans=cancel needs provider.instance"),
    ({"controller": {"observeMinSeconds": 9, "observeMaxSeconds": 8}}, "controller.observeMinSeconds is greater"),
    ({"controller": {"lease": {"claimIntervalSeconds": 9}}}, "controller.lease.ttlSeconds is too short"),
    ({"api": {"serviceAccount": {"create": False}}}, "api.serviceAccount.name is required with api.serviceAccount.cre"),
    ({"commonLabels": {"helm.sh/chart": "x"}}, "commonLabels must not have helm.sh/chart: the chart sets it"),
    ({"api": {"podLabels": {"app.kubernetes.io/name": "x"}}}, "api.podLabels must not have app.kubernetes.io/name"),
    ({"profiles": {"resourceProfiles": {}, "defaultResources": {}}, "existingProfiles": "mine"}, "are the same file"),
    ({"watchNamespaces": ["team-a"]}, "watchNamespaces has no jennah-jobs: the API creates its jobs there"),
    ({"watchNamespaces": ["jennah-jobs"], "rbac": {"clusterWide": True}}, "leave watchNamespaces empty"),
    (merged(KUBERNETES, {"jobNamespace": {"name": ""}}), f"jobNamespace.name: {BESIDE}"),
    (merged(KUBERNETES, {"jobNamespace": {"name": "jennah-system"}}), f"jobNamespace.name: {BESIDE}"),
    (merged(KUBERNETES, {"watchNamespaces": ["jennah-jobs", "jennah-system"]}), f"watchNamespaces: {BESIDE}"),
    (
        {"provider": {"name": "kubernetes", "kubernetes": {"namespace": "jennah-system"}}},
        f"provider.kubernetes.namespace: {BESIDE}",
    ),
    (merged(KUBERNETES, {"jobNamespace": {"podSecurity": "restricted"}}), "needs provider.kubernetes.podSecurity=res"),
    ({"api": {"auth": {"tokensSecret": {"name": ""}}}}, "api.auth.tokensSecret.name is required with api.auth.kind=to"),
    ({"api": {"auth": {"kind": "none"}}}, "api.auth.kind=none lets whoever reaches the API act for every tenant"),
    ({"api": {"auth": {"kind": "oidc"}}}, "api.auth.oidc.issuer is required with api.auth.kind=oidc"),
    ({"api": {"auth": {"kind": ["token", "oidc"]}}}, "api.auth.oidc.audience is required with api.auth.kind=oidc"),
    ({"api": {"ingress": {"enabled": True}}}, "api.ingress.hosts is required with api.ingress.enabled"),
    ({"api": {"service": {"type": "LoadBalancer"}}}, "networkPolicy.apiFrom is required with an Ingress or a Service"),
    ({"api": {"ingress": {"enabled": True, "hosts": ["h"]}}}, "api.ingress.tls is required with api.ingress.enabled"),
    ({"api": {"service": {"type": "LoadBalancer"}}}, "api.tls.secretName is required with api.service.type=LoadBalanc"),
    ({"api": {"service": {"type": "NodePort"}}}, "api.tls.secretName is required with api.service.type=NodePort"),
    (
        {"api": {"auth": {"kind": "none", "noneIsMeant": True}, "service": {"type": "NodePort"}}},
        "anybody outside of the cluster could act for every tenant",
    ),
    ({"api": {"extraEnv": [{"name": "API_AUTH", "value": "none"}]}}, "api.extraEnv must not have API_AUTH: api.auth.k"),
    ({"extraEnv": [{"name": "WATCH_NAMESPACES"}]}, "extraEnv must not have WATCH_NAMESPACES: watchNamespaces says it"),
    ({"extraEnv": [{"name": "A"}, {"name": "A"}]}, "extraEnv has A twice"),
    ({"migration": {"extraEnv": [{"name": "DB_KEY", "value": "secret@"}]}}, "migration.extraEnv has DB_KEY in clear"),
    (
        {"controller": {"extraEnv": [{"name": "DB_ENDPOINT", "value": "postgresql://me:secret@host/db"}]}},
        "controller.extraEnv has DB_ENDPOINT in clear: put it into a Secret",
    ),
    ({"metrics": {"serviceMonitor": {"enabled": True}}}, "networkPolicy.metricsFrom is required with metrics.serviceM"),
    ({"metrics": {"service": False, "serviceMonitor": {"enabled": True}}}, "metrics.serviceMonitor.enabled needs"),
    ({"metrics": {"port": 8081}}, "metrics.port is 8081, which the API has for its callers"),
    (
        {"metrics": {"dashboard": {"enabled": True, "namespace": "Team_A"}}},
        "metrics.dashboard.namespace: Does not match",
    ),
    ({"api": {"autoscaling": {"enabled": True, "minReplicas": 11}}}, "api.autoscaling.minReplicas is greater"),
]


@pytest.mark.parametrize(("wrong", "words"), WRONG, ids=[words for _, words in WRONG])
def test_wrong_values_are_refused_in_words(wrong: Values, words: str) -> None:
    with pytest.raises(helm.HelmError) as refused:
        chart.render(merged(DEFAULT, wrong))
    assert words in str(refused.value)
    assert "secret@" not in str(refused.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(helm.HelmError) as refused:
        chart.render({})
    told = [line.partition(" is required")[0] for line in str(refused.value).splitlines() if " is required" in line]
    assert told == ["provider.name", "database.provider", "api.auth.tokensSecret.name"]


@pytest.mark.parametrize(
    "meant",
    [
        {"ingress": {"enabled": True, "hosts": ["h"]}, "exposure": {"withoutTls": True}},
        {"service": {"type": "LoadBalancer"}, "tls": {"secretName": "certificate"}},
        {
            "auth": {"kind": "none", "noneIsMeant": True},
            "service": {"type": "LoadBalancer"},
            "exposure": {"withoutTls": True, "withoutAuthentication": True},
        },
    ],
)
def test_what_is_meant_is_let_through(meant: dict[str, Any]) -> None:
    assert chart.render(merged(DEFAULT, {"api": meant, "networkPolicy": {"apiFrom": [{}]}}))


def test_an_environment_may_come_from_secrets_of_ones_own() -> None:
    own = {"name": "DB_ENDPOINT", "valueFrom": {"secretKeyRef": {"name": "database", "key": "url"}}}
    objects = chart.render(merged(DEFAULT, {"extraEnv": [own, {"name": "DB_DATABASE", "value": "jobs"}]}))
    given = chart.variables(chart.containers(chart.only(objects, "Deployment", "jennah-api"))[0])
    assert (given["DB_ENDPOINT"], given["DB_DATABASE"]) == ("secret:database/url", "jobs")


def test_the_chart_passes_helms_own_lint(tmp_path: Path) -> None:
    given = tmp_path / "values.json"
    given.write_text(json.dumps(CASES["the least"]))
    assert "0 chart(s) failed" in helm.run("lint", "--strict", CHART, "--values", given)


@pytest.mark.parametrize(
    ("version", "is_enough"), [("v1.30.9", False), ("v1.31.0", True), ("v1.33.4-gke.1172000", True)]
)
def test_a_cluster_that_is_too_old_is_told(version: str, is_enough: bool, tmp_path: Path) -> None:
    given = tmp_path / "values.json"
    given.write_text(json.dumps(DEFAULT))
    arguments = ("template", chart.RELEASE, CHART, "--values", given, "--kube-version", version)
    if is_enough:
        assert helm.run(*arguments)
    else:
        with pytest.raises(helm.HelmError, match=r"chart requires kubeVersion: >=1\.31"):
            helm.run(*arguments)


# --- which there are -----------------------------------------------------------------------------------


def test_each_value_is_documented() -> None:
    assert values.undocumented(VALUES) == []


def test_values_and_schema_are_about_the_same() -> None:
    assert list(_differences(yaml.safe_load(VALUES), SCHEMA)) == []


def test_values_of_an_older_chart_are_told_what_they_lack() -> None:
    """`helm upgrade --reuse-values` gives the values of the release before, without the defaults of this chart."""
    assert list(_not_required(yaml.safe_load(VALUES), SCHEMA)) == []


def _not_required(node: dict[str, Any], schema: Any, path: str = "") -> Iterator[str]:
    for name, value in node.items() if "properties" in schema else ():
        if value is not None and name not in schema.get("required", ()):
            yield f"{path}{name}"
        if isinstance(value, dict) and value:
            yield from _not_required(value, schema["properties"][name], f"{path}{name}.")


def _differences(node: Any, schema: Any, path: str = "") -> Iterator[str]:
    schema = resolved(schema)
    if not node or "properties" not in schema:
        return  # a single value, or what is empty by default and described by the schema alone
    assert schema["additionalProperties"] is False, f"{path} takes what it does not know"
    known = set(schema["properties"]) - {"global"}  # Helm's own
    yield from (f"{path}{name}" for name in sorted(set(node) ^ known))
    for name in set(node) & known:
        yield from _differences(node[name], schema["properties"][name], f"{path}{name}.")


def resolved(node: Any) -> Any:
    return SCHEMA["definitions"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node


def test_each_variable_of_the_documentation_can_be_set_by_a_value() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    documented = {name for row in re.findall(r"^\|([^|]*)\|", text, re.M) for name in re.findall(r"`([A-Z_]+)`", row)}
    # Not for a cluster (the local provider, SQLite), or what the pod's own name and port say already.
    elsewhere = {"JENNAH_ALLOW_LOCAL_PROVIDER", "JENNAH_ALLOW_REMOTE_SHELL", "JENNAH_DATA_DIR", "LEASE_NAMESPACE"}
    elsewhere |= {"WORKER_ID", "WORKER_HOST", "METRICS_HOST"}
    rendered = {name for case in CASES for name in _all_variables(case)}
    assert documented - rendered == elsewhere


def _all_variables(case: str) -> Iterator[str]:
    for workload in chart.workloads(chart.render(CASES[case])):
        for container in (c for c in chart.containers(workload) if "args" in c):
            yield from chart.variables(container)


def test_chart_and_package_are_of_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    described = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert described["appVersion"] == project["version"]


# --- what the programs say to it -----------------------------------------------------------------------

SECRETS = {
    "secret:jennah-database/DB_ENDPOINT": "postgresql://me:secret@host/db",
    "secret:owner/DB_ENDPOINT": "postgresql://owner:secret@host/db",
    "secret:cosmos/DB_KEY": "a2V5",
    "secret:azure-batch/AZURE_BATCH_KEY": "a2V5",
    "secret:registry/username": "me",
    "secret:registry/password": "secret",
    "secret:azure-output/AZURE_OUTPUT_URL": "https://a.blob.core.windows.net/out?sig=secret",
    "metadata.namespace": chart.NAMESPACE,
}
READERS = {"operator": settings.read_operator, "api": read_api, "migrate": settings.read_for_migration}


@pytest.mark.parametrize("case", [case for case in CASES if case != "the environment from elsewhere"])
def test_the_programs_take_the_environment_that_the_chart_gives_them(case: str, tmp_path: Path) -> None:
    objects = chart.render(CASES[case])
    seen = set()
    for workload in chart.workloads(objects):
        for container in (c for c in chart.containers(workload) if "args" in c):
            [program] = container["args"]
            seen.add(program)
            given = {name: SECRETS.get(value, value) for name, value in chart.variables(container).items()}
            assert not [value for value in given.values() if value.startswith("secret:")]
            _put_files(given, objects, tmp_path)
            _read(program, given)
    assert {"operator"} <= seen <= set(READERS)


def _put_files(given: dict[str, str], objects: list[chart.Object], folder: Path) -> None:
    """What volumes would hold, where the test may write."""
    if "JOB_CONFIG_PATH" in given:
        own = chart.of_kind(objects, "ConfigMap")
        (folder / "profiles.json").write_text(own[0]["data"]["profiles.json"] if own else "{}")
        given["JOB_CONFIG_PATH"] = str(folder / "profiles.json")
    if "API_TOKENS_FILE" in given:
        (folder / "tokens").write_text(f"gateway {'0' * 64} *\n")
        given["API_TOKENS_FILE"] = str(folder / "tokens")
    if "API_TLS_CERT_FILE" in given:
        certs.server_context(folder)
        given["API_TLS_CERT_FILE"], given["API_TLS_KEY_FILE"] = str(folder / "server.crt"), str(folder / "server.key")


def _read(program: str, given: dict[str, str]) -> None:
    try:
        READERS[program](given)
    except ConfigError as error:
        raise AssertionError(error.faults) from error


def test_numbers_lists_and_maps_reach_the_programs_as_they_were_meant() -> None:
    api = chart.only(chart.render(CASES["everything about the API"]), "Deployment", "jennah-api")
    given = chart.variables(chart.containers(api)[0])
    assert (given["MAX_REQUEST_BYTES"], given["STOP_DELAY_SECONDS"]) == ("4194304", "2.5")
    assert given["ALLOWED_ORIGINS"] == "https://a.example.com,https://b.example.com"
    operator = chart.only(chart.render(CASES["everything about the API"]), "Deployment", "jennah-controller")
    assert given["BATCH_PROVIDER"] == chart.variables(chart.containers(operator)[0])["BATCH_PROVIDER"]
    operators = chart.only(chart.render(CASES["everything about the operators"]), "Deployment", "jennah-controller")
    given = chart.variables(chart.containers(operators)[0])
    assert given["MISSING_GRACE_SECONDS"] == "0", "a nought is a value"
    assert "OBSERVE_MIN_SECONDS" not in chart.variables(
        chart.containers(chart.only(chart.render(DEFAULT), "Deployment", "jennah-controller"))[0]
    )
    aws = chart.only(chart.render(merged(AWS, DYNAMODB, TOKENS)), "Deployment", "jennah-controller")
    given = chart.variables(chart.containers(aws)[0])
    assert given["AWS_JOB_QUEUES"] == "c6i.large=large,gpu+spot=gpu-spot,spot=spot"


@pytest.mark.parametrize("provider", [GCP, AWS, AZURE, KUBERNETES])
@pytest.mark.parametrize("database", [POSTGRES, SPANNER, DYNAMODB, COSMOSDB])
def test_any_cloud_goes_with_any_database(provider: Values, database: Values) -> None:
    assert chart.render(merged(provider, database, TOKENS))
