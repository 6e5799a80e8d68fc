"""Spanner's errors and ours, and the pause after one."""

from types import SimpleNamespace

import pytest
from google.api_core import exceptions as google
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo

from controller.domain.errors import ConfigError, Throttled, Unavailable
from controller.stores import spanner_errors
from controller.stores.spanner import SpannerStore
from tests.contract.databases.spanner import INSTANCE, PROJECT


async def test_missing_credentials_are_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPANNER_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    with pytest.raises(ConfigError, match="Google credentials") as raised:
        await SpannerStore(PROJECT, INSTANCE, "d").open()
    assert "nowhere" not in str(raised.value)


def test_a_missing_database_is_told_from_a_missing_table() -> None:
    assert isinstance(spanner_errors.translate(google.NotFound("Database not found: p")), spanner_errors.Missing)
    assert "schema" in str(spanner_errors.translate(google.NotFound("Table not found: Jobs")))


def test_the_pause_is_the_servers_where_it_says_one_and_grows_to_half_a_second_otherwise() -> None:
    info = RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)).SerializeToString()
    hinted = google.Aborted(
        "", errors=[SimpleNamespace(trailing_metadata=lambda: (("google.rpc.retryinfo-bin", info),))]
    )
    assert spanner_errors.pause(hinted, 3, 0.5) == 1.5
    plain = google.Aborted("", errors=[SimpleNamespace(trailing_metadata=lambda: None)])
    assert [spanner_errors.pause(plain, tries, 1.0) for tries in (0, 1, 50)] == [0.01, 0.02, 0.5]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (google.ServiceUnavailable, Unavailable),
        (google.DeadlineExceeded, Unavailable),
        (google.Aborted, Unavailable),
        (google.Unknown, Unavailable),
        (google.PermissionDenied, Unavailable),
        (google.Unauthenticated, Unavailable),
        (google.NotFound, Unavailable),
        (google.ResourceExhausted, Throttled),
        (google.InvalidArgument, Unavailable),
    ],
)
def test_an_error_carries_the_name_of_its_status_and_no_text_of_the_server(
    error: type[google.GoogleAPICallError], expected: type[Exception]
) -> None:
    translated = spanner_errors.translate(error("secret"))
    assert isinstance(translated, expected)
    assert "secret" not in str(translated)
