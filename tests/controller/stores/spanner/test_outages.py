"""A server that is away, hangs, aborts, throttles or forgets; and outcomes that are not known."""

import asyncio
import os
import threading
import time

import grpc
import pytest

from controller.domain.errors import Throttled, Unavailable
from controller.domain.phases import Phase
from controller.domain.records import Recorded
from controller.stores import spanner_transaction
from controller.stores.spanner import SpannerStore
from tests.contract.databases import spanner as emulators
from tests.contract.databases.spanner import INSTANCE, PROJECT
from tests.controller.stores.spanner.harness import Gateway, migrate, transition
from tests.controller.stores.spanner.proxy import Fault, Proxy


async def test_a_connection_that_is_refused_is_unavailable_and_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPANNER_EMULATOR_HOST", "127.0.0.1:1")
    started = time.monotonic()
    with pytest.raises(Unavailable) as raised:
        await SpannerStore(PROJECT, INSTANCE, "d", call_seconds=0.5).open()
    assert time.monotonic() - started < 4
    path = f"projects/{PROJECT}/instances/{INSTANCE}/databases/d"
    assert str(raised.value) == f"Spanner cannot be reached or failed: UNAVAILABLE ({path})"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="Commit", is_reply_lost=True),
        Fault(method="Commit"),
        Fault(method="Commit", code=grpc.StatusCode.INTERNAL, is_reply_lost=True),
        Fault(method="Commit", code=grpc.StatusCode.DEADLINE_EXCEEDED, is_reply_lost=True),
        Fault(method="StreamingRead"),
    ],
)
async def test_a_transaction_of_unknown_outcome_is_done_again_and_there_is_one_row(
    proxied: SpannerStore, proxy: Proxy, fault: Fault
) -> None:
    proxy.faults.append(fault)
    assert await proxied.record([transition(1, Phase.FAILED)]) == [Recorded(number=1, phase=Phase.FAILED)]
    assert proxy.faults == []
    assert proxy.calls.count(fault.method) > 1
    assert len(await proxied.transitions("t", "j")) == 1
    assert len(await proxied.list_notifications("t", limit=10)) == 1


async def test_a_reply_that_never_comes_leaves_time_to_do_it_again(
    proxied: SpannerStore, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spanner_transaction, "ATTEMPT_SECONDS", 0.3)
    proxy.faults.append(Fault(method="Commit", hangs=True))
    assert await proxied.record([transition()]) == [Recorded(number=0, phase=Phase.PENDING)]
    assert len(await proxied.transitions("t", "j")) == 1


async def test_a_server_that_does_not_answer_is_unavailable_in_time(proxied: SpannerStore, proxy: Proxy) -> None:
    proxy.faults += [Fault(method=method, hangs=True) for method in ("StreamingRead", "ExecuteStreamingSql") * 3]
    started = time.monotonic()
    results = await asyncio.gather(
        proxied.record([transition()]), proxied.get_job("t", "first"), return_exceptions=True
    )
    assert [type(result) for result in results] == [Unavailable, Unavailable]
    assert time.monotonic() - started < 3
    proxy.stopped.set()


async def test_an_aborted_transaction_is_tried_again(proxied: SpannerStore, proxy: Proxy) -> None:
    proxy.faults += [Fault(method="Commit", code=grpc.StatusCode.ABORTED)] * 3
    proxy.faults += [Fault(method="StreamingRead", code=grpc.StatusCode.ABORTED)]
    assert await proxied.record([transition()]) == [Recorded(number=0, phase=Phase.PENDING)]
    assert proxy.calls.count("Commit") == 4
    assert len(await proxied.transitions("t", "j")) == 1


async def test_many_transactions_on_the_same_rows_all_end(store: SpannerStore, schema: str) -> None:
    other = SpannerStore(PROJECT, INSTANCE, schema)
    await other.open()
    results = await asyncio.gather(
        *(one.record([transition(n), transition(n, job="k")]) for n in range(8) for one in (store, other))
    )
    await other.close()
    assert all(isinstance(result, Recorded) for both in results for result in both)
    job = await store.get_job("t", "j")
    assert job is not None
    assert len({row.transition_id for row in await store.transitions("t", "j")}) <= 8


async def test_a_throttled_call_is_tried_again_and_at_last_says_so(proxied: SpannerStore, proxy: Proxy) -> None:
    throttled = Fault(method="Commit", code=grpc.StatusCode.RESOURCE_EXHAUSTED)
    proxy.faults += [throttled] * 2
    assert await proxied.record([transition()]) == [Recorded(number=0, phase=Phase.PENDING)]
    proxy.faults += [throttled] * 1000
    with pytest.raises(Throttled, match="RESOURCE_EXHAUSTED"):
        await proxied.record([transition(1)])


async def test_a_session_that_the_server_forgot_is_replaced(store: SpannerStore, gateway: Gateway) -> None:
    await store.record([transition()])
    parent = gateway._session.rpartition("/sessions/")[0]
    for session in gateway._client.list_sessions(database=parent):
        gateway._client.delete_session(name=session.name)
    assert await store.record([transition(1, Phase.RUNNING)]) == [Recorded(number=1, phase=Phase.RUNNING)]
    assert await store.get_job("t", "j") is not None


async def test_a_server_that_was_restarted_is_used_again_by_the_same_store() -> None:
    if os.environ.get(emulators.GIVEN):
        pytest.skip(f"the emulator at {emulators.GIVEN} is not ours to restart")
    emulator = emulators.Emulator()
    try:
        emulator.start()
        with emulators.database(emulator.host) as name:
            await migrate(name)
            store = SpannerStore(PROJECT, INSTANCE, name, call_seconds=1)
            await store.open()
            await store.record([transition()])
            emulator.stop()
            with pytest.raises(Unavailable):
                await store.record([transition(1, Phase.RUNNING)])
            emulator.start()
            with pytest.raises(Unavailable, match="does not exist"):
                await store.get_job("t", "j")  # the emulator keeps nothing
            await migrate(name)
            assert await store.record([transition(1, Phase.RUNNING)]) == [Recorded(number=1, phase=Phase.RUNNING)]
            await store.close()
    finally:
        emulator.stop()


async def test_a_store_that_is_not_open_is_unavailable_and_closing_leaves_no_thread(schema: str) -> None:
    store = SpannerStore(PROJECT, INSTANCE, schema)
    with pytest.raises(Unavailable, match="not open"):
        await store.get_job("t", "j")
    before = set(threading.enumerate())
    await store.open()
    await store.record([transition()])
    await store.close()
    await store.close()
    new = {thread for thread in threading.enumerate() if thread.name.startswith(("spanner", "maintenance"))} - before
    assert new == set()
    with pytest.raises(Unavailable, match="not open"):
        await store.record([transition()])
