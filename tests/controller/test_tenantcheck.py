"""``jennah tenant check``: what would be refused, by field and list, without a cluster and with one."""

from pathlib import Path

import pytest

from api import cli

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
JOB = """\
apiVersion: jennah.alphaus.cloud/v1
kind: JennahJob
metadata: {name: nightly}
spec:
  image: ghcr.io/acme/report:1
  serviceAccount: other@acme-jobs.iam.gserviceaccount.com
  resources: {cpu: 128, memory: 4Gi}
---
apiVersion: jennah.alphaus.cloud/v1
kind: JennahJob
metadata: {name: plain}
spec: {image: busybox}
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return path


def run(*arguments: object) -> int:
    return cli.main(["tenant", "check", *map(str, arguments)])


def test_each_refusal_is_a_line_with_field_and_list(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-f", job, "--tenant", "team-a", "--policies", SAMPLES / "tenants" / "team-a.yaml") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "team-a: JennahTenant team-a"
    assert [line.partition(" is ")[0] for line in lines[1:]] == [
        "nightly: spec.resources.cpu: 128000m",
        "nightly: spec.serviceAccount: 'other@acme-jobs.iam.gserviceaccount.com'",
    ]


def test_what_may_run_is_said_to(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-f", job, "--tenant", "x", "--policies", SAMPLES / "tenants" / "trusted.yaml") == 0
    assert "nothing of nightly, plain would be refused" in capsys.readouterr().out


def test_no_word_of_a_broken_file_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be a value: what checks pull requests keeps its output."""
    path = tmp_path / "job.yaml"
    path.write_text("kind: JennahJob\nspec:\n  env: [{name: A, value: hunter2: b}]\n")
    assert run("-f", path, "--tenant", "x", "--policies", SAMPLES / "tenants" / "trusted.yaml") == 1
    told = capsys.readouterr().err
    assert "is no YAML: line 3, column" in told and "hunter2" not in told


@pytest.mark.parametrize("metadata", ["", "metadata: null", "metadata: [a]", "metadata: {name: null}"])
def test_a_job_without_a_name_is_checked_as_well(
    tmp_path: Path, metadata: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(f"kind: JennahJob\n{metadata}\nspec: {{image: busybox, aws: {{jobQueue: theirs}}}}\n")
    run("-f", path, "--tenant", "x", "--policies", SAMPLES / "tenants" / "team-a.yaml")
    assert "(unnamed): spec.aws.jobQueue: 'theirs'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "told"), [("kind: Pod", "has no JennahJob"), ("a: [", "is no YAML"), (None, "cannot be read")]
)
def test_a_file_that_is_none_is_told(
    tmp_path: Path, text: str | None, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.yaml"
    if text is not None:
        path.write_text(text)
    assert run("-f", path, "--tenant", "x", "--policies", SAMPLES / "tenants" / "trusted.yaml") == 1
    assert told in capsys.readouterr().err
