"""The local provider's translations: total, and lossless where it matters."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain import reasons
from controller.domain.job import JobSpec, TaskCounts
from controller.domain.phases import TERMINAL, Phase
from controller.domain.resources import ResourceSet
from controller.ports import SubmitRequest
from controller.providers.local import mapping, tasks
from controller.providers.local.mapping import NativeReason, NativeState

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
PLACE = mapping.Place(region="here", folder=Path("/data/local/name-1"))
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


def test_every_state_and_reason_of_the_runner_is_in_the_tables() -> None:
    assert set(tasks.STATES) == set(NativeState) == set(mapping.PHASES)
    assert set(tasks.REASONS) == set(NativeReason) == set(mapping.FAILURES)


def test_every_phase_but_pending_has_exactly_one_state() -> None:
    assert sorted(mapping.PHASES.values()) == sorted(set(Phase) - {Phase.PENDING})


def test_the_reasons_are_words_of_the_domain() -> None:
    state = mapping.StateFile(uid="u", state=NativeState.FAILED, submitted_at=NOON, tasks=TaskCounts(total=1))
    words = {value for value in vars(reasons).values() if isinstance(value, str)}
    assert {failure(state).reason for failure in mapping.FAILURES.values()} <= words


STATES = st.builds(
    mapping.StateFile,
    uid=st.uuids().map(str),
    state=st.sampled_from(NativeState),
    submitted_at=st.just(NOON),
    tasks=st.builds(TaskCounts, total=st.integers(1, 5)),
    started_at=st.none() | st.just(NOON),
    retries=st.integers(0, 9),
    exit_code=st.none() | st.integers(0, 255),
    reason=st.none() | st.sampled_from(NativeReason),
    message=st.none() | TEXT,
    is_cancelling=st.booleans(),
)


@given(STATES)
def test_an_observation_says_what_the_state_file_says(state: mapping.StateFile) -> None:
    state = msgspec.json.decode(msgspec.json.encode(state), type=mapping.StateFile)
    observed = mapping.observation(state, PLACE)
    assert observed.external_name == "name-1"
    assert observed.resource_path == "local/here/jobs/name-1"
    assert (observed.uid, observed.retries) == (state.uid, state.retries)
    assert (observed.tasks, observed.started_at) == (state.tasks, state.started_at)
    if observed.phase is not Phase.FAILED or state.reason is None:
        assert (observed.message, observed.exit_code) == (state.message, state.exit_code)
    else:
        assert observed.exit_code != 0
        assert observed.reason
    assert not (observed.is_cancelling and observed.phase in TERMINAL)


@given(st.none() | STATES)
def test_a_lost_job_has_failed_and_nothing_of_it_runs(last: mapping.StateFile | None) -> None:
    job = mapping.job_file(request(), submitted_at=NOON)
    observed = mapping.observation(mapping.lost(job, last, now=NOON), PLACE)
    assert (observed.phase, observed.reason) == (Phase.FAILED, reasons.RUNNER_LOST)
    assert observed.completed_at == NOON
    assert observed.tasks.running == 0


@given(command=st.none() | st.lists(TEXT).map(tuple), args=st.none() | st.lists(TEXT).map(tuple), value=TEXT)
def test_the_job_file_carries_command_args_and_environment_as_they_are(
    command: tuple[str, ...] | None, args: tuple[str, ...] | None, value: str
) -> None:
    spec = JobSpec(image="i", command=command, args=args, completions=3, parallelism=2, backoff_limit=1)
    written = json.loads(msgspec.json.encode(mapping.job_file(request(spec, {"A": value}), submitted_at=NOON)))
    assert written["command"] == [*(command or ()), *(args or ())]
    assert written["env"] == {"A": value}
    assert (written["completions"], written["parallelism"], written["backoff_limit"]) == (3, 2, 1)
    assert tasks.Tasks("/nowhere", written).environment(tasks.Task(0))["A"] == value


@pytest.mark.parametrize(("seconds", "limit"), [(0, None), (60, 60)])
def test_no_time_limit_is_none(seconds: int, limit: int | None) -> None:
    job = mapping.job_file(request(seconds=seconds), submitted_at=NOON)
    assert job.deadline_seconds == limit


def request(spec: JobSpec | None = None, env: dict[str, str] | None = None, seconds: int = 60) -> SubmitRequest:
    return SubmitRequest(
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        external_name="name-1",
        uid="u",
        job_id="j",
        tenant_id="t",
        spec=spec or JobSpec(image="i"),
        resources=ResourceSet(max_run_duration_seconds=seconds),
        env=env or {},
    )
