"""What is kept of deleted jobs in one document."""

import time

from controller.stores import tombstones


def test_what_has_expired_counts_no_more_and_a_new_one_is_added() -> None:
    now = int(time.time())
    known = {"old": now - 1, "young": now + 1000}
    assert tombstones.current(known) == {"young": now + 1000}
    after = tombstones.with_deleted(known, "new", 60)
    assert after.keys() == {"young", "new"}
    assert now + 60 <= after["new"] <= int(time.time()) + 60


def test_without_a_uid_or_a_time_to_live_nothing_is_added() -> None:
    assert tombstones.with_deleted({}, "", 60) == tombstones.with_deleted({}, "u", 0) == {}


def test_of_a_job_id_that_is_deleted_all_the_time_the_newest_are_kept() -> None:
    known = {f"u{n}": int(time.time()) + 1000 + n for n in range(tombstones.MOST_OF_A_JOB_ID)}
    after = tombstones.with_deleted(known, "new", 2_000_000)
    assert len(after) == tombstones.MOST_OF_A_JOB_ID
    assert known.keys() - after.keys() == {"u0"}
