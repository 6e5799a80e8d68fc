"""Those who keep the environment themselves (existingConfig, manifests/install.yaml) have the last word on it."""

from typing import Any

import pytest

from dev.manifests import files
from tests.manifests import chart
from tests.manifests.cases import CASES, DEFAULT
from tests.manifests.chart import Object, Values, merged

OWN: Values = CASES["the environment from elsewhere"]
INSTALL = chart.parse((files.ROOT / "manifests" / "install.yaml").read_text())

FIXED = {
    "operator": {"HEALTH_PORT", "POD_NAMESPACE"},
    "api": {"WORKER_PORT", "METRICS_PORT", "API_TOKENS_FILE"},
    "migrate": set(),
}
"""What a user's variable cannot change: ports and paths that the manifests have in other places as well."""
DEFAULTS = {
    *("API_AUTH", "DB_REDACT_ENV", "JENNAH_NAMESPACE", "LEASE_NAME", "LOG_FORMAT", "LOG_LEVEL", "ORPHANS"),
    *("STOP_DELAY_SECONDS", "STOP_GRACE_SECONDS", "WATCH_NAMESPACES"),
}


def containers(objects: list[Object]) -> list[Object]:
    return [c for workload in chart.workloads(objects) for c in chart.containers(workload) if "args" in c]


def effective(container: Object, objects: list[Object], users: dict[str, str]) -> dict[str, str]:
    """What the process sees, as a kubelet makes it: of `envFrom` the last one counts, `env` before all of them."""
    found: dict[str, str] = {}
    for source in container["envFrom"]:
        name = source.get("configMapRef", source.get("secretRef"))["name"]
        found |= users if name in ("settings", "jennah-settings") else config_map(objects, name)
    return found | chart.variables(container)


def config_map(objects: list[Object], name: str) -> dict[str, str]:
    data: dict[str, str] = chart.only(objects, "ConfigMap", name)["data"]
    return data


@pytest.mark.parametrize(
    "objects", [chart.render(merged(OWN, {"api": DEFAULT["api"]})), INSTALL], ids=["chart", "plain"]
)
def test_the_manifests_fix_ports_and_paths_and_nothing_else(objects: list[Object]) -> None:
    for container in containers(objects):
        assert set(chart.variables(container)) == FIXED[container["args"][0]]
    assert set(config_map(objects, "jennah-defaults")) == DEFAULTS


@pytest.mark.parametrize(
    "objects", [chart.render(merged(OWN, {"api": DEFAULT["api"]})), INSTALL], ids=["chart", "plain"]
)
def test_what_the_user_sets_is_what_the_programs_get(objects: list[Object]) -> None:
    users = dict.fromkeys((*DEFAULTS, "DB_PROVIDER", "BATCH_PROVIDER"), "the user's")
    for container in containers(objects):
        assert users.items() <= effective(container, objects, users).items()


def test_an_api_asks_for_tokens_unless_the_user_says_otherwise() -> None:
    for container in containers(INSTALL):
        assert effective(container, INSTALL, {})["API_AUTH"] == "token"
    spec = chart.pod_spec(chart.only(INSTALL, "Deployment", "jennah-api"))
    tokens = next(volume for volume in spec["volumes"] if volume["name"] == "tokens")
    assert tokens["secret"]["secretName"] == "jennah-tokens"
    assert tokens["secret"]["optional"] is True, "with API_AUTH=kubernetes there need not be one"


def test_values_are_defaults_of_the_migration_as_well() -> None:
    """It runs before the ConfigMap of the others is there."""
    values = merged(OWN, {"database": {"provider": "postgres"}, "api": DEFAULT["api"]})
    objects = chart.render(values)
    job = chart.only(objects, "Job")
    own = chart.only(objects, "ConfigMap", "jennah-migrate")["metadata"]["annotations"]
    assert own["helm.sh/hook"] == job["metadata"]["annotations"]["helm.sh/hook"]
    assert int(own["helm.sh/hook-weight"]) < int(job["metadata"]["annotations"]["helm.sh/hook-weight"])
    for container in containers(objects):
        assert effective(container, objects, {})["DB_PROVIDER"] == "postgres"
        assert effective(container, objects, {"DB_PROVIDER": "spanner"})["DB_PROVIDER"] == "spanner"


def test_changed_defaults_restart_the_pods_that_read_them() -> None:
    def checksums(**logging: str) -> set[Any]:
        objects = chart.render(merged(OWN, {"api": DEFAULT["api"], "logging": logging}))
        return {
            workload["spec"]["template"]["metadata"]["annotations"]["checksum/defaults"]
            for workload in chart.of_kind(objects, "Deployment")
        }

    assert len(checksums(level="info") | checksums(level="debug")) == 2
