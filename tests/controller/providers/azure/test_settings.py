"""Errors and settings of the Azure adapter, and what is read of answers."""

from datetime import UTC, datetime

import msgspec
import pytest

from controller.cloud_settings import read_azure
from controller.domain.errors import Forbidden, NotFound, Throttled, Unavailable
from controller.providers.azure import calls, wire
from controller.variables import Environment


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (409, "ActiveJobAndScheduleQuotaReached", Throttled),
        (409, "PoolQuotaReached", Throttled),
        (409, "JobCompleted", calls.JobEnded),
        (409, "JobBeingTerminated", calls.JobEnded),
        (409, "TaskCompleted", calls.TaskEnded),
        (409, "SomethingNew", calls.Conflict),
        (409, "", calls.Conflict),
        (404, "", calls.Nameless),
        (404, "JobNotFound", NotFound),
        (403, "AuthenticationFailed", Forbidden),
        (400, "InvalidPropertyValue", calls.Refused),
        (413, "RequestBodyTooLarge", calls.Refused),
        (429, "TooManyRequests", Throttled),
        (503, "ServerBusy", Throttled),
        (500, "InternalError", Unavailable),
    ],
)
def test_an_error_is_read_by_its_code(status: int, code: str, kind: type) -> None:
    error = calls.meaning(status, code, "words")
    assert type(error) is kind
    assert code in str(error)


def read(**other: str):
    env = Environment(
        {
            "AZURE_SUBSCRIPTION_ID": "s",
            "AZURE_RESOURCE_GROUP": "g",
            "AZURE_BATCH_ACCOUNT": "acct",
            "AZURE_BATCH_POOL": "p",
            **other,
        }
    )
    return read_azure(env, "westeurope"), env.faults


def test_the_endpoint_follows_from_account_and_region() -> None:
    settings, faults = read()
    assert (settings.endpoint, faults) == ("https://acct.westeurope.batch.azure.com", [])


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AZURE_BATCH_KEY": "not base64!"}, "AZURE_BATCH_KEY"),
        ({"AZURE_BATCH_ENDPOINT": "acct"}, "AZURE_BATCH_ENDPOINT"),
        ({"AZURE_BATCH_ENDPOINT": "http://127.0.0.1:1"}, "AZURE_BATCH_KEY"),
        ({"AZURE_NODE_SIZES": "a=4"}, "AZURE_NODE_SIZES"),
        ({"AZURE_TASK_USER": "root"}, "AZURE_TASK_USER"),
        ({"AZURE_REGISTRY_USERNAME": "u"}, "AZURE_REGISTRY_SERVER"),
        ({"AZURE_REGISTRY_SERVER": "r", "AZURE_REGISTRY_USERNAME": "u"}, "AZURE_REGISTRY_SERVER"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_told(variables: dict[str, str], words: str) -> None:
    [fault] = read(**variables)[1]
    assert words in fault
    assert "not base64!" not in fault


def test_settings_show_no_secret() -> None:
    settings, _ = read(AZURE_BATCH_KEY="c2VjcmV0", AZURE_OUTPUT_URL="https://s/c?sig=secret")
    assert "c2VjcmV0" not in repr(settings) and "secret" not in repr(settings)


def test_nulls_are_taken_for_fields_that_are_not_there() -> None:
    body = (
        b'{"odata.nextLink":null,"value":[{"id":"a","displayName":null,"state":"completed","creationTime":null,'
        b'"executionInfo":{"startTime":"2026-01-01T00:00:00Z","retryCount":null,"result":null,"containerInfo":null,'
        b'"failureInfo":{"category":null,"code":"X","message":null}}}]}'
    )
    [task] = wire.decoded(body, wire.TaskPage).value
    execution = wire.Execution(start_time=datetime(2026, 1, 1, tzinfo=UTC), failure_info=wire.Failure(code="X"))
    assert task == wire.Task(id="a", state="completed", execution_info=execution)
    assert wire.decoded(b'{"id":"j","metadata":null,"onAllTasksComplete":null}', wire.Job) == wire.Job(id="j")
    with pytest.raises(msgspec.MsgspecError):
        wire.decoded(b'{"value":null}', wire.TaskPage)


def test_a_time_without_a_zone_is_in_utc() -> None:
    body = b'{"id":"t","displayName":"2026","creationTime":"2026-01-01T00:00:00.5","stateTransitionTime":null}'
    task = wire.decoded(body, wire.Task)
    assert task.creation_time == datetime(2026, 1, 1, 0, 0, 0, 500_000, UTC)
