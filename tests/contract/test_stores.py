"""The laws of `ports.JobStore`. Every store, and every stand-in, passes this file: add it to `DATABASES`."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from controller.domain import names, reasons
from controller.domain.errors import Invalid, Permanent
from controller.domain.phases import TERMINAL, Phase
from controller.domain.records import JobRow, Recorded, Transition
from controller.ports import JobStore, RecordFailure
from tests.contract.databases import cosmosdb, dynamodb, postgres, spanner, sqlite

DATABASES = {
    "cosmosdb": cosmosdb.fresh,
    "dynamodb": dynamodb.fresh,
    "postgres": postgres.fresh,
    "spanner": spanner.fresh,
    "sqlite": sqlite.fresh,
}

NOON = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
UID = "11111111-2222-4333-8444-555555555555"
OTHER_UID = "99999999-2222-4333-8444-555555555555"
TENANT, JOB = "tenant-1", "job-1"

OpenStore = Callable[..., Awaitable[JobStore]]
"""Its keywords are those of the store's constructor."""


@pytest.fixture(params=sorted(DATABASES))
async def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenStore]:
    """Opens the same database again and again, as several processes do."""
    async with DATABASES[request.param](tmp_path) as database:
        opened: list[JobStore] = []

        async def open_one(**more: object) -> JobStore:
            store = database.store(**more)
            await store.open()
            opened.append(store)
            return store

        yield open_one
        for store in opened:
            await store.close()


@pytest.fixture
async def store(open_store: OpenStore) -> JobStore:
    return await open_store()


def row(status: Phase = Phase.PENDING, *, job_id: str = JOB, tenant_id: str = TENANT, **more: object) -> JobRow:
    fields = {"created_at": NOON, "updated_at": NOON, "image_uri": "busybox", **more}
    return JobRow(tenant_id=tenant_id, job_id=job_id, status=status, **fields)


def transition(
    number: int,
    to: JobRow,
    *,
    from_phase: Phase | None = None,
    uid: str = UID,
    at: datetime = NOON,
    reason: str = "Why",
    destination: str | None = None,
) -> Transition:
    return Transition(
        uid=uid, number=number, from_phase=from_phase, row=to, at=at, reason=reason, destination=destination
    )


def life(*phases: Phase, uid: str = UID, job_id: str = JOB, **facts: object) -> list[Transition]:
    """The transitions of a job that goes through those phases, a second each, beginning with number 0."""
    out: list[Transition] = []
    before: Phase | None = None
    for number, phase in enumerate(phases):
        at = NOON + timedelta(seconds=number)
        to = row(phase, job_id=job_id, updated_at=at, **facts)
        out.append(transition(number, to, from_phase=before, uid=uid, at=at, reason=f"R{number}"))
        before = phase
    return out


async def record_one(store: JobStore, one: Transition) -> Recorded | RecordFailure:
    [result] = await store.record([one])
    return result


FULL = row(
    Phase.RUNNING,
    commands=("sh", "-c", "echo \u00fc; exit 3"),
    scheduled_at=NOON + timedelta(seconds=1),
    started_at=NOON + timedelta(seconds=2),
    completed_at=NOON + timedelta(seconds=3),
    retry_count=1,
    max_retries=5,
    error_message="went 'wrong'",
    resource_path="local/here/jobs/x",
    task_group="group",
    env_vars_json='{"A":"1"}',
    name="nice name",
    resource_profile="small",
    machine_type="n2",
    boot_disk_size_gb=50,
    use_spot_vms=False,
    service_account="sa@x",
    service_tier="SIMPLE",
    assigned_service="CLOUD_BATCH",
    memory_mib=2048,
    cpu_millis=1000,
    max_run_duration_seconds=1800,
)


async def test_every_field_of_a_row_comes_back_as_it_was_written(store: JobStore) -> None:
    assert all(getattr(FULL, field) not in (None, ()) for field in JobRow.__struct_fields__)
    await store.record([transition(0, FULL)])
    assert await store.get_job(TENANT, JOB) == FULL


