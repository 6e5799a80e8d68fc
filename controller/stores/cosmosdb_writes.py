"""What a group of transitions writes to a tenant's partition, and how it is packed into batches: pure.

`cosmosdb` reads the records, lets each job `plan`, sends the packed batches and tells each what became of it.
A batch that fails changes nothing (HTTP 207: one operation has the error, all others have 424), so its jobs are
read and planned again; whoever failed goes alone from then on and can hold back no other.
"""

import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from controller.domain import reasons
from controller.domain.errors import Permanent
from controller.domain.records import Recorded, Transition
from controller.ports import RecordFailure
from controller.stores import cosmosdb_rows as rows
from controller.stores.merge import merge
from controller.stores.tombstones import current, with_deleted

MAX_OPERATIONS = 100
"""Operations of one transactional batch (learn.microsoft.com/azure/cosmos-db/nosql/transactional-batch)."""
MAX_BYTES = 1_900_000
"""Documents of one job in a batch. The service takes 2 MB, for a document and for a batch, and adds to them."""
PACKED_BYTES = 1_000_000
"""Documents of several jobs in a batch: sending more at once would hold up the event loop (aiohttp warns of it)."""
OPERATION_BYTES = 200
"""What an operation adds to its document, at most."""
MAX_TRANSITIONS = MAX_OPERATIONS - 3
"""Of one job in one batch: there is room for its row, its notification and the tenant."""
CONFLICTS = (404, 409, 412)
"""Another wrote meanwhile: the record is gone, there already, or has another etag."""

Results = list[Recorded | RecordFailure | None]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of a batch."""

    kind: str
    """create, upsert, replace or delete."""
    id: str
    body: rows.Document = field(default_factory=dict)
    etag: str | None = None
    size: int = OPERATION_BYTES

    def for_sdk(self) -> tuple[Any, ...]:
        """As the SDK takes it. A new one for each try: the SDK removes the etag from what it was given."""
        arguments: tuple[Any, ...] = (self.body,)
        if self.kind == "replace":
            arguments = (self.id, self.body)
        elif self.kind == "delete":
            arguments = (self.id,)
        return (self.kind, arguments, {"if_match_etag": self.etag} if self.etag else {})


def write(kind: str, document: rows.Document, etag: str | None = None) -> Operation:
    """An operation that writes a document. Raises Permanent(RECORD_REJECTED)."""
    size = rows.size(document) + OPERATION_BYTES
    return Operation(kind=kind, id=document["id"], body=document, etag=etag, size=size)


@dataclass(eq=False, kw_only=True)
class JobWork:
    """The transitions of one job, in their order, until each has its result."""

    results: Results
    """The caller's results, of all jobs."""
    waiting: deque[tuple[int, Transition]] = field(default_factory=deque)
    """Transitions without a result, each with its place in `results`."""
    operations: list[Operation] = field(default_factory=list)
    """What the plan writes; nothing where the record stays as it is."""
    is_alone: bool = False
    """Goes in a batch of its own: it made one fail."""
    _most: int = field(default=MAX_TRANSITIONS, init=False)
    _planned: list[Recorded | RecordFailure] = field(default_factory=list, init=False)

    @property
    def document_id(self) -> str:
        return rows.job_document_id(self.waiting[0][1].row.job_id)

    @property
    def first(self) -> Transition:
        return self.waiting[0][1]

    @property
    def size(self) -> int:
        return sum(operation.size for operation in self.operations)

    def plan(self, document: rows.Document | None) -> None:
        """Merge as many of the waiting transitions as fit into one batch with the record as it was read."""
        self.operations, self._planned = [], []
        plan = _Plan(document)
        for _, transition in islice(self.waiting, self._most):
            try:
                result: Recorded | RecordFailure | None = plan.add(transition)
            except Permanent as error:
                result = RecordFailure(error=error)
            if result is None:
                break  # no room: the rest goes with the next batch
            self._planned.append(result)
        self.operations = plan.operations
        if not self.operations:
            self.settle()

    def settle(self) -> None:
        """What was planned is written."""
        for result in self._planned:
            place, _ = self.waiting.popleft()
            self.results[place] = result
        self._planned = []

    def fail(self, error: Exception) -> None:
        """Nothing more of it will be written."""
        for place, _ in self.waiting:
            self.results[place] = RecordFailure(error=error)
        self.waiting.clear()

    def refuse(self, status: int) -> None:
        """The service will never take what was planned: find the transition that it is about, and fail it alone."""
        if len(self._planned) > 1:
            self._most = 1
            return
        place, _ = self.waiting.popleft()
        self.results[place] = RecordFailure(error=_rejected(f"HTTP {status}"))


