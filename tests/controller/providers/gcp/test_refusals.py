"""What the service refuses to create, and which error of ours each status becomes."""

import grpc
import pytest

from controller.domain import reasons
from controller.domain.errors import Forbidden, Permanent, Throttled, Unavailable
from controller.domain.job import GcpOptions
from controller.providers.gcp import calls
from tests.controller.providers.gcp.harness import World, request_for


async def test_what_the_service_will_never_take_is_permanent_and_says_why(world: World) -> None:
    request = request_for(gcp=GcpOptions(allowed_locations=("regions/europe-west1",)))
    with pytest.raises(Permanent) as refused:
        await world.provider.submit(request)
    assert refused.value.reason == reasons.SUBMISSION_REFUSED
    assert "europe-west1" in str(refused.value)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, Permanent),
        (grpc.StatusCode.INTERNAL, Unavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Throttled),
        (grpc.StatusCode.PERMISSION_DENIED, Forbidden),
        (grpc.StatusCode.NOT_FOUND, Unavailable),
    ],
)
async def test_an_error_that_quotes_the_environment_does_not_show_its_values(
    world: World, code: grpc.StatusCode, kind: type[Exception]
) -> None:
    text = "Invalid value 'correct-horse-battery' for variables[PASSWORD] (1 of 10): \"line\\nbreak here\""
    world.aborting(("CreateJob", code, text))
    env = {"PASSWORD": "correct-horse-battery-staple", "N": "1", "TEXT": "line\nbreak here"}
    with pytest.raises(kind) as refused:
        await world.provider.submit(request_for(env=env))
    assert "correct" not in str(refused.value)
    assert "break" not in str(refused.value)
    assert "(*** of 10)" in str(refused.value)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.UNAVAILABLE, Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, calls.TimedOut),
        (grpc.StatusCode.INTERNAL, Unavailable),
        (grpc.StatusCode.ABORTED, Unavailable),
        (grpc.StatusCode.UNKNOWN, Unavailable),
        (grpc.StatusCode.CANCELLED, Unavailable),
        (grpc.StatusCode.UNIMPLEMENTED, calls.Unimplemented),
        (grpc.StatusCode.DATA_LOSS, Unavailable),
        (grpc.StatusCode.NOT_FOUND, Unavailable),
        (grpc.StatusCode.PERMISSION_DENIED, Forbidden),
        (grpc.StatusCode.UNAUTHENTICATED, Forbidden),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Throttled),
        (grpc.StatusCode.INVALID_ARGUMENT, calls.Refused),
        (grpc.StatusCode.FAILED_PRECONDITION, calls.Refused),
        (grpc.StatusCode.OUT_OF_RANGE, calls.Refused),
    ],
)
async def test_every_status_of_a_create_call_becomes_an_error_of_ours(
    world: World, code: grpc.StatusCode, expected: type[Exception]
) -> None:
    world.aborting(("CreateJob", code, "no"))
    with pytest.raises(expected) as raised:
        await world.provider.submit(request_for())
    assert type(raised.value) is expected
