"""A service that ends jobs by removing them, with reads that are never behind: what is gone has ended as asked."""

from datetime import timedelta

import msgspec
import pytest

from controller.domain import names, reasons
from controller.domain.job import Job, JobSpec, Metadata
from controller.domain.phases import Phase
from controller.ports import Observation
from controller.reconcile import actions, statuses
from controller.reconcile.decide import Doubt, Policy, Unseen, decide
from tests.controller.fakes import START

UID = "7b1a1c9e-0c39-4a6c-9a53-0d9f7a3d3c11"
POLICY = Policy(providers=frozenset({"kubernetes"}), gone_when_ended=frozenset({"kubernetes"}))
NEW_LEADER = Doubt(led=0)


def submitted(**spec: object) -> Job:
    """A job that runs."""
    metadata = Metadata(name="job", uid=UID, finalizers=(names.FINALIZER,))
    job = Job(metadata=metadata, spec=JobSpec(image="i", **spec))
    job = msgspec.structs.replace(job, status=statuses.accepted(job, tenant_id="t", provider="kubernetes"))
    seen = Observation(external_name="x", uid=UID, resource_path="p", phase=Phase.RUNNING, submitted_at=START)
    return msgspec.structs.replace(job, status=statuses.observed(job, seen, START))


def asked(job: Job, reason: str = reasons.CANCEL_REQUESTED) -> Job:
    """That job after the service was asked to end it."""
    return msgspec.structs.replace(job, status=statuses.cancelling(job, START, reason=reason))


@pytest.mark.parametrize("after", [0, 1000])
def test_a_cancelled_job_that_is_gone_is_cancelled_at_once_though_nobody_saw_it_go(after: float) -> None:
    action = decide(asked(submitted(cancel=True)), Unseen.ABSENT, START + timedelta(seconds=after), POLICY, NEW_LEADER)
    assert isinstance(action, actions.Finish)
    assert (action.phase, action.reason) == (Phase.CANCELLED, reasons.CANCELLED)


def test_one_that_waited_for_too_long_has_failed() -> None:
    job = asked(submitted(pending_deadline_seconds=5), reasons.PENDING_DEADLINE_EXCEEDED)
    action = decide(job, Unseen.ABSENT, START, POLICY, NEW_LEADER)
    assert isinstance(action, actions.Finish)
    assert (action.phase, action.reason) == (Phase.FAILED, reasons.PENDING_DEADLINE_EXCEEDED)


def test_one_that_was_cancelled_as_well_is_cancelled() -> None:
    job = asked(submitted(pending_deadline_seconds=5, cancel=True), reasons.PENDING_DEADLINE_EXCEEDED)
    action = decide(job, Unseen.ABSENT, START, POLICY, NEW_LEADER)
    assert isinstance(action, actions.Finish)
    assert action.phase is Phase.CANCELLED


def test_one_that_nobody_asked_for_is_looked_for_first() -> None:
    later = START + timedelta(minutes=5)
    assert isinstance(decide(submitted(), Unseen.ABSENT, later, POLICY, NEW_LEADER), actions.Note)


def test_it_is_asked_for_singly_before_it_counts_as_gone() -> None:
    assert isinstance(decide(asked(submitted(cancel=True)), Unseen.IN_DOUBT, START, POLICY), actions.LookUp)


def test_elsewhere_a_list_may_be_behind() -> None:
    policy = msgspec.structs.replace(POLICY, gone_when_ended=frozenset())
    later = START + timedelta(minutes=5)
    action = decide(asked(submitted(cancel=True)), Unseen.ABSENT, later, policy, NEW_LEADER)
    assert isinstance(action, actions.Note)
