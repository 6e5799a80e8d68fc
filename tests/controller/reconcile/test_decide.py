"""`decide` as a pure function: it always comes to rest, and it never leaves an end."""

from datetime import timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from controller.domain import names
from controller.domain.job import Job, JobSpec, JobStatus, Metadata
from controller.domain.phases import Phase
from controller.ports import Observation
from controller.reconcile import actions, statuses
from controller.reconcile.decide import Policy, Unseen, decide
from tests.controller.fakes import START

UID = "7b1a1c9e-0c39-4a6c-9a53-0d9f7a3d3c11"
POLICY = Policy(providers=frozenset({"local"}))

phases = st.sampled_from(Phase)
observations = st.builds(
    lambda phase, cancelling, retries: Observation(
        external_name="x",
        uid=UID,
        resource_path="p",
        phase=phase,
        is_cancelling=cancelling,
        retries=retries,
        submitted_at=START,
    ),
    phases,
    st.booleans(),
    st.integers(0, 3),
)


def job(**changes: object) -> Job:
    spec = JobSpec(
        image="img",
        suspend=bool(changes.get("suspend")),
        cancel=True if changes.get("cancel") else None,
        deletion_policy="Orphan" if changes.get("orphan") else "Cancel",
        ttl_seconds_after_finished=5 if changes.get("ttl") else None,
    )
    metadata = Metadata(
        name="job",
        uid=UID,
        finalizers=(names.FINALIZER,) if changes.get("held", True) else (),
        deletion_timestamp=START if changes.get("deleted") else None,
    )
    return Job(metadata=metadata, spec=spec)


jobs = st.builds(
    job,
    suspend=st.booleans(),
    cancel=st.booleans(),
    orphan=st.booleans(),
    ttl=st.booleans(),
    held=st.booleans(),
    deleted=st.booleans(),
)


def carry_out(job: Job, action: actions.Action, seen: Observation | Unseen) -> tuple[Job, Observation | Unseen]:
    """What the action makes of the job, as the reconciler and a service that has just submitted it would."""
    fresh = Observation(external_name="x", uid=UID, resource_path="p", phase=Phase.PENDING, submitted_at=START)
    match action:
        case actions.Hold():
            metadata = msgspec.structs.replace(job.metadata, finalizers=(names.FINALIZER,))
            return msgspec.structs.replace(job, metadata=metadata), seen
        case actions.Accept():
            return with_status(job, statuses.accepted(job, tenant_id="t", provider="local")), seen
        case actions.Note(status=status):
            return with_status(job, status), seen
        case actions.Finish(phase=phase, reason=reason, message=message):
            status = statuses.moved(job, job.status, phase, reason=reason, message=message, at=START, now=START)
            return with_status(job, status), seen
        case actions.Cancel():
            return with_status(job, statuses.cancelling(job, START)), seen
        case actions.Submit():
            return job, fresh
        case actions.LookUp():
            return job, Unseen.ABSENT
    raise AssertionError(action)


def with_status(job: Job, status: JobStatus) -> Job:
    return msgspec.structs.replace(job, status=status)


@given(jobs, st.one_of(observations, st.sampled_from(Unseen)))
def test_every_state_comes_to_rest_within_eight_actions(job: Job, seen: Observation | Unseen) -> None:
    for _ in range(8):
        action = decide(job, seen, START, POLICY)
        if isinstance(action, actions.Wait | actions.Release | actions.Delete):
            return
        job, seen = carry_out(job, action, seen)
    raise AssertionError("not at rest")


@given(jobs, observations)
def test_an_end_is_never_left_whatever_the_service_says_later(job: Job, second: Observation) -> None:
    ended = with_status(
        msgspec.structs.replace(job, metadata=msgspec.structs.replace(job.metadata, finalizers=(names.FINALIZER,))),
        statuses.moved(job, JobStatus(provider="local"), Phase.FAILED, reason=None, message=None, at=START, now=START),
    )
    action = decide(ended, second, START + timedelta(seconds=1), POLICY)
    assert isinstance(action, actions.Wait | actions.Release | actions.Delete)


@given(observations)
def test_an_observation_taken_in_twice_changes_nothing_the_second_time(seen: Observation) -> None:
    accepted = with_status(job(), statuses.accepted(job(), tenant_id="t", provider="local"))
    once = with_status(accepted, statuses.observed(accepted, seen, START))
    later = START + timedelta(minutes=5)
    assert statuses.observed(once, seen, later) == once.status


@given(st.lists(phases, max_size=12))
def test_transition_numbers_count_the_changes_of_phase(sequence: list[Phase]) -> None:
    current, expected = with_status(job(), statuses.accepted(job(), tenant_id="t", provider="local")), 0
    for phase in sequence:
        before = current.status.phase
        status = statuses.moved(current, current.status, phase, reason=None, message=None, at=START, now=START)
        current = with_status(current, status)
        expected += phase is not before
    assert current.status.transition == expected