async def test_a_row_with_nothing_but_the_necessary_comes_back_as_it_was_written(store: JobStore) -> None:
    bare = JobRow(tenant_id=TENANT, job_id=JOB, status=Phase.PENDING, created_at=NOON, updated_at=NOON)
    await store.record([transition(0, bare)])
    assert await store.get_job(TENANT, JOB) == bare


async def test_an_unknown_job_is_none_and_so_is_another_tenants(store: JobStore) -> None:
    await store.record(life(Phase.PENDING))
    assert await store.get_job(TENANT, "nobody") is None
    assert await store.get_job("tenant-2", JOB) is None


async def test_a_job_goes_through_its_phases_and_leaves_an_audit_row_for_each(store: JobStore) -> None:
    steps = life(Phase.PENDING, Phase.SCHEDULED, Phase.RUNNING, Phase.COMPLETED)
    results = await store.record(steps)
    assert list(results) == [Recorded(number=n, phase=step.row.status) for n, step in enumerate(steps)]
    audit = await store.transitions(TENANT, JOB)
    assert [a.transition_id for a in audit] == [names.transition_id(UID, n) for n in range(4)]
    assert [a.from_status for a in audit] == [None, "PENDING", "SCHEDULED", "RUNNING"]
    assert [a.to_status for a in audit] == ["PENDING", "SCHEDULED", "RUNNING", "COMPLETED"]
    assert [a.transitioned_at for a in audit] == [step.at for step in steps]
    assert [a.reason for a in audit] == ["R0", "R1", "R2", "R3"]


async def test_the_first_transition_written_need_not_be_number_0(store: JobStore) -> None:
    assert await record_one(store, transition(2, row(Phase.RUNNING))) == Recorded(number=2, phase=Phase.RUNNING)
    assert len(await store.transitions(TENANT, JOB)) == 1


async def test_writing_everything_again_changes_nothing(store: JobStore) -> None:
    steps = life(Phase.PENDING, Phase.RUNNING, Phase.FAILED, error_message="no")
    first = await store.record(steps)
    before = (await store.get_job(TENANT, JOB), await store.transitions(TENANT, JOB))
    again = await store.record(steps)
    assert again[-1] == first[-1]
    assert (await store.get_job(TENANT, JOB), await store.transitions(TENANT, JOB)) == before
    assert len(await store.list_notifications(TENANT, limit=10)) == 1


async def test_the_same_transition_may_add_facts_that_were_missing(store: JobStore) -> None:
    await store.record([transition(0, row())])
    richer = row(env_vars_json="{}", commands=("ls",), updated_at=NOON + timedelta(hours=1))
    assert await record_one(store, transition(0, richer)) == Recorded(number=0, phase=Phase.PENDING)
    assert await store.get_job(TENANT, JOB) == row(env_vars_json="{}", commands=("ls",))


async def test_the_same_transition_never_removes_or_changes_a_fact(store: JobStore) -> None:
    await store.record([transition(1, FULL)])
    await store.record([transition(1, row(Phase.RUNNING, name="other", retry_count=9, max_retries=0, commands=("x",)))])
    assert await store.get_job(TENANT, JOB) == FULL


async def test_the_same_number_with_another_phase_changes_nothing(store: JobStore) -> None:
    await store.record([transition(1, row(Phase.RUNNING))])
    stale = transition(1, row(Phase.FAILED, error_message="stale"))
    assert await record_one(store, stale) == Recorded(number=1, phase=Phase.RUNNING)
    assert await store.get_job(TENANT, JOB) == row(Phase.RUNNING)
    assert await store.list_notifications(TENANT, limit=10) == []


async def test_a_newer_transition_keeps_the_facts_that_it_does_not_mention(store: JobStore) -> None:
    await store.record([transition(0, FULL)])
    later = NOON + timedelta(minutes=1)
    await store.record([transition(1, row(Phase.COMPLETED, created_at=later, updated_at=later), at=later)])
    expected = msgspec.structs.replace(FULL, status=Phase.COMPLETED, updated_at=later, max_retries=3)
    assert await store.get_job(TENANT, JOB) == expected


