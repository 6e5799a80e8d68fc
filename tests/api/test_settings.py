"""The settings of `jennah api` and the command line: every fault in a line of its own, exit code 2."""

import contextlib
import re
from collections import UserDict
from pathlib import Path
from typing import Any

import pytest

from api import cli
from api.auth.settings import AuthSettings, OidcSettings
from api.settings import read_api
from controller.domain.errors import ConfigError
from controller.settings import DATABASES, PROVIDERS, read_operator

NEEDED = {"DB_PROVIDER": "sqlite"}


def test_defaults_are_the_originals() -> None:
    settings = read_api(NEEDED)
    assert (settings.host, settings.port, settings.namespace) == ("0.0.0.0", 8081, "default")
    assert (settings.cancel_wait_seconds, settings.max_request_bytes) == (5.0, 4 * 1024 * 1024)
    assert (settings.auth, settings.allowed_origins, settings.tls_files) == (AuthSettings(), (), None)


def test_metrics_are_on_no_port_unless_asked_for_and_then_where_the_api_is() -> None:
    assert read_api(NEEDED).metrics_port == 0
    assert read_api(NEEDED | {"WORKER_HOST": "127.0.0.1", "METRICS_PORT": "9100"}).metrics_host == "127.0.0.1"


def test_everything_can_be_set(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"gateway {'0' * 64} *\n")
    settings = read_api(
        NEEDED
        | {"WORKER_PORT": "9000", "WORKER_HOST": "127.0.0.1", "JENNAH_NAMESPACE": "jobs", "CANCEL_WAIT_SECONDS": "0.5"}
        | {"JOB_TTL_SECONDS": "3600", "MAX_REQUEST_BYTES": "2048", "STOP_DELAY_SECONDS": "0", "API_AUTH": "token"}
        | {"API_TOKENS_FILE": str(tokens), "ALLOWED_ORIGINS": "https://a.example, http://localhost:3000"}
        | {"METRICS_PORT": "9100", "METRICS_HOST": "10.0.0.1", "BATCH_PROVIDER": "aws"}
    )
    assert (settings.provider, read_api(NEEDED).provider) == ("aws", "")
    assert (settings.port, settings.namespace, settings.auth.tokens_file) == (9000, "jobs", tokens)
    assert settings.job_ttl_seconds == 3600
    assert (settings.metrics_port, settings.metrics_host) == (9100, "10.0.0.1")
    assert settings.allowed_origins == ("https://a.example", "http://localhost:3000")