class _Plan:
    """One job's record as its transitions change it, and the operations that write it."""

    def __init__(self, document: rows.Document | None) -> None:
        self._stored = rows.stored(document) if document and rows.has_row(document) else None
        self._deleted = current(rows.deleted(document))
        self._kind = "replace" if document else "create"
        self._etag: str | None = document["_etag"] if document else None
        self._row: Operation | None = None
        self._others: list[Operation] = []

    @property
    def operations(self) -> list[Operation]:
        # The row comes first: it is the guard, by its etag or by not being there yet.
        return [self._row, *self._others] if self._row else []

    def add(self, transition: Transition) -> Recorded | None:
        """The truth after that transition; None where it needs another batch.

        Raises Permanent(RECORD_REJECTED, JOB_DELETED).
        """
        merged = merge(self._stored, transition, self._deleted)
        if merged.is_changed:
            row = write(self._kind, rows.job_document(merged.stored, self._deleted), self._etag)
            others = [*self._others]
            if merged.is_applied:
                others.append(write("upsert", rows.transition_document(merged.transition)))
                if transition.row.status.is_terminal:
                    end = rows.notification_document(transition.uid, merged.stored.row, transition.at)
                    others.append(write("upsert", end))
            if sum(operation.size for operation in (row, *others)) > MAX_BYTES:
                if self._row is None:
                    raise _rejected("it is larger than a document may be")
                return None
            self._row, self._others = row, others
        self._stored = merged.stored
        return merged.stored.recorded


@dataclass(eq=False, kw_only=True)
class Batch:
    """Several jobs' operations that are committed together."""

    works: list[JobWork] = field(default_factory=list)
    tenant: Operation | None = None
    """Creates the tenant, before all others."""

    @property
    def operations(self) -> list[Operation]:
        first = [self.tenant] if self.tenant else []
        return [*first, *(operation for work in self.works for operation in work.operations)]

    def settle(self) -> None:
        for work in self.works:
            work.settle()

    def refuse(self, index: int | None, status: int) -> None:
        """The batch changed nothing because of that operation; None where the service does not say which."""
        owners: list[JobWork | None] = [None] if self.tenant else []
        owners += [work for work in self.works for _ in work.operations]
        owner = None if index is None else owners[index]
        if status in CONFLICTS:
            if owner is not None:
                owner.is_alone = True
        elif owner is not None:
            owner.refuse(status)
        elif len(self.works) == 1:
            self.works[0].refuse(status)
        else:
            for work in self.works:
                work.is_alone = True


class Deletion:
    """What removes the record of an object, and remembers that it was deleted."""

    def __init__(self, tenant_id: str, job_id: str, uid: str, found: Sequence[rows.Document], ttl_seconds: int) -> None:
        """`found`: all documents of that job id."""
        own = next((one for one in found if one["id"] == rows.job_document_id(job_id)), None)
        known = rows.deleted(own)
        self.is_of_a_row = own is not None and own.get("uid") == uid
        self.operations: list[Operation] = []
        """In the order of their batches: the row goes with the last one. None where nothing changes."""
        if not self.is_of_a_row and (not uid or not ttl_seconds or uid in known):
            return
        if self.is_of_a_row:
            self.operations += [Operation(kind="delete", id=one["id"]) for one in found if one is not own]
        # The row's etag: a transition that is written in between must not leave its audit row behind.
        etag = own["_etag"] if own else None
        deleted = with_deleted(known, uid, ttl_seconds)
        if own is not None and rows.has_row(own) and not self.is_of_a_row:
            self.operations.append(write("replace", {**own, "deleted": deleted}, etag))
        elif deleted:
            left = rows.tombstones_document(tenant_id, job_id, deleted, time.time())
            self.operations.append(write("replace" if own else "create", left, etag))
        elif own is not None:
            self.operations.append(Operation(kind="delete", id=own["id"], etag=etag))


def pack(works: Iterable[JobWork], tenant: Operation | None) -> Sequence[Batch]:
    """As few batches as hold all of them; the first one creates the tenant, where there is one to create."""
    batches: list[Batch] = []
    operations = size = 0
    for work in sorted(works, key=lambda work: work.is_alone):
        operations, size = operations + len(work.operations), size + work.size
        if not batches or work.is_alone or operations > MAX_OPERATIONS or size > PACKED_BYTES:
            batches.append(Batch(tenant=None if batches else tenant))
            operations, size = len(batches[-1].operations) + len(work.operations), work.size
        batches[-1].works.append(work)
    return batches


def _rejected(why: str) -> Permanent:
    return Permanent(f"the database refused the row: {why}", reason=reasons.RECORD_REJECTED)
