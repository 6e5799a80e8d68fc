"""Comes last (`conftest.py`): what all tests together have left in Kubernetes, in the record, and in the logs."""

import asyncio
from collections import defaultdict
from pathlib import Path

import pytest

from controller.domain.phases import TERMINAL
from dev.chaos.ledgers import path_faults
from tests.cluster import rights
from tests.cluster.installation import Installation
from tests.cluster.rights import Call
from tests.cluster.test_api import SECRET

MODULES = {path.name for path in Path(__file__).parent.glob("test_*.py")}


async def until_deleted(jennah: Installation) -> None:
    """Until no object is being deleted: the samples' deletion was not waited for, and ends some of their jobs."""
    async with asyncio.timeout(jennah.options.limit):
        for namespace in jennah.job_namespaces:
            while [job for job in await jennah.jobs(namespace) if job.is_being_deleted]:
                await asyncio.sleep(0.1)


async def test_the_record_equals_kubernetes(jennah: Installation) -> None:
    """As the API tells it; one notification for each job that ended."""
    await until_deleted(jennah)
    rows, notes = {}, defaultdict(list)
    for tenant in jennah.tenants:
        rows |= await jennah.rows(tenant)
        for note in (await jennah.call("ListNotifications", {"limit": 1000}, tenant)).get("notifications", []):
            notes[note["jobId"]].append(note["finalStatus"])
    faults = []
    for job in [job for namespace in jennah.job_namespaces for job in await jennah.jobs(namespace)]:
        row = rows.get(job.job_id, {})
        told = (row.get("status"), row.get("gcpBatchJobPath", ""))
        kept = (job.status.phase.wire if job.status.phase else None, job.status.resource_path or "")
        if told != kept:
            faults.append(f"{job.metadata.name}: {kept} in Kubernetes, {told} in the record")
    for job_id, row in rows.items():
        ended = [row["status"]] if row["status"] in {phase.wire for phase in TERMINAL} else []
        if notes[job_id] != ended:
            faults.append(f"{job_id}: notifications {notes[job_id]} of a job that is {row['status']}")
    assert faults == []


@pytest.mark.local_programs
async def test_the_audit_rows_of_each_job_are_a_life(jennah: Installation) -> None:
    faults: list[str] = []
    async with jennah.store() as store:
        for tenant in jennah.tenants:
            for row in (await store.list_jobs(tenant)).jobs:
                if row.status.is_terminal:
                    faults += path_faults(row, await store.transitions(tenant, row.job_id))
    assert faults == []


@pytest.mark.local_programs
async def test_the_programs_were_refused_nothing_and_printed_no_secret(jennah: Installation) -> None:
    lines = [line for program in jennah.local.all for line in program.lines]
    assert [line for line in lines if SECRET in line] == []
    # What a namespace that is being deleted refuses is no lack of rights.
    refused = [line for line in lines if "403 Forbidden" in line and "being terminated" not in line]
    assert refused == []
    assert any("submitted" in line for line in lines), "there are lines"


def calls_of_accounts(jennah: Installation) -> list[Call]:
    """By the audit log; without those that a namespace refused because it was being deleted, which is no lack of
    rights."""
    assert jennah.cluster.server is not None
    found = rights.calls(jennah.cluster.server.audit_log, jennah.system)
    assert {call.right.account for call in found} == {"jennah-controller", "jennah-api"}
    return [call for call in found if not (call.right.verb == "create" and call.namespace == jennah.leaving)]


@pytest.mark.own_server
async def test_no_call_of_the_service_accounts_was_forbidden(jennah: Installation) -> None:
    assert [call for call in calls_of_accounts(jennah) if call.code == 403] == []


@pytest.mark.own_server
async def test_all_that_the_chart_grants_is_used(jennah: Installation, request: pytest.FixtureRequest) -> None:
    ran = {item.path.name for item in request.session.items if item.path.parent == Path(__file__).parent}
    if ran != MODULES or request.config.option.keyword:
        pytest.skip("not all of the suite ran")
    used = {call.right for call in calls_of_accounts(jennah)}
    assert rights.granted(jennah.granted) - used == set()