async def test_an_older_transition_is_dropped_and_the_caller_hears_the_truth(store: JobStore) -> None:
    await store.record(life(Phase.PENDING, Phase.SCHEDULED, Phase.RUNNING))
    before = (await store.get_job(TENANT, JOB), await store.transitions(TENANT, JOB))
    stale = transition(1, row(Phase.SCHEDULED, name="stale"))
    assert await record_one(store, stale) == Recorded(number=2, phase=Phase.RUNNING)
    assert (await store.get_job(TENANT, JOB), await store.transitions(TENANT, JOB)) == before


async def test_the_audit_rows_are_a_path_whatever_the_transitions_say(store: JobStore) -> None:
    """What Kubernetes says of the number or the phase may have been edited by hand."""
    await store.record(life(Phase.PENDING, Phase.RUNNING))
    for number in (1, 2, 40):
        truth = await record_one(store, transition(number, row(Phase.RUNNING), from_phase=Phase.PENDING))
        assert truth == Recorded(number=1, phase=Phase.RUNNING)
    await record_one(store, transition(2, row(Phase.COMPLETED), from_phase=Phase.PENDING))
    path = [(one.from_status, one.to_status) for one in await store.transitions(TENANT, JOB)]
    assert path == [(None, "PENDING"), ("PENDING", "RUNNING"), ("RUNNING", "COMPLETED")]


@pytest.mark.parametrize("end", sorted(TERMINAL))
async def test_a_terminal_phase_is_never_left(store: JobStore, end: Phase) -> None:
    await store.record(life(Phase.PENDING, end))
    before = (await store.get_job(TENANT, JOB), await store.transitions(TENANT, JOB))
    for phase in Phase:
        assert await record_one(store, transition(7, row(phase, name="late"))) == Recorded(number=1, phase=end)
    assert (await store.get_job(TENANT, JOB), await store.transitions(TENANT, JOB)) == before


async def test_retries_are_those_that_the_service_counts_and_no_later_write_takes_them_away(store: JobStore) -> None:
    await store.record(life(Phase.PENDING, Phase.RUNNING, Phase.PENDING))
    assert (await store.get_job(TENANT, JOB)).retry_count == 0, "its machine may have been taken back"
    await store.record([transition(3, row(Phase.RUNNING, retry_count=1))])
    assert (await store.get_job(TENANT, JOB)).retry_count == 1
    await store.record([transition(4, row(Phase.PENDING, retry_count=0))])
    assert (await store.get_job(TENANT, JOB)).retry_count == 1
    await store.record([transition(5, row(Phase.RUNNING, retry_count=5))])
    job = await store.get_job(TENANT, JOB)
    assert (job.status, job.retry_count) == (Phase.RUNNING, 5)


async def test_the_end_of_a_job_writes_one_notification(store: JobStore) -> None:
    end = NOON + timedelta(minutes=5)
    facts = {"name": "n", "service_tier": "SIMPLE", "assigned_service": "CLOUD_RUN_JOB", "error_message": "exit 3"}
    await store.record(life(Phase.PENDING, Phase.RUNNING))
    assert await store.list_notifications(TENANT, limit=10) == []
    await store.record([transition(2, row(Phase.FAILED, completed_at=end, **facts))])
    [note] = await store.list_notifications(TENANT, limit=10)
    assert note.notification_id == names.notification_id(UID)
    assert (note.job_id, note.job_name, note.final_status) == (JOB, "n", "FAILED")
    assert (note.service_tier, note.assigned_service) == ("SIMPLE", "CLOUD_RUN_JOB")
    assert (note.occurred_at, note.error_message, note.is_read) == (end, "exit 3", False)


async def test_a_missing_tenant_is_created_with_empty_names_and_an_existing_one_left_alone(store: JobStore) -> None:
    assert await store.get_tenant(TENANT) is None
    await store.record(life(Phase.PENDING))
    tenant = await store.get_tenant(TENANT)
    assert (tenant.user_email, tenant.oauth_provider, tenant.oauth_user_id) == ("", "", "")
    assert tenant.created_at == tenant.updated_at == NOON
    await store.record([transition(0, row(job_id="job-2"), uid=OTHER_UID, at=NOON + timedelta(days=1))])
    assert await store.get_tenant(TENANT) == tenant


