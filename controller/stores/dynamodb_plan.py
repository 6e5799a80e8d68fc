"""What is to be written for a job, and which jobs go into one transaction: pure. Called by `dynamodb_record` only."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from controller.domain.errors import Permanent
from controller.domain.records import Recorded, Transition
from controller.ports import RecordFailure
from controller.stores import dynamodb_keys as keys
from controller.stores import dynamodb_rows as rows
from controller.stores.dynamodb_keys import Item, Key
from controller.stores.dynamodb_rows import Seen
from controller.stores.merge import merge
from controller.stores.tombstones import current

PACK_ACTIONS = 100
"""DynamoDB's limit of a transaction."""
PACK_BYTES = 3_500_000
"""Below DynamoDB's limit of a transaction, 4 MB."""
_PLAN_TRANSITIONS = 40
_PLAN_BYTES = 2_000_000  # one transition more, of at most three items of 400 KB, is still below PACK_BYTES


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """Transitions of one job, merged into what its row was seen to be: written together or not at all."""

    write_id: str
    count: int
    """How many of the job's waiting transitions it settles."""
    results: Mapping[int, Recorded | RecordFailure]
    """By the transition's place in the call; true once the actions are done."""
    after: Seen | None
    actions: Sequence[Item]
    """The row's first: its condition guards the others."""
    tenant: Item | None
    """The job's tenant, where this is the job's first transition: written if it is missing."""
    size: int


@dataclass(kw_only=True, eq=False)
class Work:
    """The transitions of one job that are not settled yet, in order."""

    waiting: list[tuple[int, Transition]] = field(default_factory=list)
    seen: Seen | None = None
    """The job's row as it was seen last."""
    is_alone: bool = False
    """A transaction that it was part of was refused: now one transition at a time, in a transaction of its own."""
    plan: Plan | None = None

    @property
    def row_key(self) -> Key:
        row = self.waiting[0][1].row
        return keys.row(row.tenant_id, row.job_id)

    @property
    def tenant_key(self) -> Key:
        return keys.tenant(self.waiting[0][1].row.tenant_id)

    def settle(self, plan: Plan) -> None:
        """The plan's transitions are done with; what is left goes on from there."""
        del self.waiting[: plan.count]
        self.seen, self.plan = plan.after, None

    def changed(self, item: Item | None) -> None:
        """Somebody else wrote the row meanwhile: merge again. None: the row is gone."""
        self.seen, self.plan = rows.seen(item) if item else None, None


def make(work: Work, write_id: str) -> Plan:
    """What to write for as many of the job's transitions as go into one transaction."""
    results: dict[int, Recorded | RecordFailure] = {}
    seen, tenant, row, added, size = work.seen, None, None, list[Item](), 0
    for index, transition in work.waiting[: 1 if work.is_alone else _PLAN_TRANSITIONS]:
        if size > _PLAN_BYTES:
            break
        try:
            step = _step(seen, transition, write_id)
        except Permanent as error:
            results[index] = RecordFailure(error=error)
            continue
        tenant = tenant or step.tenant
        seen, row = step.seen, step.row or row
        added += step.added
        size += step.size
        results[index] = step.recorded
    return Plan(
        write_id=write_id,
        count=len(results),
        results=results,
        after=seen,
        actions=[] if row is None else [guarded(row, work.seen), *({"Put": {"Item": item}} for item in added)],
        tenant=tenant,
        size=size,
    )


def packs(works: Sequence[Work]) -> list[list[Work]]:
    """Works with a plan, as few transactions as DynamoDB's limits allow; a work that must be alone is."""
    out: list[list[Work]] = []
    actions, size = PACK_ACTIONS, 0
    for work in sorted(works, key=lambda work: work.is_alone):
        assert work.plan is not None
        needed = len(work.plan.actions) + (work.plan.tenant is not None)
        if work.is_alone or actions + needed > PACK_ACTIONS or size + work.plan.size > PACK_BYTES:
            out.append([])
            actions, size = 0, 0
        out[-1].append(work)
        actions, size = actions + needed, size + work.plan.size
    return out


def missing_tenants(planned: Sequence[Plan], known: Set[str]) -> dict[str, Item]:
    """The writes of the tenants that are not known to exist, by partition key. An existing one is left alone."""
    tenants = {plan.tenant["pk"]["S"]: plan.tenant for plan in planned if plan.tenant is not None}
    return {pk: _created(tenant) for pk, tenant in tenants.items() if pk not in known}


def without_shared_tenants(ready: Sequence[list[Work]], known: Set[str]) -> list[list[Work]]:
    """The packs of this round: of those that would create the same tenant only the first; they would collide."""
    out: list[list[Work]] = []
    creating: set[str] = set()
    for pack in ready:
        mine = missing_tenants([work.plan for work in pack if work.plan], known).keys()
        if creating.isdisjoint(mine):
            out.append(pack)
            creating |= mine
    return out


@dataclass(frozen=True, kw_only=True, eq=False)
class _Step:
    """What one transition does: the row afterwards, and the items that are written for it."""

    seen: Seen
    recorded: Recorded
    row: Item | None
    added: Sequence[Item]
    tenant: Item | None
    size: int


def _step(seen: Seen | None, transition: Transition, write_id: str) -> _Step:
    """Raises Permanent(RECORD_REJECTED, JOB_DELETED)."""
    stored, deleted = (seen.stored, current(seen.deleted)) if seen else (None, {})
    merged = merge(stored, transition, deleted)
    if seen is not None and not merged.is_changed:
        return _Step(seen=seen, recorded=merged.stored.recorded, row=None, added=(), tenant=None, size=0)
    row = rows.row_item(merged.stored, deleted, write_id)
    added: list[Item] = []
    if merged.is_applied:
        added.append(rows.transition_item(merged.transition))
        if transition.row.status.is_terminal:
            added += rows.notification_items(transition.uid, merged.stored.row, transition.at)
    if stored is None:
        added.append(rows.entry_item(merged.stored.row))
    return _Step(
        seen=Seen(stored=merged.stored, deleted=deleted, write_id=write_id),
        recorded=merged.stored.recorded,
        row=row,
        added=added,
        tenant=rows.tenant_item(transition) if stored is None else None,
        size=sum(rows.item_bytes(item) for item in (row, *added)),
    )


def guarded(row: Item, seen: Seen | None) -> Item:
    """The write of a row, or of what is left of one, if it is still as it was seen. A refusal brings what it is."""
    put: Item = {"Item": row, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    if seen is None:
        return {"Put": put | {"ConditionExpression": "attribute_not_exists(pk)"}}
    values = {":seen": {"S": seen.write_id}}
    return {"Put": put | {"ConditionExpression": "write_id = :seen", "ExpressionAttributeValues": values}}


def _created(tenant: Item) -> Item:
    fields = {name: value for name, value in tenant.items() if name not in ("pk", "sk")}
    return {
        "Update": {
            "Key": {"pk": tenant["pk"], "sk": tenant["sk"]},
            "UpdateExpression": "SET " + ", ".join(f"{name} = if_not_exists({name}, :{name})" for name in fields),
            "ExpressionAttributeValues": {f":{name}": value for name, value in fields.items()},
        }
    }