@pytest.mark.parametrize(
    "wrong",
    [
        {"WORKER_PORT": "http"},
        {"WORKER_PORT": "70000"},
        {"METRICS_PORT": "-1"},
        {"METRICS_PORT": "8081"},  # WORKER_PORT
        {"JENNAH_NAMESPACE": "Not_A_Namespace"},
        {"WATCH_NAMESPACES": "a,Not_A_Namespace"},
        {"CANCEL_WAIT_SECONDS": "-1"},
        {"CANCEL_WAIT_SECONDS": "nan"},
        {"MAX_REQUEST_BYTES": "1.5"},
        {"JOB_TTL_SECONDS": "-1"},
        {"API_AUTH": "maybe"},
        {"BATCH_PROVIDER": "gpc"},
        {"API_AUTH": "none,token"},
        {"API_AUTH": ","},
        {"ALLOWED_HOSTS": "http://jennah.example.com"},
        {"ALLOWED_HOSTS": "jennah.example.com:8081"},
        {"JENNAH_ALLOW_REMOTE_SHELL": "perhaps"},
        {"ALLOWED_ORIGINS": "example.com"},
        {"DB_REDACT_ENV": "perhaps"},
    ],
)
def test_a_fault_names_its_variable(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read_api(NEEDED | wrong)
    (fault,) = caught.value.faults
    assert fault.startswith(next(iter(wrong)))


def test_several_kinds_of_callers_go_together(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"gateway {'0' * 64} *\n")
    given = NEEDED | {"API_TOKENS_FILE": str(tokens), "OIDC_ISSUER": "https://i.example.com", "OIDC_AUDIENCE": "jennah"}
    found = read_api(given | {"API_AUTH": "token, oidc"}).auth
    assert found.kinds == ("token", "oidc")
    assert found.oidc == OidcSettings(issuer="https://i.example.com", audience="jennah")
    assert read_api(given | {"API_AUTH": "kubernetes"}).auth == AuthSettings(kinds=("kubernetes",))
    with pytest.raises(ConfigError) as caught:
        read_api(NEEDED | {"API_AUTH": "oidc"})
    assert [fault.split()[0] for fault in caught.value.faults] == ["OIDC_ISSUER", "OIDC_AUDIENCE"]


def test_commands_of_the_local_provider_are_not_for_other_machines() -> None:
    """`make run` listened on every address: anybody in the same network had a shell."""
    local = NEEDED | {"BATCH_PROVIDER": "local"}
    for host in ("127.0.0.1", "localhost", "::1"):
        assert read_api(local | {"WORKER_HOST": host}).host == host
    for given in ({}, {"WORKER_HOST": "192.0.2.2"}, {"WORKER_HOST": "::"}):
        with pytest.raises(ConfigError, match=r"WORKER_HOST=.* JENNAH_ALLOW_REMOTE_SHELL=true"):
            read_api(local | given)
    assert read_api(local | {"JENNAH_ALLOW_REMOTE_SHELL": "true"}).host == "0.0.0.0"


def test_a_file_of_plain_tokens_stops_the_start_together_with_other_faults(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("a-plain-token-of-before\n")
    with pytest.raises(ConfigError) as caught:
        read_api(NEEDED | {"API_AUTH": "token", "API_TOKENS_FILE": str(tokens), "WORKER_PORT": "x"})
    port, file = sorted(caught.value.faults, reverse=True)
    assert port.startswith("WORKER_PORT")
    assert "plain tokens are not taken any more" in file
    assert "a-plain-token" not in file


def test_tokens_need_their_file() -> None:
    no_file: dict[str, str] = {}
    for files in (no_file, {"API_TOKENS_FILE": "/does/not/exist"}):
        with pytest.raises(ConfigError, match="API_TOKENS_FILE"):
            read_api(NEEDED | {"API_AUTH": "token"} | files)


def test_all_faults_are_told_at_once_with_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("WORKER_PORT", "x"), ("JENNAH_NAMESPACE", "X"), ("DB_PROVIDER", "none")):
        monkeypatch.setenv(name, value)
    assert cli.main(["api"]) == 2
    faults = capsys.readouterr().err.splitlines()
    assert {fault.split("=")[0].split()[0] for fault in faults} == {"WORKER_PORT", "JENNAH_NAMESPACE", "DB_PROVIDER"}


def test_the_operator_reads_its_own_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BATCH_PROVIDER", "none")
    monkeypatch.setenv("DB_PROVIDER", "sqlite")
    assert cli.main(["operator"]) == 2
    assert "BATCH_PROVIDER" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["api", "--help"]])
def test_help_is_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 0
    assert "api" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["serve"]])
def test_an_unknown_command_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "operator" in capsys.readouterr().err


class Noted(UserDict[str, str]):
    """Variables that notes which of them were asked for."""

    def __init__(self, **variables: str) -> None:
        super().__init__(variables)
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)


def variables_read() -> set[str]:
    """The names of all variables that the two programs read, whatever the provider and the database."""
    asked: set[str] = set()
    for provider in PROVIDERS:
        for database in DATABASES:
            variables = Noted(BATCH_PROVIDER=provider, DB_PROVIDER=database, API_AUTH="token,kubernetes,oidc")
            for read in (read_operator, read_api):
                with contextlib.suppress(ConfigError):
                    read(variables)
            asked |= variables.asked
    return asked


def test_help_and_the_page_on_configuration_have_every_variable_that_is_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    read = variables_read()
    assert {"ORPHANS", "LEASE_NAME", "AZURE_BATCH_POOL", "API_TOKENS_FILE", "OIDC_ISSUER"} <= read
    assert read - set(re.findall(r"[A-Z_]+", capsys.readouterr().out)) == {"POD_NAMESPACE"}  # the pod's own, not ours
    assert read - set(re.findall(r"`([A-Z_]+)`", page)) == set()