async def test_one_poisoned_row_fails_alone(store: JobStore) -> None:
    good, also_good = life(Phase.PENDING), life(Phase.PENDING, uid=OTHER_UID, job_id="job-3")
    poison = transition(0, row(job_id="job-2", memory_mib=2**70, env_vars_json="secret"), uid=OTHER_UID[::-1])
    results = await store.record([*good, poison, *also_good])
    assert [type(result) for result in results] == [Recorded, RecordFailure, Recorded]
    error = results[1].error
    assert isinstance(error, Permanent)
    assert error.reason == reasons.RECORD_REJECTED
    assert "secret" not in str(error)
    assert str(2**70) not in str(error)
    assert await store.get_job(TENANT, "job-2") is None
    assert await store.transitions(TENANT, "job-2") == []
    assert await store.get_job(TENANT, JOB) is not None
    assert await store.get_job(TENANT, "job-3") is not None


async def test_the_record_of_another_object_is_never_overwritten(store: JobStore) -> None:
    await store.record(life(Phase.PENDING, Phase.COMPLETED))
    before = await store.get_job(TENANT, JOB)
    for number in range(3):
        result = await record_one(store, transition(number, row(name="impostor"), uid=OTHER_UID))
        assert isinstance(result, RecordFailure)
        assert result.error.reason == reasons.RECORD_REJECTED
    assert await store.get_job(TENANT, JOB) == before


async def test_two_processes_that_write_the_same_transitions_write_them_once(open_store: OpenStore) -> None:
    stores = [await open_store() for _ in range(3)]
    steps = life(Phase.PENDING, Phase.RUNNING, Phase.COMPLETED)
    results = await asyncio.gather(*(store.record(steps) for store in stores for _ in range(5)))
    assert {tuple(result)[-1] for result in results} == {Recorded(number=2, phase=Phase.COMPLETED)}
    assert len(await stores[0].transitions(TENANT, JOB)) == 3
    assert len(await stores[1].list_notifications(TENANT, limit=10)) == 1


async def test_what_one_process_recorded_another_reads(open_store: OpenStore) -> None:
    api, controller = await open_store(), await open_store()
    await controller.record(life(Phase.PENDING, Phase.RUNNING))
    assert (await api.get_job(TENANT, JOB)).status is Phase.RUNNING


async def test_the_record_survives_closing(open_store: OpenStore) -> None:
    first = await open_store()
    await first.record(life(Phase.PENDING))
    await first.close()
    assert await (await open_store()).get_job(TENANT, JOB) == row()


async def test_nothing_to_record_is_no_error(store: JobStore) -> None:
    assert list(await store.record([])) == []


async def test_deleting_removes_the_row_its_audit_rows_and_its_notification_only(store: JobStore) -> None:
    await store.record(life(Phase.PENDING, Phase.COMPLETED))
    await store.record(life(Phase.PENDING, Phase.COMPLETED, uid=OTHER_UID, job_id="job-2"))
    assert await store.delete_job(TENANT, JOB, uid=UID) is True
    assert await store.get_job(TENANT, JOB) is None
    assert await store.transitions(TENANT, JOB) == []
    assert [job.job_id for job in (await store.list_jobs(TENANT)).jobs] == ["job-2"]
    assert [note.job_id for note in await store.list_notifications(TENANT, limit=10)] == ["job-2"]
    assert len(await store.transitions(TENANT, "job-2")) == 2


async def test_deleting_what_is_not_there_is_false(store: JobStore) -> None:
    await store.record(life(Phase.PENDING))
    assert await store.delete_job("tenant-2", JOB, uid=OTHER_UID) is False
    assert await store.delete_job(TENANT, JOB, uid=UID) is True
    assert await store.delete_job(TENANT, JOB, uid=UID) is False


