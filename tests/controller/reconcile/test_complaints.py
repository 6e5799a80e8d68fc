"""One log line a change: not one a try, and not one a job where many meet the same."""

from controller.reconcile.complaints import Complaints


def test_a_failure_that_stays_is_told_once() -> None:
    complaints = Complaints()
    assert [complaints.tell("a", "down") for _ in range(3)] == [True, False, False]


def test_what_meets_many_jobs_is_told_once_and_a_jobs_own_trouble_is_told_beside_it() -> None:
    complaints = Complaints()
    assert [complaints.tell(f"job-{n}", "down") for n in range(3)] == [True, False, False]
    assert complaints.tell("job-1", "its own")
    assert not complaints.tell("job-1", "down"), "others have that still"


def test_what_is_over_for_all_and_comes_again_is_told_again() -> None:
    complaints = Complaints()
    for key in "ab":
        complaints.tell(key, "down")
    complaints.forget("a")
    assert not complaints.tell("a", "down")
    for key in "ab":
        complaints.forget(key)
    complaints.forget("never heard of")
    assert complaints.tell("a", "down")
