"""Settings: every fault is told at once, one line each, and nothing starts."""

import json
from pathlib import Path

import pytest

from controller.domain.errors import ConfigError
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
    ],
)
def test_each_wrong_value_is_named(name: str, value: str) -> None:
    assert any(fault.startswith(name) for fault in faults(**{name: value}))


def test_the_local_provider_needs_an_explicit_yes() -> None:
    assert any("JENNAH_ALLOW_LOCAL_PROVIDER" in fault for fault in faults(JENNAH_ALLOW_LOCAL_PROVIDER="false"))


def test_profiles_come_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    tiny = {"cpuMillis": 250, "memoryMiB": 128, "maxRunDurationSeconds": 60}
    path.write_text(json.dumps({"resourceProfiles": {"tiny": tiny}}))
    profiles = read_operator({**GOOD, "JOB_CONFIG_PATH": str(path)}).common.profiles
    assert profiles.resource_profiles["tiny"].cpu_millis == 250
    assert profiles.default_resources.cpu_millis == 2000


def test_a_profile_file_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"resourceProfiles": {"tiny": {"cpuMillis": "lots"}}}')
    assert "JOB_CONFIG_PATH" in faults(JOB_CONFIG_PATH=str(path))[0]