async def test_deleting_leaves_the_row_of_another_object(store: JobStore) -> None:
    """Of the same job id: made anew, between the look of who deletes and the deletion."""
    await store.record(life(Phase.PENDING))
    await store.delete_job(TENANT, JOB, uid=UID)
    await store.record(life(Phase.PENDING, Phase.COMPLETED, uid=OTHER_UID))
    before = (await store.get_job(TENANT, JOB), await store.transitions(TENANT, JOB))
    for uid in (UID, "33333333-2222-4333-8444-555555555555", ""):
        assert await store.delete_job(TENANT, JOB, uid=uid) is False
    assert (await store.get_job(TENANT, JOB), await store.transitions(TENANT, JOB)) == before
    assert len(await store.list_notifications(TENANT, limit=10)) == 1
    assert await record_one(store, transition(1, row(Phase.COMPLETED), uid=OTHER_UID)) == Recorded(
        number=1, phase=Phase.COMPLETED
    )


async def test_the_owner_is_the_object_whose_row_it_is(store: JobStore) -> None:
    assert await store.owner(TENANT, JOB) is None
    await store.record(life(Phase.PENDING, Phase.COMPLETED))
    assert await store.owner(TENANT, JOB) == UID
    assert await store.owner("tenant-2", JOB) is None
    await store.delete_job(TENANT, JOB, uid=UID)
    assert await store.owner(TENANT, JOB) is None
    await store.record(life(Phase.PENDING, uid=OTHER_UID))
    assert await store.owner(TENANT, JOB) == OTHER_UID


async def assert_deleted(store: JobStore, one: Transition) -> None:
    result = await record_one(store, one)
    assert isinstance(result, RecordFailure)
    assert isinstance(result.error, Permanent)
    assert result.error.reason == reasons.JOB_DELETED


async def test_a_deleted_object_is_never_recorded_again(open_store: OpenStore) -> None:
    """It came back with an older etcd, or its first transition was on its way when it was deleted."""
    store, another = await open_store(), await open_store()
    await store.record(life(Phase.PENDING, Phase.RUNNING))
    await store.delete_job(TENANT, JOB, uid=UID)
    for one in (*life(Phase.PENDING), transition(1, row(Phase.RUNNING)), transition(7, row(Phase.FAILED))):
        await assert_deleted(another, one)
    assert await store.get_job(TENANT, JOB) is None
    assert await store.transitions(TENANT, JOB) == []
    assert (await store.list_jobs(TENANT)).jobs == ()
    assert await store.list_notifications(TENANT, limit=10) == []


async def test_a_deletion_is_remembered_where_there_was_no_row_yet(store: JobStore) -> None:
    assert await store.delete_job(TENANT, JOB, uid=UID) is False
    await assert_deleted(store, transition(0, row()))
    assert await store.get_job(TENANT, JOB) is None


async def test_a_deleted_job_harms_no_other_in_its_group(store: JobStore) -> None:
    await store.delete_job(TENANT, JOB, uid=UID)
    good = life(Phase.PENDING, uid=OTHER_UID, job_id="job-2")
    results = await store.record([*life(Phase.PENDING, Phase.RUNNING), *good])
    assert [type(result) for result in results] == [RecordFailure, RecordFailure, Recorded]


async def test_a_job_id_may_be_used_and_deleted_again_and_every_object_is_remembered(store: JobStore) -> None:
    uids = [f"{n}0000000-2222-4333-8444-555555555555" for n in range(1, 5)]
    for uid in uids:
        await store.record(life(Phase.PENDING, Phase.COMPLETED, uid=uid, name=uid))
        assert (await store.get_job(TENANT, JOB)).name == uid
        assert await store.delete_job(TENANT, JOB, uid=uid) is True
    for uid in uids:
        await assert_deleted(store, transition(0, row(), uid=uid))
    await store.record(life(Phase.PENDING, uid=UID))
    assert await store.delete_job(TENANT, JOB, uid=uids[0]) is False
    for uid in uids:
        await assert_deleted(store, transition(0, row(), uid=uid))


async def test_a_deletion_and_a_first_transition_at_once_never_leave_a_row(open_store: OpenStore) -> None:
    """Whichever comes first: the row is removed with the deletion, or never written."""
    api, controller = await open_store(), await open_store()
    await controller.record([transition(0, row(job_id="other"), uid=OTHER_UID)])  # the tenant
    for n in range(10):
        uid, job_id = f"{n:08}-2222-4333-8444-555555555555", f"race-{n}"
        new = transition(0, row(job_id=job_id), uid=uid)
        await asyncio.gather(controller.record([new]), api.delete_job(TENANT, job_id, uid=uid))
        await assert_deleted(controller, new)
        assert await api.get_job(TENANT, job_id) is None
    assert [job.job_id for job in (await api.list_jobs(TENANT)).jobs] == ["other"]


