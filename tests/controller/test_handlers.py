"""The kopf seam: what an event becomes, and what an unreadable object does to the others (nothing)."""

import itertools
from typing import Any

from controller import handlers
from controller.domain.job import Job


class Sink:
    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.removed: list[tuple[str, Job | None]] = []

    def take(self, kind: str | None, **changes: Any) -> None:
        raw = {"metadata": {"name": "j", "namespace": "n", "uid": "u"}, "spec": {"image": "i"}, **changes}
        event: Any = {"type": kind, "object": raw}
        handlers.take_in(event, self.jobs.append, lambda uid, last: self.removed.append((uid, last)))


def test_listed_added_and_modified_objects_are_taken_in() -> None:
    sink = Sink()
    for kind in (None, "ADDED", "MODIFIED"):
        sink.take(kind)
    assert [job.key for job in sink.jobs] == ["u", "u", "u"]


def test_a_deleted_object_is_removed_by_its_uid_and_as_it_was_at_its_end() -> None:
    sink = Sink()
    sink.take("DELETED", status={"phase": "Completed"})
    [(uid, last)] = sink.removed
    assert (uid, last.is_finished) == ("u", True)
    assert sink.jobs == []


def test_a_deleted_object_of_another_shape_is_removed_all_the_same() -> None:
    sink = Sink()
    sink.take("DELETED", spec={"image": 7})
    assert sink.removed == [("u", None)]


def test_an_object_of_another_shape_is_left_alone() -> None:
    sink = Sink()
    sink.take("ADDED", spec={"image": 7})
    assert sink.jobs == []


def test_an_end_of_kopf_kills_nothing() -> None:
    assert handlers.operator_settings().process.ultimate_exiting_timeout is None


def test_the_pauses_between_tries_are_jittered_capped_and_never_end() -> None:
    pauses = [list(itertools.islice(handlers.operator_settings().networking.error_backoffs, 200)) for _ in range(2)]
    assert pauses[0] != pauses[1]
    assert all(0.5 <= pause <= 5 for pause in pauses[0])
    assert all(pause >= 2.5 for pause in pauses[0][4:])


def test_nothing_that_writes_to_objects_is_on() -> None:
    settings = handlers.operator_settings()
    assert not settings.posting.enabled
    assert settings.peering.standalone
