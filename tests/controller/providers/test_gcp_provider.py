"""What is the GCP adapter's own: doubt, limits, rights, masks. Its laws: tests/contract/test_provider_contract.py."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.auth.credentials import AnonymousCredentials

from controller.domain import reasons
from controller.domain.errors import ConfigError, Forbidden, Permanent, Retryable, Throttled, Unavailable
from controller.domain.job import GcpOptions
from controller.domain.phases import Phase
from controller.domain.resources import ResourceSet
from controller.metrics import REGISTRY
from controller.ports import JobRef, Observation, SubmitRequest
from controller.providers import limits
from controller.providers.gcp import bulk, calls, clients, details
from controller.providers.gcp.provider import GcpProvider
from dev.emulators.faults import Faults
from dev.emulators.gcp.jobs import (
    NO_CAPACITY_MACHINE,
    NO_CAPACITY_SCHEDULED_MACHINE,
    NO_QUOTA_MACHINE,
    NO_QUOTA_SCHEDULED_MACHINE,
    UNKNOWN_MACHINE,
)
from tests.controller.fakes import FakeClock
from tests.controller.providers.gcp_harness import PROJECT, World, ref_of, request_for, settings_for

TRIES = 60


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World().running() as world:
        yield world


async def submitted_at_last(provider: GcpProvider, request: SubmitRequest) -> Observation:
    """As the reconciler does it: again while the outcome is unknown."""
    for _ in range(TRIES):
        try:
            return await provider.submit(request)
        except Retryable:
            await asyncio.sleep(0)
    raise AssertionError("never submitted")


# --- doubt ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("faults", [Faults(lost_replies=0.4), Faults(lost_requests=0.4, lost_replies=0.3)])
async def test_lost_replies_and_requests_end_in_exactly_one_cloud_job(faults: Faults) -> None:
    async with World(faults).running() as world:
        requests = [request_for() for _ in range(150)]
        await asyncio.gather(*(submitted_at_last(world.provider, request) for request in requests))
        assert sorted(entry.uid for entry in world.service.ledger()) == sorted(request.uid for request in requests)


async def test_after_the_replay_window_the_name_alone_adopts(world: World) -> None:
    request = request_for(("sleep", "100000"))
    request = msgspec.structs.replace(request, resources=ResourceSet(cpu_millis=1000, memory_mib=128))
    first = await world.provider.submit(request)
    world.ahead(2 * 3600)
    again = await world.provider.submit(request)
    assert again.resource_path == first.resource_path
    assert again.phase is Phase.RUNNING
    assert len(world.service.ledger()) == 1


async def test_a_job_that_exists_and_cannot_be_read_yet_is_in_doubt_and_not_submitted_again() -> None:
    async with World(Faults(hidden_seconds=1e6)).running() as world:
        request = request_for()
        await world.provider.submit(request)
        world.ahead(2 * 3600)  # past the replay window: the name is refused, and reads do not have it
        with pytest.raises(Unavailable, match="cannot be read yet"):
            await world.provider.submit(request)
        assert len(world.service.ledger()) == 1


@pytest.mark.parametrize("later", [0, 7200], ids=["by request id", "by name"])
async def test_a_job_of_that_name_with_another_uid_is_not_ours(world: World, later: float) -> None:
    request = request_for()
    await world.provider.submit(request)
    world.ahead(later)
    with pytest.raises(Permanent) as refused:
        await world.provider.submit(msgspec.structs.replace(request, uid="5c1f2c44-0000-4000-8000-000000000000"))
    assert refused.value.reason == reasons.NAME_TAKEN
    assert "another JennahJob" in str(refused.value)


async def test_an_answer_without_our_label_is_not_judged_before_the_job_was_read(world: World) -> None:
    world.service.omitted = {"create-labels"}
    request = request_for()
    for _ in range(2):
        assert (await world.provider.submit(request)).uid == request.uid
    with pytest.raises(Permanent) as refused:
        await world.provider.submit(msgspec.structs.replace(request, uid="5c1f2c44-0000-4000-8000-000000000000"))
    assert refused.value.reason == reasons.NAME_TAKEN


async def test_the_answer_of_an_earlier_create_call_is_not_taken_for_the_present(world: World) -> None:
    request = request_for(("sh", "-c", "exit 3"))
    await world.provider.submit(request)
    world.service._ever[0]._message.create_time.FromSeconds(1)
    world.ahead(60)
    assert (await world.provider.submit(request)).phase is Phase.FAILED
    assert world.server.calls["GetJob"] == 1


# --- refusals ------------------------------------------------------------------------------------------------


async def test_what_the_service_will_never_take_is_permanent_and_says_why(world: World) -> None:
    request = request_for(gcp=GcpOptions(allowed_locations=("regions/europe-west1",)))
    with pytest.raises(Permanent) as refused:
        await world.provider.submit(request)
    assert refused.value.reason == reasons.SUBMISSION_REFUSED
    assert "europe-west1" in str(refused.value)


async def test_a_refusal_that_quotes_the_environment_does_not_show_its_values(world: World) -> None:
    text = "Invalid value 'correct-horse-battery' for variables[PASSWORD] (1 of 10): \"line\\nbreak here\""
    world.aborting(("CreateJob", grpc.StatusCode.INVALID_ARGUMENT, text))
    env = {"PASSWORD": "correct-horse-battery-staple", "N": "1", "TEXT": "line\nbreak here"}
    with pytest.raises(Permanent) as refused:
        await world.provider.submit(request_for(env=env))
    assert "correct" not in str(refused.value)
    assert "break" not in str(refused.value)
    assert "(*** of 10)" in str(refused.value)
    assert refused.value.__cause__ is None


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


async def test_cancelling_what_the_service_will_not_cancel_is_an_error_only_while_the_job_goes_on(world: World) -> None:
    lasting, _ = await world.submitted("sleep", "60")
    done, _ = await world.submitted("true")
    world.ahead(1)
    world.aborting(("CancelJob", grpc.StatusCode.INVALID_ARGUMENT, "no"))
    assert await world.provider.cancel(done, reason="r")
    assert not await world.provider.cancel(JobRef(external_name="never-was", uid="u"), reason="r")
    with pytest.raises(calls.Refused):
        await world.provider.cancel(lasting, reason="r")


async def test_cancelling_says_whether_the_service_knew_the_job(world: World) -> None:
    ref, _ = await world.submitted("sleep", "60")
    world.ahead(1)
    assert await world.provider.cancel(ref, reason="r")
    assert await world.provider.cancel(ref, reason="r")  # on its way
    world.ahead(1)
    assert await world.provider.cancel(ref, reason="r")  # over
    assert not await world.provider.cancel(ref_of(request_for()), reason="r")


async def test_a_deleted_job_is_gone_and_the_last_that_is_seen_of_it_is_no_end(world: World) -> None:
    ref, _ = await world.submitted("true")
    world.ahead(1)
    await world.provider.delete(ref)
    leaving = await world.provider.get(ref)
    assert leaving is None or (leaving.is_being_deleted and leaving.is_cancelling and leaving.phase is None)
    world.ahead(1)
    assert await world.provider.get(ref) is None
    assert await world.provider.observe([ref]) == {}


# --- the start -----------------------------------------------------------------------------------------------


async def test_opening_asks_for_one_job(world: World) -> None:
    await world.provider.open()
    assert world.server.calls == {"ListJobs": 1}


@pytest.mark.parametrize("code", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED])
async def test_refused_credentials_stop_the_start_with_the_roles_that_are_needed(
    world: World, code: grpc.StatusCode
) -> None:
    world.aborting(("ListJobs", code, "Permission 'batch.jobs.list' denied"))
    with pytest.raises(ConfigError) as stopped:
        await world.provider.open()
    (line,) = stopped.value.faults
    for word in (
        "roles/batch.jobsEditor",
        "roles/iam.serviceAccountUser",
        "roles/logging.logWriter",
        "batch.jobs.list",
    ):
        assert word in line
    assert "\n" not in line


async def test_a_wrong_project_stops_the_start_with_its_variable(world: World) -> None:
    world.aborting(("ListJobs", grpc.StatusCode.NOT_FOUND, "no such project"))
    with pytest.raises(ConfigError, match=f"BATCH_PROJECT_ID={PROJECT}"):
        await world.provider.open()


async def test_missing_credentials_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")  # so that nothing else is looked for
    provider = GcpProvider(settings_for(""), FakeClock())
    with pytest.raises(ConfigError, match="application default ones"):
        await provider.open()
    await provider.close()


@pytest.fixture
async def token_server() -> AsyncIterator[tuple[str, list[int]]]:
    """A server that refuses every token request with the last status of that list; its URL."""
    statuses = [400]

    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"error": "invalid_grant"}, status=statuses[-1])

    app = web.Application()
    app.router.add_post("/token", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/token", statuses
    await runner.cleanup()


async def test_refused_credentials_stop_the_start_before_any_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, token_server: tuple[str, list[int]]
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {"type": "service_account", "client_email": "a@b.c", "token_uri": token_server[0], "private_key": pem}
    file = tmp_path / "key.json"
    file.write_text(json.dumps({**account, "project_id": PROJECT, "private_key_id": "k", "client_id": "1"}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    provider = GcpProvider(settings_for(""), FakeClock())
    with pytest.raises(ConfigError, match=r"roles/batch\.jobsEditor") as stopped:
        await provider.open()
    assert "invalid_grant" in str(stopped.value)
    assert "PRIVATE" not in str(stopped.value)
    await provider.close()


async def test_a_service_that_cannot_be_reached_is_waited_for() -> None:
    async with World().running() as world:
        endpoint = world.server.endpoint
    provider = GcpProvider(settings_for(endpoint), FakeClock())
    with pytest.raises(Unavailable, match="by gRPC; for REST write http://"):
        await provider.open()
    await provider.close()


@pytest.mark.parametrize("endpoint", ["", "127.0.0.1:1"], ids=["service", "stand-in"])
async def test_connections_that_die_are_found_out(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    made: list[tuple[str, dict[str, Any]]] = []

    def channel(make: Any) -> Any:
        def recording(target: str, *more: Any, **settings: Any) -> Any:
            made.append((target, dict(settings["options"])))
            return make(target, *more, **settings)

        return recording

    monkeypatch.setattr(grpc.aio, "insecure_channel", channel(grpc.aio.insecure_channel))
    monkeypatch.setattr(grpc.aio, "secure_channel", channel(grpc.aio.secure_channel))
    monkeypatch.setattr(clients, "_credentials", AnonymousCredentials)
    client = await clients.make(endpoint)
    await client.close()
    ((target, options),) = made
    assert target == (endpoint or "batch.googleapis.com:443")
    assert options["grpc.max_receive_message_length"] == -1
    assert options["grpc.keepalive_time_ms"] == 30_000
    assert options["grpc.keepalive_timeout_ms"] == 10_000
    assert options["grpc.max_reconnect_backoff_ms"] == 10_000


# --- limits --------------------------------------------------------------------------------------------------


async def test_every_call_has_a_time_limit_shorter_than_the_lease(world: World) -> None:
    left: dict[str, float] = {}

    async def hook(method: str, context: Any) -> None:
        left[method] = context.time_remaining()

    world.server.hook = hook
    ref, _ = await world.submitted("sh", "-c", "exit 3")
    world.ahead(1)
    await world.provider.observe([ref])
    await world.provider.get(ref)
    await world.provider.cancel(ref, reason="r")
    await world.provider.delete(ref)
    assert set(left) == {"CreateJob", "ListJobs", "ListTasks", "GetJob", "CancelJob", "DeleteJob"}
    assert all(0 < seconds < calls.CALL_SECONDS + 1 for seconds in left.values())  # gRPC rounds them up
    assert calls.CALL_SECONDS + limits.PLACE_SECONDS < 15


async def test_throttling_backs_off_the_bucket_of_all_workers(world: World) -> None:
    world.aborting(("CreateJob", grpc.StatusCode.RESOURCE_EXHAUSTED, "slow down"))
    before = world.provider._mutations.rate
    with pytest.raises(Throttled) as throttled:
        await world.provider.submit(request_for())
    assert throttled.value.delay > 0
    assert world.provider._mutations.rate < before
    assert world.provider._reads.rate == before  # reads have a quota of their own
    assert world.server.calls["CreateJob"] == 1  # and nothing was tried again


async def test_who_finds_no_place_in_the_rate_limit_comes_again(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    provider = world.adapter(mutations_per_second=0.1)
    await provider.submit(request_for())
    monkeypatch.setattr(limits, "PLACE_SECONDS", 0.01)
    with pytest.raises(Throttled):
        await provider.submit(request_for())
    assert len(world.service.ledger()) == 1
    await provider.close()


# --- the round of observation --------------------------------------------------------------------------------


async def test_a_place_that_could_not_be_read_fails_the_round_only_where_a_job_is_missing(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    monkeypatch.setattr(bulk, "PAGE_SIZE", 20)
    refs = [(await world.submitted("sleep", "60"))[0] for _ in range(50)]
    world.service.unreachable = ["projects/acme/locations/us-central1"]
    assert len(await world.provider.observe(refs)) == 50
    with pytest.raises(Unavailable, match="us-central1"):
        await world.provider.observe([*refs, ref_of(request_for())])


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL]
)
async def test_a_page_that_fails_for_the_moment_is_asked_for_again_from_its_own_token(
    monkeypatch: pytest.MonkeyPatch, world: World, code: grpc.StatusCode
) -> None:
    monkeypatch.setattr(bulk, "PAGE_SIZE", 20)
    monkeypatch.setattr(bulk, "REPEAT_SECONDS", 0.001)
    monkeypatch.setattr(limits, "BACKOFF_BASE_SECONDS", 0.001)
    refs = [(await world.submitted("sleep", "60"))[0] for _ in range(60)]
    world.server.calls.clear()
    world.failing("ListJobs", code, code, code)
    assert len(await world.provider.observe(refs)) == 60
    assert world.server.calls == {"ListJobs": 6}
    world.failing("ListJobs", *[code] * 4)
    with pytest.raises(Retryable):
        await world.provider.observe(refs)


async def test_a_list_that_is_forbidden_is_not_asked_for_again(world: World) -> None:
    ref, _ = await world.submitted("sleep", "60")
    world.failing("ListJobs", grpc.StatusCode.PERMISSION_DENIED)
    with pytest.raises(Forbidden):
        await world.provider.observe([ref])
    assert world.server.calls["ListJobs"] == 1


async def test_pages_that_take_too_long_become_smaller_and_then_larger_again(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    monkeypatch.setattr(bulk, "GROW_AFTER", 3)
    refs = [(await world.submitted("sleep", "60"))[0] for _ in range(600)]
    world.failing("ListJobs", *[grpc.StatusCode.DEADLINE_EXCEEDED] * 2)
    assert len(await world.provider.observe(refs)) == 600
    assert world.provider._bulk.page_size == 500  # 250, and three of them came in time
    for _ in range(2):
        world.failing("ListJobs", *[grpc.StatusCode.DEADLINE_EXCEEDED] * 4)
        with pytest.raises(Unavailable):
            await world.provider.observe(refs)
    assert world.provider._bulk.page_size == bulk.MIN_PAGE_SIZE
    world.server.hook = None
    for _ in range(4):
        await world.provider.observe(refs)
    assert world.provider._bulk.page_size == bulk.PAGE_SIZE


async def test_only_jobs_that_were_asked_for_and_carry_the_uid_are_told_of(world: World) -> None:
    mine, _ = await world.submitted("sleep", "60")
    await world.submitted("sleep", "60")
    other, _ = await world.submitted("sleep", "60")
    stranger = JobRef(external_name=other.external_name, uid="5c1f2c44-0000-4000-8000-000000000000")
    assert set(await world.provider.observe([mine, stranger])) == {mine.external_name}


@pytest.mark.parametrize("mode", ["honour", "ignore", "refuse", "drop-token", "drop-fields"])
async def test_whatever_becomes_of_the_field_mask_the_jobs_are_observed(
    monkeypatch: pytest.MonkeyPatch, mode: Any
) -> None:
    monkeypatch.setattr(bulk, "PAGE_SIZE", 20)
    async with World(mask_mode=mode).running() as world:
        refs = [(await world.submitted("sleep", "60"))[0] for _ in range(55)]
        world.ahead(1)
        for _ in range(2):
            seen = await world.provider.observe(refs)
            assert {one.uid for one in seen.values()} == {ref.uid for ref in refs}
        assert world.provider._bulk.sends_mask == (mode in ("honour", "ignore"))
        world.server.calls.clear()
        await world.provider.observe(refs)
        assert world.server.calls == {"ListJobs": 3}  # what was learnt is kept: no page is asked for twice


async def test_get_and_observe_agree_with_and_without_the_mask() -> None:
    for mode in ("honour", "refuse"):
        async with World(mask_mode=mode).running() as world:
            failed, _ = await world.submitted("sh", "-c", "exit 3")
            lasting, _ = await world.submitted("sleep", "60", completions=3, parallelism=2)
            world.ahead(1)
            assert (await world.seen(failed)).exit_code == 3
            assert (await world.seen(lasting)).tasks.total == 3


async def test_old_finished_jobs_are_not_read_on_and_on(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    monkeypatch.setattr(bulk, "PAGE_SIZE", 20)
    old, _ = await world.submitted("sleep", "999")
    for _ in range(100):
        await world.submitted("true")
    new, _ = await world.submitted("sleep", "60")
    world.ahead(1)
    world.server.calls.clear()
    assert set(await world.provider.observe([old, new])) == {old.external_name, new.external_name}
    assert world.server.calls == {"ListJobs": 1, "GetJob": 1}


async def test_the_list_begins_at_the_oldest_job_that_is_asked_for(world: World) -> None:
    _, first = await world.submitted("true")
    at = first.submitted_at
    refs = [JobRef(external_name=f"n{hours}", uid="u", submitted_at=at - timedelta(hours=hours)) for hours in (3, 1)]
    text = bulk.query("test", refs)
    since = (at - timedelta(hours=3) - bulk.SKEW).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert text == f'labels."jennah-instance" = "test" AND createTime >= "{since}"'
    unknown = JobRef(external_name="n", uid="u")
    assert bulk.query("test", [*refs, unknown]) == 'labels."jennah-instance" = "test"'


async def test_tasks_are_asked_for_once_a_failed_job(world: World) -> None:
    refs = [(await world.submitted("sh", "-c", "exit 3"))[0] for _ in range(5)]
    done, _ = await world.submitted("true")
    world.ahead(1)
    for _ in range(3):
        seen = await world.provider.observe([*refs, done])
    assert {one.exit_code for one in seen.values()} == {0, 3}
    assert world.server.calls["ListTasks"] == 5


async def test_jobs_of_another_region_are_got_singly(world: World) -> None:
    elsewhere = GcpProvider(
        msgspec.structs.replace(settings_for(world.server.endpoint), region="europe-west4"), FakeClock()
    )
    request = request_for()
    made = await elsewhere.submit(request)
    await elsewhere.close()
    ref = msgspec.structs.replace(ref_of(request), resource_path=made.resource_path)
    here, _ = await world.submitted("sleep", "60")
    assert set(await world.provider.observe([ref, here])) == {ref.external_name, here.external_name}
    assert world.server.calls["GetJob"] == 1


async def test_nothing_of_a_request_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        ref = ref_of(request := request_for(env={"PASSWORD": "correct-horse"}))
        await world.provider.submit(request)
        await world.provider.observe([ref])
        await world.provider.get(ref)
    assert "correct-horse" not in caplog.text
    assert not any("correct-horse" in str(vars(record)) for record in caplog.records)


async def test_the_tasks_of_a_large_job_are_read_page_by_page(world: World) -> None:
    ref, _ = await world.submitted("sh", "-c", "exit 3", completions=2500, backoff_limit=1)
    world.ahead(5)
    seen = await world.seen(ref)
    assert (seen.tasks.failed, seen.retries, seen.exit_code) == (2500, 2500, 3)
    assert world.server.calls["ListTasks"] == 3


async def test_calls_are_counted_by_method_and_result(world: World) -> None:
    def counted(method: str, result: str) -> float:
        return (
            REGISTRY.get_sample_value(
                "jennah_provider_calls_total", {"provider": "gcp", "method": method, "result": result}
            )
            or 0.0
        )

    created, refused = counted("create", "ok"), counted("create", "Unavailable")
    await world.submitted("true")
    world.aborting(("CreateJob", grpc.StatusCode.UNAVAILABLE, "no"))
    with pytest.raises(Unavailable):
        await world.submitted("true")
    assert (counted("create", "ok"), counted("create", "Unavailable")) == (created + 1, refused + 1)


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED]
)
async def test_a_job_whose_tasks_cannot_be_read_now_ends_in_a_later_round_and_hinders_no_other(
    monkeypatch: pytest.MonkeyPatch, world: World, code: grpc.StatusCode
) -> None:
    monkeypatch.setattr(limits, "BACKOFF_BASE_SECONDS", 0.001)
    failed, _ = await world.submitted("sh", "-c", "exit 9")
    done, _ = await world.submitted("true")
    world.ahead(60)
    world.aborting(("ListTasks", code, "no"))
    seen = await world.provider.observe([failed, done])
    held = seen[failed.external_name]
    assert (held.phase, held.completed_at, held.exit_code, held.reason) == (None, None, None, None)
    assert seen[done.external_name].phase is Phase.COMPLETED
    assert (await world.provider.get(failed)).phase is None
    world.server.hook = None
    assert (await world.seen(failed)).exit_code == 9


async def test_tasks_that_are_unreadable_for_long_do_not_keep_a_job_from_its_end(world: World) -> None:
    ref, _ = await world.submitted("sh", "-c", "exit 9")
    world.ahead(60)
    world.aborting(("ListTasks", grpc.StatusCode.INTERNAL, "no"))
    for _ in range(2):
        assert (await world.provider.observe([ref]))[ref.external_name].phase is None
        world.later(details.UNREADABLE_SECONDS / 2)
    assert (await world.seen(ref)).phase is Phase.FAILED


@pytest.mark.parametrize("code", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT])
async def test_jobs_whose_tasks_may_not_be_read_end_with_what_their_events_tell(
    world: World, caplog: pytest.LogCaptureFixture, code: grpc.StatusCode
) -> None:
    refs = [(await world.submitted("sh", "-c", "exit 9"))[0] for _ in range(3)]
    world.ahead(60)
    world.aborting(("ListTasks", code, "no"))
    for _ in range(3):
        seen = await world.provider.observe(refs)
        assert {(one.phase, one.exit_code) for one in seen.values()} == {(Phase.FAILED, 9)}  # their events name it
    assert world.server.calls["ListTasks"] == 3
    assert len([record for record in caplog.records if "may not be read" in record.getMessage()]) == 1
    world.later(details.AGAIN_SECONDS)
    await world.provider.observe(refs)
    assert world.server.calls["ListTasks"] == 6


async def test_a_round_asks_for_so_many_tasks_only_and_the_next_for_the_others(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    monkeypatch.setattr(details, "CALLS_A_ROUND", 20)
    refs = [(await world.submitted("sh", "-c", "exit 9"))[0] for _ in range(50)]
    world.ahead(60)
    told = []
    for _ in range(4):
        seen = await world.provider.observe(refs)
        assert len(seen) == 50
        told.append(sum(one.exit_code == 9 for one in seen.values()))
    assert told == [20, 40, 50, 50]
    assert world.server.calls["ListTasks"] == 50


async def test_where_no_tasks_can_be_read_a_round_does_not_try_them_all(world: World) -> None:
    refs = [(await world.submitted("sh", "-c", "exit 9"))[0] for _ in range(50)]
    world.ahead(60)
    world.aborting(("ListTasks", grpc.StatusCode.INTERNAL, "no"))
    assert {one.phase for one in (await world.provider.observe(refs)).values()} == {None}
    assert world.server.calls["ListTasks"] < 2 * details.FAILURES_A_ROUND + 2
    refused = world.server.calls["ListTasks"]
    await world.provider.observe(refs)
    assert world.server.calls["ListTasks"] > refused


async def test_few_jobs_that_cannot_be_read_singly_are_in_doubt_and_many_fail_the_round(world: World) -> None:
    here, _ = await world.submitted("sleep", "60")

    def far() -> JobRef:
        ref = ref_of(request_for())
        path = f"projects/{PROJECT}/locations/europe-west1/jobs/{ref.external_name}"
        return msgspec.structs.replace(ref, resource_path=path)

    for code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INVALID_ARGUMENT):
        world.aborting(("GetJob", code, "no"))
        assert set(await world.provider.observe([far(), here])) == {here.external_name}
    world.aborting(("GetJob", grpc.StatusCode.UNAVAILABLE, "no"))
    with pytest.raises(Unavailable):
        await world.provider.observe([here, *(far() for _ in range(30))])


# --- tasks that come late ------------------------------------------------------------------------------------


async def test_the_end_of_a_job_that_ran_waits_for_its_tasks(world: World) -> None:
    world.service.tasks_late_seconds = 1000
    world.service.omitted = {"events"}
    ref, _ = await world.submitted("sh", "-c", "sleep 1; exit 9")
    world.ahead(60)
    for _ in range(2):
        assert (await world.seen(ref)).phase is None
        world.later(details.LATE_SECONDS / 3)
    world.ahead(1000)
    seen = await world.seen(ref)
    assert (seen.phase, seen.exit_code) == (Phase.FAILED, 9)


@pytest.mark.parametrize(
    "omitted", [{"events"}, {"events", "counts"}, {"events", "run-duration"}, {"events", "run-duration", "counts"}]
)
async def test_and_it_waits_for_no_more_than_half_a_minute(world: World, omitted: Any) -> None:
    world.service.tasks_late_seconds = 1e6
    world.service.omitted = omitted
    ref, _ = await world.submitted("sh", "-c", "sleep 1; exit 9")
    world.ahead(60)
    assert (await world.provider.get(ref)).phase is None  # the time begins, whoever looked first
    world.later(details.LATE_SECONDS - 1)
    assert (await world.seen(ref)).phase is None
    world.later(1)
    seen = await world.seen(ref)
    assert (seen.phase, seen.exit_code, seen.reason) == (Phase.FAILED, None, reasons.FAILED)
    asked = world.server.calls["ListTasks"]
    await world.seen(ref)
    assert world.server.calls["ListTasks"] == asked
    world.ahead(1e6)
    world.later(details.AGAIN_SECONDS)
    assert (await world.seen(ref)).exit_code == 9, "what came late is no truth for ever"


async def test_an_end_whose_exit_code_the_jobs_own_events_tell_waits_for_no_tasks(world: World) -> None:
    world.service.tasks_late_seconds = 1e6
    ref, _ = await world.submitted("sh", "-c", "sleep 1; exit 9")
    world.ahead(60)
    seen = await world.seen(ref)
    assert (seen.phase, seen.exit_code, seen.reason) == (Phase.FAILED, 9, reasons.NON_ZERO_EXIT)


async def test_a_service_without_that_method_is_not_waited_for(world: World) -> None:
    world.service.omitted = {"events"}
    world.aborting(("ListTasks", grpc.StatusCode.UNIMPLEMENTED, "Method not found!"))
    ref, _ = await world.submitted("sh", "-c", "sleep 1; exit 9")
    world.ahead(60)
    seen = await world.seen(ref)
    assert (seen.phase, seen.exit_code, seen.reason) == (Phase.FAILED, None, reasons.FAILED)


async def test_a_job_that_failed_before_it_ran_waits_for_no_tasks(world: World) -> None:
    world.service.tasks_late_seconds = 1e6
    ref, _ = await world.submitted("true", machine_type=UNKNOWN_MACHINE)
    world.ahead(1)
    assert (await world.seen(ref)).phase is Phase.FAILED


async def test_a_state_that_is_not_known_leaves_the_phase_as_it_was_and_is_logged_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    ref, _ = await world.submitted("sleep", "60")
    world.ahead(1)
    await world.provider.observe([ref])
    world.service._ever[0]._message.status.state = 99
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert (await world.seen(ref)).phase is None
    assert len([record for record in caplog.records if "99" in record.getMessage()]) == 1


# --- what happened to a job ----------------------------------------------------------------------------------


async def test_a_preempted_attempt_is_a_retry_and_its_code_is_not_that_of_the_success(world: World) -> None:
    ref, _ = await world.submitted("sleep", "30", spot=True, backoff_limit=2)
    world.ahead(10)
    world.service.preempt(ref.external_name)
    world.ahead(60)
    seen = await world.seen(ref)
    assert (seen.phase, seen.exit_code, seen.retries, seen.reason) == (Phase.COMPLETED, 0, 1, None)


async def test_retries_of_a_spot_job_are_counted_where_the_service_names_no_vms(world: World) -> None:
    world.service.omitted = {"instances", "events"}
    request = request_for(("sleep", "30"), spot=True, backoff_limit=2)
    await world.provider.submit(request)
    world.ahead(10)
    world.service.preempt(request.external_name)
    world.ahead(60)
    ref = msgspec.structs.replace(ref_of(request), spec=request.spec)
    assert (await world.seen(ref)).retries == 1


async def test_a_spot_job_without_retries_is_retried_when_preempted_and_only_then(world: World) -> None:
    failing, _ = await world.submitted("sh", "-c", "sleep 5; exit 3", spot=True)
    taken, _ = await world.submitted("sleep", "30", spot=True)
    world.ahead(10)
    world.service.preempt(taken.external_name)
    assert (await world.seen(failing)).retries == 0
    world.ahead(60)
    seen = await world.seen(taken)
    assert (seen.phase, seen.retries) == (Phase.COMPLETED, 1)


async def test_a_job_preempted_to_the_last_retry_says_so() -> None:
    async with World(preempted=1.0).running() as world:
        ref, _ = await world.submitted("sleep", "30", spot=True, backoff_limit=1)
        world.ahead(100)
        seen = await world.seen(ref)
        assert (seen.phase, seen.reason, seen.exit_code, seen.retries) == (Phase.FAILED, reasons.PREEMPTED, None, 1)
        assert "50001" in seen.message


async def test_a_job_that_ran_too_long_exceeded_its_deadline(world: World) -> None:
    ref, _ = await world.submitted("sleep", "9999")
    world.ahead(4000)
    seen = await world.seen(ref)
    assert (seen.phase, seen.reason, seen.exit_code) == (Phase.FAILED, reasons.DEADLINE_EXCEEDED, None)


async def test_a_job_that_failed_before_it_had_tasks_has_its_reason_from_its_events(world: World) -> None:
    ref, _ = await world.submitted("true", machine_type=UNKNOWN_MACHINE)
    world.ahead(1)
    seen = await world.seen(ref)
    assert (seen.phase, seen.exit_code, seen.reason) == (Phase.FAILED, None, reasons.FAILED)
    assert "machine type" in seen.message


@pytest.mark.parametrize(
    ("machine", "phase", "reason", "words"),
    [
        (NO_QUOTA_MACHINE, Phase.PENDING, reasons.QUOTA_EXCEEDED, "Quota 'CPUS' exceeded"),
        (NO_CAPACITY_MACHINE, Phase.PENDING, reasons.WAITING_FOR_CAPACITY, "ZONE_RESOURCE_POOL_EXHAUSTED"),
        (NO_QUOTA_SCHEDULED_MACHINE, Phase.SCHEDULED, reasons.QUOTA_EXCEEDED, "Quota 'CPUS' exceeded"),
        (
            NO_CAPACITY_SCHEDULED_MACHINE,
            Phase.SCHEDULED,
            reasons.WAITING_FOR_CAPACITY,
            "ZONE_RESOURCE_POOL_EXHAUSTED",
        ),
    ],
)
async def test_a_job_that_waits_says_why_in_the_services_words(
    world: World, machine: str, phase: Phase, reason: str, words: str
) -> None:
    ref, _ = await world.submitted("true", machine_type=machine)
    world.ahead(600)
    seen = await world.seen(ref)
    assert (seen.phase, seen.waits_reason) == (phase, reason)
    assert words in seen.waits_because


async def test_a_job_of_another_region_is_asked_for_where_it_is(world: World) -> None:
    path = f"projects/{PROJECT}/locations/europe-west4/jobs/n"
    assert world.provider._path(JobRef(external_name="n", uid="u", resource_path=path)) == path
    for odd in (None, "local/here/jobs/n", f"projects/{PROJECT}/locations/europe-west4/jobs/other"):
        ref = JobRef(external_name="n", uid="u", resource_path=odd)
        assert world.provider._path(ref) == f"projects/{PROJECT}/locations/us-central1/jobs/n"