async def test_without_tombstones_a_deleted_row_comes_back_with_the_next_transition(
    open_store: OpenStore,
) -> None:
    store = await open_store(tombstone_ttl_seconds=0)
    await store.record(life(Phase.PENDING))
    assert await store.delete_job(TENANT, JOB, uid=UID) is True
    assert await store.owner(TENANT, JOB) is None
    assert await record_one(store, transition(1, row(Phase.RUNNING))) == Recorded(number=1, phase=Phase.RUNNING)


async def test_the_first_destination_is_kept_and_told_ever_after(open_store: OpenStore) -> None:
    store, another = await open_store(), await open_store()
    [first, second, third] = life(Phase.PENDING, Phase.RUNNING, Phase.COMPLETED)
    assert (await record_one(store, first)).destination is None
    here = json.dumps({"queue": "\u00fc'\"" + "x" * 1000})
    sent = msgspec.structs.replace(first, destination=here)
    assert await record_one(store, sent) == Recorded(number=0, phase=Phase.PENDING, destination=here)
    moved = msgspec.structs.replace(first, destination="elsewhere")
    assert (await record_one(another, moved)).destination == here
    assert (await record_one(another, msgspec.structs.replace(second, destination="elsewhere"))).destination == here
    assert await record_one(store, third) == Recorded(number=2, phase=Phase.COMPLETED, destination=here)
    assert len(await store.transitions(TENANT, JOB)) == 3


async def test_a_first_transition_may_have_its_destination(store: JobStore) -> None:
    steps = [msgspec.structs.replace(one, destination="here") for one in life(Phase.PENDING, Phase.RUNNING)]
    steps[1] = msgspec.structs.replace(steps[1], destination="elsewhere")
    assert [result.destination for result in await store.record(steps)] == ["here", "here"]
    assert (await record_one(store, steps[0])).destination == "here"


async def test_an_ended_job_keeps_to_where_it_was_sent(store: JobStore) -> None:
    await store.record(life(Phase.PENDING, Phase.FAILED))
    late = transition(1, row(Phase.FAILED), destination="here")
    assert (await record_one(store, late)).destination == "here"


async def test_the_path_is_told_with_every_answer(store: JobStore) -> None:
    await store.record([transition(1, row(Phase.RUNNING, resource_path="p/1"))])
    stale = await record_one(store, transition(0, row(resource_path="p/2")))
    assert stale == Recorded(number=1, phase=Phase.RUNNING, resource_path="p/1")


