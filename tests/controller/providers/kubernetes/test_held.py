"""What the watch has told: ends that stay, Pods that come late, Jobs that are gone."""

from typing import Any

import pytest

from controller.domain import names
from controller.domain.phases import Phase
from controller.providers.kubernetes import held as held_module
from controller.providers.kubernetes import labels as labels_module
from controller.providers.kubernetes.held import Held
from controller.providers.kubernetes.places import Place
from controller.providers.kubernetes.wire import Job
from tests.controller.fakes import START, FakeClock
from tests.controller.providers.kubernetes.harness import JOB_UID, NAME, UID, condition, job, pod, terminated

HERE = Place("team-a", NAME)
RUNS = {"running": {"startedAt": "2026-01-01T12:02:00Z"}}
FAILED = condition("Failed", reason="BackoffLimitExceeded")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def held(clock: FakeClock) -> Held:
    return Held(clock)


def version(number: int, *conditions: dict[str, str], uid: str = JOB_UID, **more: Any) -> Job:
    meta = {"resourceVersion": str(number), "uid": uid}
    return job(*conditions, meta={**meta, **more.pop("meta", {})}, **more)


def test_pods_may_come_before_their_job(held: Held) -> None:
    held.put_pod(pod("Running", state=RUNS))
    assert held.seen(HERE) is None
    held.put_job(job())
    assert held.seen(HERE).phase is Phase.RUNNING


def test_the_same_answer_is_given_until_something_changes(held: Held) -> None:
    held.put_job(job())
    held.put_pod(pod("Running", state=RUNS))
    assert held.seen(HERE) is held.seen(HERE)
    before = held.seen(HERE)
    held.put_pod(pod("Failed", state=terminated(1)))
    assert held.seen(HERE) is not before


def test_an_end_stays_when_its_pods_are_cleared_away(held: Held) -> None:
    one = pod("Failed", state=terminated(3))
    held.put_job(job())
    held.put_pod(one)
    held.put_job(version(11, FAILED, failed=1))
    end = held.seen(HERE)
    assert (end.phase, end.exit_code) == (Phase.FAILED, 3)
    held.remove_pod(one)
    held.replace_pods([], 99, "")
    held.put_job(version(12, FAILED, failed=1))
    assert held.seen(HERE) == end
    assert held.unexplained(HERE) is None


def test_an_end_whose_pods_were_not_told_of_yet_is_unexplained_until_they_are(held: Held) -> None:
    held.put_job(version(11, FAILED, failed=1))
    assert held.unexplained(HERE) is not None
    held.put_pod(pod("Failed", state=terminated(3)))
    assert held.unexplained(HERE) is None
    assert held.seen(HERE).exit_code == 3


def test_a_disrupted_pod_explains_no_end(held: Held) -> None:
    """The Job does not count it, and its own failed Pod may still be to come."""
    held.put_job(version(11, FAILED, failed=1))
    held.put_pod(pod("Failed", name="x", state=terminated(143), conditions=(condition("DisruptionTarget"),)))
    assert held.unexplained(HERE) is not None


def test_an_older_version_changes_nothing(held: Held) -> None:
    held.put_job(version(11, condition("Suspended")))
    held.put_job(version(10))
    assert held.job(HERE).metadata.resource_version == "11"


def test_what_a_call_made_is_kept_by_a_list_that_is_older(held: Held) -> None:
    held.put_job(version(20))
    held.replace_jobs([], 19, "")
    assert held.seen(HERE).phase is Phase.PENDING
    held.replace_jobs([], 21, "")
    assert held.seen(HERE).phase is Phase.CANCELLED


def test_a_list_of_one_namespace_says_nothing_of_others(held: Held) -> None:
    held.put_job(version(1))
    held.put_pod(pod("Running", state=RUNS))
    held.replace_jobs([], 99, "team-b")
    held.replace_pods([], 99, "team-b")
    assert held.seen(HERE).phase is Phase.RUNNING
    held.replace_pods([], 99, "team-a")
    assert held.seen(HERE).phase is Phase.PENDING


def test_a_job_that_is_deleted_was_cancelled_and_one_that_had_ended_keeps_its_end(held: Held) -> None:
    held.put_job(job())
    held.remove_job(version(11, meta={"deletionTimestamp": "2026-01-01T12:08:00Z"}))
    gone = held.seen(HERE)
    assert (gone.phase, gone.completed_at.minute) == (Phase.CANCELLED, 8)
    other = "other"
    done = (condition("SuccessCriteriaMet"), condition("Complete"))
    held.put_job(version(20, uid=other))
    held.remove_job(version(21, *done, uid=other, succeeded=1, completionTime="2026-01-01T12:09:00Z"))
    assert held.seen(HERE).phase is Phase.COMPLETED


def test_a_job_that_was_deleted_at_once_ended_when_we_heard_of_it(held: Held) -> None:
    held.put_job(job(meta={"creationTimestamp": "2025-12-31T00:00:00Z"}))
    held.remove_job(version(11))
    assert held.seen(HERE).completed_at == START


def test_late_news_of_a_job_that_is_gone_do_not_bring_it_back(held: Held) -> None:
    held.put_job(version(10))
    held.bury(HERE, held.job(HERE))
    held.put_job(version(11))
    assert held.seen(HERE).phase is Phase.CANCELLED


