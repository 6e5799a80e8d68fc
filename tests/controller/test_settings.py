"""Settings: every fault is told at once, one line each, and nothing starts."""

import json
from pathlib import Path

import pytest

from controller import clouds, lease_settings
from controller.clock import SystemClock
from controller.domain.destination import Destination
from controller.domain.errors import ConfigError
from controller.lease_settings import LeaseSettings
from controller.settings import read_operator

GOOD = {"BATCH_PROVIDER": "local", "JENNAH_ALLOW_LOCAL_PROVIDER": "true", "DB_PROVIDER": "sqlite"}


def faults(**variables: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_operator({**GOOD, **variables})
    return caught.value.faults


def test_the_defaults_are_enough_with_a_provider_and_a_database() -> None:
    settings = read_operator(GOOD)
    assert (settings.provider, settings.region) == ("local", "local")
    assert settings.common.database.endpoint == ".jennah/jennah.db"
    assert settings.watch_namespaces == ()


def test_all_faults_are_told_together() -> None:
    found = faults(BATCH_PROVIDER="moon", DB_PROVIDER="", RECONCILE_WORKERS="many", LOG_LEVEL="loud")
    assert [fault.split("=")[0].split(" ")[0] for fault in found] == [
        "DB_PROVIDER",
        "LOG_LEVEL",
        "BATCH_PROVIDER",
        "BATCH_REGION",
        "RECONCILE_WORKERS",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BATCH_PROVIDER", ""),
        ("DB_PROVIDER", "oracle"),
        ("RECONCILE_WORKERS", "0"),
        ("RECONCILE_WORKERS", "1.5"),
        ("OBSERVE_MIN_SECONDS", "100"),
        ("ENV_WAIT_SECONDS", "-1"),
        ("HEALTH_PORT", "65536"),
        ("WATCH_NAMESPACES", "good,Bad_One"),
        ("LOG_FORMAT", "xml"),
        ("DB_REDACT_ENV", "perhaps"),
        ("JOB_CONFIG_PATH", "/does/not/exist.json"),
        ("WORKER_LEASE_TTL_SECONDS", "1"),
        ("WORKER_LEASE_TTL_SECONDS", "7.5"),
        ("WORKER_CLAIM_INTERVAL_SECONDS", "0"),
        ("LEASE_NAME", "Not_A_Name"),
        ("ORPHANS", "delete"),
        ("ORPHAN_SWEEP_SECONDS", "0"),
        ("LEASE_NAMESPACE", "not.one"),
        ("POD_NAMESPACE", "not.one"),
    ],
)
def test_each_wrong_value_is_named(name: str, value: str) -> None:
    assert any(fault.startswith(name) for fault in faults(**{name: value}))


def test_the_local_provider_needs_an_explicit_yes() -> None:
    assert any("JENNAH_ALLOW_LOCAL_PROVIDER" in fault for fault in faults(JENNAH_ALLOW_LOCAL_PROVIDER="false"))


def test_orphans_are_reported_unless_the_installation_has_a_name_of_its_own_and_wants_them_ended() -> None:
    assert read_operator(GOOD).ends_orphans is False
    assert read_operator({**GOOD, "ORPHANS": "cancel"}).ends_orphans  # no other installation has that folder
    cloud = {"BATCH_PROVIDER": "gcp", "BATCH_REGION": "r", "BATCH_PROJECT_ID": "p", "ORPHANS": "cancel"}
    assert [fault for fault in faults(**cloud) if fault.startswith("ORPHANS=cancel needs JENNAH_INSTANCE")]
    assert read_operator({**GOOD, **cloud, "JENNAH_INSTANCE": "prod"}).ends_orphans


def test_profiles_come_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    tiny = {"cpuMillis": 250, "memoryMiB": 128, "maxRunDurationSeconds": 60}
    path.write_text(json.dumps({"resourceProfiles": {"tiny": tiny}}))
    profiles = read_operator({**GOOD, "JOB_CONFIG_PATH": str(path)}).common.profiles
    assert profiles.resource_profiles["tiny"].cpu_millis == 250
    assert profiles.default_resources.cpu_millis == 2000


@pytest.mark.parametrize(
    "text",
    [
        '{"resourceProfiles": {"tiny": {"cpuMillis": "lots"}}}',
        '{"resourceProfiles": {"tiny": {"cpuMillis": -1}}}',
        '{"resourceProfiles": {"tiny": {"cpu": 1}}}',
        '{"profiles": {}}',
    ],
    ids=["no number", "negative", "unknown amount", "unknown part"],
)
def test_a_profile_file_of_another_shape_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    assert "JOB_CONFIG_PATH" in faults(JOB_CONFIG_PATH=str(path))[0]


def test_the_lease_has_the_defaults_of_the_design(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_settings, "SERVICE_ACCOUNT_NAMESPACE", tmp_path / "none")
    assert read_operator(GOOD).lease == LeaseSettings(
        name="jennah-controller", namespace="default", ttl_seconds=15, interval_seconds=2
    )


def test_the_leases_namespace_is_the_pods_own_unless_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = tmp_path / "namespace"
    mounted.write_text("from-the-account")
    monkeypatch.setattr(lease_settings, "SERVICE_ACCOUNT_NAMESPACE", mounted)
    assert read_operator(GOOD).lease.namespace == "from-the-account"
    pod = {**GOOD, "POD_NAMESPACE": "from-the-pod"}
    assert read_operator(pod).lease.namespace == "from-the-pod"
    assert read_operator({**pod, "LEASE_NAMESPACE": "said"}).lease.namespace == "said"


@pytest.mark.parametrize(("ttl", "interval"), [("2", "2"), ("15", "8.4"), ("3", "1.7")])
def test_times_of_the_lease_that_cannot_go_together_are_named(ttl: str, interval: str) -> None:
    (fault,) = faults(WORKER_LEASE_TTL_SECONDS=ttl, WORKER_CLAIM_INTERVAL_SECONDS=interval)
    assert "WORKER_LEASE_TTL_SECONDS" in fault
    assert "WORKER_CLAIM_INTERVAL_SECONDS" in fault


@pytest.mark.parametrize(("ttl", "interval"), [("30", "5"), ("2", "1"), ("3", "0.5")])
def test_the_originals_times_and_short_ones_are_good(ttl: str, interval: str) -> None:
    read_operator({**GOOD, "WORKER_LEASE_TTL_SECONDS": ttl, "WORKER_CLAIM_INTERVAL_SECONDS": interval})


def test_a_jobs_destination_is_no_leave_to_run_commands_beside_the_operator() -> None:
    """It is a part of status, which is easier to write than the operator's settings."""
    local = Destination(provider="local")
    with pytest.raises(ConfigError, match="JENNAH_ALLOW_LOCAL_PROVIDER"):
        clouds.provider_at(local, SystemClock(), {"BATCH_PROVIDER": "gcp"})
    assert clouds.provider_at(local, SystemClock(), {"JENNAH_ALLOW_LOCAL_PROVIDER": "true"}).name == "local"
