"""Labels that the service takes, and whose a job is."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.providers.gcp import labels
from dev.emulators.gcp import refusals
from tests.controller.providers.gcp.samples import submission, words


@pytest.mark.parametrize(
    ("given_labels", "expected"),
    [
        ({"team": "data"}, {"team": "data"}),
        ({"Team": "Data Science"}, {"team": "data-science"}),
        ({"app.kubernetes.io/name": "x"}, {"app-kubernetes-io-name": "x"}),
        ({"1st": "x"}, {"x-1st": "x"}),
        ({"": "x"}, {"x-": "x"}),
        ({"goog-x": "a", "google-y": "b"}, {"x-goog-x": "a", "x-google-y": "b"}),
        ({"Goog-x": "a"}, {"x-goog-x": "a"}),
        ({"jennah-uid": "not theirs to set"}, {"x-jennah-uid": "not-theirs-to-set"}),
        ({"k" * 70: "v" * 70}, {"k" * 63: "v" * 63}),
        ({"Ünïcode": "é"}, {"x--n-code": "-"}),
    ],
)
def test_labels_become_legal(given_labels: dict[str, str], expected: dict[str, str]) -> None:
    assert labels.sanitised(given_labels) == expected


def test_keys_that_would_become_one_are_kept_apart_whatever_their_order() -> None:
    users = {"a.b": "1", "a/b": "2", "a-b": "3", "A-B": "4"}
    found = labels.sanitised(users)
    assert found["a-b"] == "3"  # who has the key as it is keeps it
    assert sorted(found.values()) == ["1", "2", "3", "4"]
    assert labels.sanitised(dict(reversed(users.items()))) == found


@given(st.dictionaries(words, words, max_size=48))
def test_no_label_is_lost_and_all_are_legal(users: dict[str, str]) -> None:
    own = labels.ours(msgspec.structs.replace(submission(deletion_policy="Orphan"), namespace="a"), "i")
    merged = {**labels.sanitised(users), **own}
    assert len(merged) == len(users) + len(own)
    assert merged.items() >= own.items()
    refusals._check_labels("labels", merged)


@given(st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,34}[A-Za-z0-9])?", fullmatch=True))
def test_whose_a_job_is_can_be_read_from_its_labels_exactly(owner: str) -> None:
    asked = msgspec.structs.replace(submission(), tenant_id=owner, job_id=owner.lower())
    own = labels.ours(asked, "i")
    refusals._check_labels("labels", own)
    assert (labels.exact(own, labels.TENANT), labels.exact(own, labels.JOB_ID)) == (owner, owner.lower())
