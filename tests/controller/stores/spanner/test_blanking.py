"""`jennah migrate --redact`: lost replies, and the original's rows. Laws: tests/contract/test_blanking.py."""

import grpc
import pytest

from controller.stores.spanner import SpannerStore
from controller.stores.spanner_schema import SpannerMigrations
from tests.contract.databases.spanner import INSTANCE, PROJECT
from tests.controller.stores.spanner.harness import Gateway, transition
from tests.controller.stores.spanner.proxy import Fault, Proxy

VARIABLES = "SELECT EnvVarsJson FROM Jobs"


async def redact(database: str) -> int:
    migrations = SpannerMigrations(PROJECT, INSTANCE, database)
    try:
        return sum([count async for count in migrations.redact(dry_run=False)])
    finally:
        await migrations.close()


@pytest.mark.parametrize(
    "fault",
    [Fault(method="Commit", is_reply_lost=True), Fault(method="Commit", code=grpc.StatusCode.ABORTED)],
    ids=["reply lost", "aborted"],
)
async def test_a_row_is_counted_once_whatever_becomes_of_the_commit(
    store: SpannerStore, proxy: Proxy, gateway: Gateway, schema: str, fault: Fault
) -> None:
    await store.record([transition(env_vars_json='{"A":"x"}')])
    proxy.faults.append(fault)
    assert await redact(schema) == 1
    assert proxy.faults == []
    assert gateway.select(VARIABLES) == [['{"A":""}']]


async def test_rows_that_are_not_ours_are_blanked_too(gateway: Gateway, schema: str) -> None:
    """The original's have no audit row of ours, and the values of SubmitJob."""
    gateway.write(
        "INSERT INTO Tenants (TenantId, UserEmail, OAuthProvider, OAuthUserId, CreatedAt, UpdatedAt) "
        "VALUES ('t', '', '', '', PENDING_COMMIT_TIMESTAMP(), PENDING_COMMIT_TIMESTAMP())"
    )
    gateway.write(
        "INSERT INTO Jobs (TenantId, JobId, Status, OwnerWorkerId, EnvVarsJson, CreatedAt, UpdatedAt) VALUES "
        "('t', 'j', 'RUNNING', 'w', '{\"A\": \"x\"}', PENDING_COMMIT_TIMESTAMP(), PENDING_COMMIT_TIMESTAMP())"
    )
    before = gateway.select("SELECT Status, OwnerWorkerId, CreatedAt, UpdatedAt FROM Jobs")
    assert await redact(schema) == 1
    assert gateway.select(VARIABLES) == [['{"A":""}']]
    assert gateway.select("SELECT Status, OwnerWorkerId, CreatedAt, UpdatedAt FROM Jobs") == before
