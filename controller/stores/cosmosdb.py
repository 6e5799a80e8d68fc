"""The record in Azure Cosmos DB, API for NoSQL: one container, the tenant is the partition key (`cosmosdb_rows`).

A group of transitions costs two round trips a tenant, all tenants at the same time: one query reads the records,
one transactional batch writes what `merge` made of them (row, audit rows, notification, the tenant if it is
missing). The row's etag guards it, or that it must not exist yet; whoever loses reads and merges again. So a batch
whose reply was lost may be done again as well: the second time there is nothing left to write.

Where it is weaker than the other stores:

- With the account's default consistency (session) one process may read for a moment what another has just
  overwritten. No write is lost by it (the etag decides), but a list may be late. "Bounded staleness" or "strong"
  gives what the others give.
- Deleting a job with more than 98 transitions takes several batches. The row goes with the last one: who is
  interrupted finds it again, with its first audit rows gone.
- A logical partition, so one tenant, holds 20 GB and gives 10,000 RU/s.
- Whole numbers are exact up to 2**53; larger ones are refused.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from azure.cosmos.aio import ContainerProxy

from controller.domain.errors import Invalid, JennahError, NotFound, Retryable, Throttled, Unavailable
from controller.domain.phases import Phase
from controller.domain.records import JobRow, NotificationRow, Recorded, TenantRow, Transition, TransitionRow
from controller.ports import Page, RecordFailure
from controller.stores import cosmosdb_queries as queries
from controller.stores import cosmosdb_rows as rows
from controller.stores import paging, tombstones
from controller.stores.cosmosdb_client import CosmosConnection
from controller.stores.cosmosdb_errors import Contended, OperationRefused, Patience
from controller.stores.cosmosdb_schema import check_version
from controller.stores.cosmosdb_writes import (
    CONFLICTS,
    MAX_OPERATIONS,
    Batch,
    Deletion,
    JobWork,
    Operation,
    Results,
    pack,
    write,
)


class CosmosStore:
    """`ports.JobStore` on Cosmos DB."""

    def __init__(
        self,
        endpoint: str,
        database: str,
        *,
        key: str | None = None,
        tombstone_ttl_seconds: int = tombstones.TTL_SECONDS,
    ) -> None:
        """`key` is the account's; without one the default Azure credentials are used."""
        self._db = CosmosConnection(endpoint, database, key)
        self._tombstone_ttl_seconds = tombstone_ttl_seconds

    async def open(self) -> None:
        try:
            async with Patience().limit():
                await self._db.open()
                await check_version(self._db)
        except BaseException:
            await self._db.close()
            raise

    async def close(self) -> None:
        await self._db.close()

    async def record(self, transitions: Sequence[Transition]) -> Sequence[Recorded | RecordFailure]:
        """What fails for one tenant fails for its rows only. Raises Unavailable where it failed for all."""
        results: Results = [None] * len(transitions)
        tenants: dict[str, dict[str, JobWork]] = defaultdict(lambda: defaultdict(lambda: JobWork(results=results)))
        for place, transition in enumerate(transitions):
            tenants[transition.row.tenant_id][transition.row.job_id].waiting.append((place, transition))
        await asyncio.gather(*(self._record_tenant(tenant, [*jobs.values()]) for tenant, jobs in tenants.items()))
        written = [result for result in results if result is not None]
        assert len(written) == len(transitions), "one result for each transition"
        errors = [result.error for result in written if isinstance(result, RecordFailure)]
        if written and len(errors) == len(written) and all(isinstance(error, Unavailable) for error in errors):
            raise errors[0]
        return written

    async def get_job(self, tenant_id: str, job_id: str) -> JobRow | None:
        document = await self._read_document(tenant_id, rows.job_document_id(job_id))
        return rows.job_row(document) if document and rows.has_row(document) else None

    async def owner(self, tenant_id: str, job_id: str) -> str | None:
        document = await self._read_document(tenant_id, rows.job_document_id(job_id))
        return str(document["uid"]) if document and rows.has_row(document) else None

    async def list_jobs(
        self,
        tenant_id: str,
        *,
        page_size: int | None = None,
        page_token: str = "",
        status: Phase | None = None,
        created_after: datetime | None = None,
    ) -> Page:
        if page_size is not None and page_size < 1:
            raise Invalid("page_size must be at least 1")
        last = paging.decode(page_token) if page_token else None
        text, values = queries.jobs(status=status, created_after=created_after, after=last)
        # One more than asked for tells whether there is a next page.
        found = await self._query(tenant_id, text, values, most=None if page_size is None else page_size + 1)
        jobs = tuple(rows.job_row(document) for document in found[:page_size])
        if len(jobs) == len(found):
            return Page(jobs=jobs)
        last = paging.Position(created_at=jobs[-1].created_at, job_id=jobs[-1].job_id)
        return Page(jobs=jobs, next_token=paging.encode(last))

    async def transitions(self, tenant_id: str, job_id: str) -> Sequence[TransitionRow]:
        found = await self._query(tenant_id, queries.TRANSITIONS, {"job": job_id})
        return [rows.transition_row(document) for document in sorted(found, key=lambda audit: int(audit["number"]))]

    async def delete_job(self, tenant_id: str, job_id: str, *, uid: str) -> bool:
        patience, may_be_done = Patience(), False
        async with patience.limit():
            while True:
                try:
                    found = await self._db.query(tenant_id, queries.ALL_OF_A_JOB, {"job": job_id})
                    deletion = Deletion(tenant_id, job_id, uid, found, self._tombstone_ttl_seconds)
                    if not deletion.operations:
                        return may_be_done  # by a try of ours whose reply was lost
                    try:
                        await self._delete(tenant_id, deletion.operations)
                    except Retryable as error:
                        may_be_done = deletion.is_of_a_row and not isinstance(error, Contended | Throttled)
                        raise
                    return deletion.is_of_a_row or may_be_done
                except Retryable as error:
                    await patience.wait(error)

    async def get_tenant(self, tenant_id: str) -> TenantRow | None:
        document = await self._read_document(tenant_id, rows.TENANT_DOCUMENT)
        return rows.tenant_row(document) if document else None

    async def list_notifications(self, tenant_id: str, *, limit: int) -> Sequence[NotificationRow]:
        if limit < 1:
            return []
        found = await self._query(tenant_id, queries.NOTIFICATIONS, {}, most=limit)
        return [rows.notification_row(document) for document in found]

    async def count_unread(self, tenant_id: str) -> int:
        found = await self._query(tenant_id, queries.UNREAD, {})
        return int(found[0])

    async def ack_notification(self, tenant_id: str, notification_id: str) -> bool:
        document_id = rows.notification_document_id(notification_id)
        operations: list[dict[str, Any]] = [{"op": "set", "path": "/isRead", "value": True}]

        async def patch(container: ContainerProxy) -> None:
            await container.patch_item(document_id, partition_key=tenant_id, patch_operations=operations)

        try:
            await self._db.run(patch)
        except NotFound:
            return False
        return True

    async def _record_tenant(self, tenant_id: str, works: Sequence[JobWork]) -> None:
        """Work until each transition has its result; an error is the result of all that have none."""
        patience = Patience()
        try:
            async with patience.limit():
                while waiting := [work for work in works if work.waiting]:
                    try:
                        await self._record_once(tenant_id, waiting)
                    except Retryable as error:
                        await patience.wait(error)
        except JennahError as error:
            for work in works:
                work.fail(error)

    async def _record_once(self, tenant_id: str, works: Sequence[JobWork]) -> None:
        """Read, merge, write. Raises Contended where some must be read again, Unavailable, Throttled."""
        text, values = queries.by_ids([rows.TENANT_DOCUMENT, *(work.document_id for work in works)])
        found = {document["id"]: document for document in await self._db.query(tenant_id, text, values)}
        for work in works:
            work.plan(found.get(work.document_id))
        changed = [work for work in works if work.operations]
        if not changed:
            return
        is_new = rows.TENANT_DOCUMENT not in found
        first, *others = pack(changed, write("create", rows.tenant_document(changed[0].first)) if is_new else None)
        if is_new:  # no job without its tenant: the others wait until it is there
            await self._commit(tenant_id, first)
        else:
            others.append(first)
        outcomes = await asyncio.gather(*(self._commit(tenant_id, batch) for batch in others), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _commit(self, tenant_id: str, batch: Batch) -> None:
        try:
            await self._db.commit(tenant_id, batch.operations)
        except OperationRefused as error:
            batch.refuse(error.index, error.status)
            raise Contended("the records are being written by others") from error
        batch.settle()

    async def _delete(self, tenant_id: str, operations: Sequence[Operation]) -> None:
        """Raises Contended where what they are about has changed."""
        try:
            for start in range(0, len(operations), MAX_OPERATIONS):
                await self._db.commit(tenant_id, operations[start : start + MAX_OPERATIONS])
        except OperationRefused as error:
            if error.status in CONFLICTS:
                raise Contended("the record is being written by others") from error
            raise Unavailable(f"Cosmos DB answered {error.status}") from error

    async def _query(
        self, tenant_id: str, text: str, values: dict[str, object], *, most: int | None = None
    ) -> list[Any]:
        return await self._db.run(lambda _: self._db.query(tenant_id, text, values, most=most))

    async def _read_document(self, tenant_id: str, document_id: str) -> rows.Document | None:
        async def read(container: ContainerProxy) -> rows.Document:
            return await container.read_item(document_id, partition_key=tenant_id)

        try:
            return await self._db.run(read)
        except NotFound:
            return None