async def fill(store: JobStore, count: int) -> list[str]:
    """Jobs of which always two have the same creation time; their ids, newest first, as the store must list them."""
    steps = []
    for n in range(count):
        created = NOON + timedelta(seconds=n // 2)
        status = Phase.RUNNING if n % 3 == 0 else Phase.PENDING
        steps.append(transition(0, row(status, job_id=f"job-{n:03}", created_at=created), uid=f"uid-{n}"))
    await store.record(steps)
    return [step.row.job_id for step in reversed(steps)]


async def test_jobs_are_listed_newest_first_all_of_them_without_a_page_size(store: JobStore) -> None:
    expected = await fill(store, 31)
    await store.record([transition(0, row(tenant_id="tenant-2"), uid=OTHER_UID)])
    page = await store.list_jobs(TENANT)
    assert [job.job_id for job in page.jobs] == expected
    assert page.next_token == ""


@pytest.mark.parametrize("page_size", [1, 3, 10, 31, 100])
async def test_pages_together_are_the_whole_list_whatever_their_size(store: JobStore, page_size: int) -> None:
    expected = await fill(store, 31)
    seen: list[str] = []
    token = ""
    while True:
        page = await store.list_jobs(TENANT, page_size=page_size, page_token=token)
        assert 0 < len(page.jobs) <= page_size
        seen += [job.job_id for job in page.jobs]
        token = page.next_token
        if not token:
            break
    assert seen == expected


async def test_pages_stay_stable_while_jobs_are_added_and_removed(store: JobStore) -> None:
    expected = await fill(store, 10)
    first = await store.list_jobs(TENANT, page_size=4)
    await store.record([transition(0, row(job_id="newest", created_at=NOON + timedelta(days=1)), uid=OTHER_UID)])
    await store.delete_job(TENANT, expected[3], uid="uid-6")  # the very row that the token names
    rest = await store.list_jobs(TENANT, page_size=100, page_token=first.next_token)
    assert [job.job_id for job in rest.jobs] == expected[4:]


async def test_lists_are_filtered_by_status_and_creation_time(store: JobStore) -> None:
    await fill(store, 12)
    since = NOON + timedelta(seconds=2)
    running = await store.list_jobs(TENANT, status=Phase.RUNNING)
    recent = await store.list_jobs(TENANT, created_after=since)
    both = await store.list_jobs(TENANT, status=Phase.RUNNING, created_after=since, page_size=1)
    assert [job.job_id for job in running.jobs] == ["job-009", "job-006", "job-003", "job-000"]
    assert [job.job_id for job in recent.jobs] == [f"job-{n:03}" for n in range(11, 5, -1)]
    assert [job.job_id for job in both.jobs] == ["job-009"]
    rest = await store.list_jobs(
        TENANT, status=Phase.RUNNING, created_after=since, page_size=5, page_token=both.next_token
    )
    assert [job.job_id for job in rest.jobs] == ["job-006"]


async def test_an_empty_list_is_an_empty_page(store: JobStore) -> None:
    page = await store.list_jobs("nobody", page_size=5)
    assert (page.jobs, page.next_token) == ((), "")


@pytest.mark.parametrize("token", ["x", "????", "e30", "WzEsMl0", "\u00fc"])
async def test_a_bad_page_token_is_invalid(store: JobStore, token: str) -> None:
    with pytest.raises(Invalid, match="page_token"):
        await store.list_jobs(TENANT, page_size=5, page_token=token)


async def test_notifications_come_newest_first_and_are_counted_until_read(store: JobStore) -> None:
    for n in range(3):
        end = row(Phase.COMPLETED, job_id=f"job-{n}", completed_at=NOON + timedelta(minutes=n))
        await store.record([transition(1, end, uid=f"uid-{n}")])
    notes = await store.list_notifications(TENANT, limit=2)
    assert [note.job_id for note in notes] == ["job-2", "job-1"]
    assert await store.count_unread(TENANT) == 3
    assert await store.ack_notification(TENANT, notes[0].notification_id) is True
    assert await store.ack_notification(TENANT, notes[0].notification_id) is True
    assert await store.count_unread(TENANT) == 2
    assert [note.is_read for note in await store.list_notifications(TENANT, limit=10)] == [True, False, False]


async def test_only_the_tenants_own_notification_can_be_acknowledged(store: JobStore) -> None:
    await store.record(life(Phase.PENDING, Phase.COMPLETED))
    assert await store.ack_notification("tenant-2", names.notification_id(UID)) is False
    assert await store.ack_notification(TENANT, "nothing") is False
    assert await store.count_unread("tenant-2") == 0
    assert await store.count_unread(TENANT) == 1


@pytest.mark.parametrize(
    "other", ["x/../job:job-1", "../docs/tenant", "x/../../docs/tenant", "a#b", "a?b", "a\\b", "%2e%2e"]
)
async def test_an_id_that_is_a_path_acknowledges_nothing(store: JobStore, other: str) -> None:
    """Callers send what they like: a path made of it could be that of another record."""
    await store.record(life(Phase.PENDING, Phase.COMPLETED))
    assert await store.ack_notification(TENANT, other) is False


async def test_writing_the_end_again_does_not_make_it_unread(store: JobStore) -> None:
    steps = life(Phase.PENDING, Phase.COMPLETED)
    await store.record(steps)
    await store.ack_notification(TENANT, names.notification_id(UID))
    await store.record(steps)
    assert await store.count_unread(TENANT) == 0
