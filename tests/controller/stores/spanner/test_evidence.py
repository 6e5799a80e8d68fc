"""JennahEvidence: rows of which it knows nothing, rows that others remove, and how long it keeps what."""

from datetime import UTC, datetime, timedelta

from controller.domain import reasons
from controller.domain.errors import Permanent
from controller.domain.phases import Phase
from controller.domain.records import Recorded
from controller.ports import RecordFailure
from controller.stores import tombstones
from controller.stores.spanner import SpannerStore
from tests.controller.stores.spanner.harness import Gateway, transition

EVIDENCE = "SELECT Uid, Destination, ExpiresAt IS NULL FROM JennahEvidence ORDER BY Uid"


async def test_the_row_of_an_earlier_release_is_known_by_its_audit_rows(store: SpannerStore, gateway: Gateway) -> None:
    await store.record([transition(), transition(1, Phase.COMPLETED)])
    gateway.write("DELETE FROM JennahEvidence WHERE TRUE")
    assert await store.owner("t", "j") == ""
    assert await store.delete_job("t", "j", uid="another") is False
    assert await store.get_job("t", "j") is not None
    assert await store.delete_job("t", "j", uid="uid-j") is True
    assert await store.list_notifications("t", limit=5) == []
    [failure] = await store.record([transition()])
    assert isinstance(failure, RecordFailure)
    assert isinstance(failure.error, Permanent)
    assert failure.error.reason == reasons.JOB_DELETED


async def test_a_row_whose_owner_nobody_knows_can_be_deleted(store: SpannerStore, gateway: Gateway) -> None:
    await store.record([transition(), transition(1, Phase.COMPLETED)])
    gateway.write("DELETE FROM JennahEvidence WHERE TRUE")
    assert await store.delete_job("t", "j", uid="") is True
    assert (await store.get_job("t", "j"), await store.transitions("t", "j")) == (None, [])
    assert await store.list_notifications("t", limit=5) == []
    assert await store.delete_job("t", "j", uid="") is False


async def test_the_row_of_an_earlier_release_gets_its_evidence_with_its_next_change(
    store: SpannerStore, gateway: Gateway
) -> None:
    await store.record([transition()])
    gateway.write("DELETE FROM JennahEvidence WHERE TRUE")
    [truth] = await store.record([transition(1, Phase.RUNNING, destination="here")])
    assert truth == Recorded(number=1, phase=Phase.RUNNING, destination="here")
    assert gateway.select(EVIDENCE) == [["uid-j", "here", True]]
    assert await store.owner("t", "j") == "uid-j"


async def test_where_a_job_was_sent_is_known_when_the_gateway_has_removed_its_row(
    store: SpannerStore, gateway: Gateway
) -> None:
    await store.record([transition(destination="here")])
    gateway.write("DELETE FROM Jobs WHERE TenantId = 't' AND JobId = 'j'")
    assert await store.owner("t", "j") is None
    [truth] = await store.record([transition(destination="elsewhere")])
    assert truth == Recorded(number=0, phase=Phase.PENDING, destination="here")


async def test_the_evidence_of_a_row_that_the_gateway_removed_goes_with_its_successor(
    store: SpannerStore, gateway: Gateway
) -> None:
    await store.record([transition(destination="here")])
    gateway.write("DELETE FROM Jobs WHERE TenantId = 't' AND JobId = 'j'")
    await store.record([transition(uid="its successor")])
    assert await store.owner("t", "j") == "its successor"
    assert gateway.select(EVIDENCE) == [["its successor", None, True]]


async def test_a_tombstone_says_when_it_expires_and_keeps_where_the_job_was_sent(
    store: SpannerStore, gateway: Gateway
) -> None:
    await store.record([transition(destination="here")])
    before = datetime.now(UTC)
    await store.delete_job("t", "j", uid="uid-j")
    assert gateway.select(EVIDENCE) == [["uid-j", "here", False]]
    [[expires_at]] = gateway.select("SELECT ExpiresAt FROM JennahEvidence")
    ttl = timedelta(seconds=tombstones.TTL_SECONDS)
    assert isinstance(expires_at, datetime)
    assert before + ttl <= expires_at <= datetime.now(UTC) + ttl
    await store.record([transition(uid="its successor")])
    assert gateway.select(EVIDENCE) == [["its successor", None, True], ["uid-j", "here", False]]
