"""How few round trips many rows take, and values that the stream cuts."""

from collections.abc import Iterator

from google.cloud import spanner_v1 as api

from controller.domain.phases import Phase
from controller.domain.records import Recorded
from controller.stores import spanner_values as values
from controller.stores.spanner import SpannerStore
from controller.stores.spanner_record import COMMIT_TRANSITIONS
from tests.controller.stores.spanner.harness import transition
from tests.controller.stores.spanner.proxy import Proxy


async def test_a_group_of_200_takes_four_round_trips_whether_its_jobs_are_new_or_not(
    proxied: SpannerStore, proxy: Proxy
) -> None:
    new = [transition(job=f"j{n}") for n in range(200)]
    assert await proxied.record(new) == [Recorded(number=0, phase=Phase.PENDING)] * 200
    assert proxy.calls == ["StreamingRead", "StreamingRead", "StreamingRead", "Commit"]
    proxy.calls.clear()
    ended = [transition(1, Phase.COMPLETED, job=f"j{n}") for n in range(200)]
    assert await proxied.record(ended) == [Recorded(number=1, phase=Phase.COMPLETED)] * 200
    assert proxy.calls == ["StreamingRead", "StreamingRead", "StreamingRead", "Commit"]
    assert len(await proxied.list_notifications("t", limit=1000)) == 200


async def test_more_than_one_commit_takes_is_written_in_several(store: SpannerStore) -> None:
    many = [transition(job=f"j{n}") for n in range(COMMIT_TRANSITIONS + 1)]
    assert await store.record(many) == [Recorded(number=0, phase=Phase.PENDING)] * len(many)
    assert len((await store.list_jobs("t")).jobs) == len(many)


async def test_a_row_that_comes_in_pieces_is_put_together(store: SpannerStore) -> None:
    large, commands = "\u00fc" * 1_500_000, tuple(str(n) * 1000 for n in range(1500))
    await store.record([transition(env_vars_json=large, commands=commands, name="n")])
    job = await store.get_job("t", "j")
    assert job is not None
    assert (job.env_vars_json == large, job.commands == commands, job.name) == (True, True, "n")


def parts(*pieces: tuple[list[object], bool]) -> Iterator[api.PartialResultSet]:
    """A stream of rows with three columns, in those pieces; the flag is `chunked_value`."""
    for number, (plain, is_chunked) in enumerate(pieces):
        part = api.PartialResultSet(chunked_value=is_chunked)
        api.PartialResultSet.pb(part).values.extend(values.value(one) for one in plain)  # type: ignore[arg-type]
        if number == 0:
            part.metadata = api.ResultSetMetadata(row_type=api.StructType(fields=[api.StructType.Field()] * 3))
        yield part


def test_values_are_put_together_wherever_the_stream_cuts_them() -> None:
    stream = parts(
        (["a"], True),
        (["b"], True),
        (["c", 7, ["x", "y"]], True),
        ([["z"], None], False),
        ([], False),
        ([True, None, "d", False, []], True),
        ([[]], False),
    )
    assert values.rows(stream) == [["abc", "7", ["x", "yz"]], [None, True, None], ["d", False, []]]
    assert values.rows(parts(([], False))) == []
    assert values.rows(parts((["a", None, [None]], True), ([["b"]], False))) == [["a", None, [None, "b"]]]