def test_another_job_in_the_place_of_one_is_another(held: Held) -> None:
    held.put_job(job())
    held.put_pod(pod("Running", state=RUNS))
    held.put_job(version(30, uid="other"))
    assert held.seen(HERE).phase is Phase.PENDING, "the Pods were the other one's"
    held.remove_job(version(10))
    assert held.job(HERE).metadata.uid == "other"


def test_a_job_that_does_not_say_whose_it_is_is_none_of_ours(held: Held) -> None:
    held.put_job(job(meta={"labels": {}}))
    assert held.seen(HERE) is None


def test_ends_of_jobs_that_are_gone_are_forgotten_after_a_while(
    held: Held, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.put_job(job())
    held.remove_job(job())
    clock.pause(held_module.REMEMBERED_SECONDS + 1)
    name = names.external_name("other", UID)
    labels = {labels_module.UID: UID, labels_module.EXTERNAL_NAME: name}
    other = job(meta={"name": name, "uid": "other", "labels": labels})
    held.put_job(other)
    held.remove_job(other)
    assert held.seen(HERE) is None
    assert held.seen(Place("team-a", name)) is not None


def test_nothing_is_kept_of_pods_whose_job_has_ended(held: Held) -> None:
    held.put_job(job())
    held.put_pod(pod("Failed", state=terminated(3)))
    held.put_job(version(11, FAILED, failed=1))
    held.put_pod(pod("Failed", name="late", state=terminated(3)))
    assert held._attempts == {}


def test_all_jobs_that_are_there_are_told(held: Held) -> None:
    held.put_job(job())
    assert [(one.metadata.name, seen.uid) for one, seen in held.all()] == [(NAME, held.seen(HERE).uid)]
    held.remove_job(job())
    assert list(held.all()) == []


def test_ends_of_pods_are_not_kept_for_jobs_that_are_gone(held: Held) -> None:
    """The watch may tell of a Pod after its Job, and miss that the Pod went as well."""
    held.put_job(job())
    held.remove_job(job())
    held.put_pod(pod("Failed", state=terminated(3)))
    held.replace_pods([], 99, "")
    assert held._attempts == {}


def test_an_attempt_that_a_suspension_took_away_is_kept_and_counted(held: Held) -> None:
    """Kueue takes a running Job's room back and gives it again; the watch of Pods may tell before that of Jobs."""
    resumed = condition("Suspended", "False") | {"lastTransitionTime": "2026-01-01T12:01:00Z"}
    held.put_job(version(10, resumed))
    held.put_pod(pod("Running", state=RUNS))
    held.remove_pod(pod("Running", state=RUNS))
    assert (held.seen(HERE).phase, held.seen(HERE).preemptions) == (Phase.PENDING, 0), "nobody knows yet why it went"
    suspended = condition("Suspended") | {"lastTransitionTime": "2026-01-01T12:03:00Z"}
    held.put_job(version(11, suspended, spec={"suspend": True}))
    assert (held.seen(HERE).phase, held.seen(HERE).preemptions) == (Phase.PENDING, 1)
    resumed |= {"lastTransitionTime": "2026-01-01T12:04:00Z"}
    held.put_job(version(12, resumed))
    held.put_pod(pod("Running", name="q", state={"running": {"startedAt": "2026-01-01T12:05:00Z"}}))
    assert (held.seen(HERE).phase, held.seen(HERE).preemptions, held.seen(HERE).retries) == (Phase.RUNNING, 1, 0)


def test_a_pod_that_ends_as_its_job_is_suspended_did_not_fail(held: Held) -> None:
    held.put_job(version(10))
    held.put_pod(pod("Running", state=RUNS))
    going = {"deletionTimestamp": "2026-01-01T12:03:00Z"}
    held.put_pod(pod("Running", state=RUNS, meta=going))
    held.put_pod(pod("Failed", state=terminated(143), meta=going))
    held.remove_pod(pod("Failed", state=terminated(143), meta=going))
    resumed = condition("Suspended", "False") | {"lastTransitionTime": "2026-01-01T12:04:00Z"}
    held.put_job(version(12, resumed))
    assert (held.seen(HERE).phase, held.seen(HERE).preemptions, held.seen(HERE).retries) == (Phase.PENDING, 1, 0)


def test_a_pod_of_which_a_list_does_not_tell_any_more_ran(held: Held) -> None:
    held.put_job(version(10, condition("Suspended") | {"lastTransitionTime": "2026-01-01T12:03:00Z"}))
    held.put_pod(pod("Running", state=RUNS))
    held.replace_pods([], 99, "")
    assert held.seen(HERE).preemptions == 1


def test_only_pods_that_may_have_to_be_marked_are_looked_at(held: Held) -> None:
    held.put_job(job(meta={"annotations": {"jennah.alphaus.cloud/preemption-limit": "3"}}))
    held.marks()
    held.put_pod(pod("Failed", name="a", state=terminated(1)))
    assert held._suspects == set()
    held.put_pod(pod("Failed", name="b", reason="DeadlineExceeded"))
    assert [mark.attempt.name for mark in held.marks()] == ["b"]
    assert held.marks() == [], "until something changes"
    held.suspect(JOB_UID)
    assert [mark.attempt.name for mark in held.marks()] == ["b"]
