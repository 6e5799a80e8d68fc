"""Transitions of many jobs in a few transactions, in rounds. Called by `dynamodb` only.

A round merges what is left of each job into its row as it was seen last, packs the writes into transactions of up to
100 actions, and runs them at the same time. A cancelled transaction says which of its actions were the reason:

- a row that carries our own write id: an earlier try of this write did succeed, its reply was lost;
- another row than the one that was seen: that job is merged again with the row that the refusal brought, the others
  of the transaction go into the next round as they are;
- a conflict with another transaction, or throttling: the next round, after a pause;
- values that DynamoDB does not take: each transition in question gets a transaction of its own; if that one is refused
  too, it fails, alone.

The token of a transaction (DynamoDB does it once within ten minutes) makes a lost reply harmless most times; the write
ids do it always, also from one call to the next and in the hands of another process.
"""

import uuid
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, NamedTuple

from controller.domain import reasons
from controller.domain.errors import Permanent, Retryable, Throttled
from controller.domain.records import Recorded, Transition
from controller.ports import RecordFailure
from controller.stores import dynamodb_plan as plans
from controller.stores.dynamodb_calls import Calls, together
from controller.stores.dynamodb_connection import Refused
from controller.stores.dynamodb_keys import KEY_BYTES, Item
from controller.stores.dynamodb_plan import Plan, Work

_REFUSED = {"ValidationError", "ValidationException", "ItemCollectionSizeLimitExceeded"}


class _Verdict(Enum):
    """What became of one job's write."""

    DONE = auto()
    CANCELLED = auto()
    """For another's sake: nothing is wrong with it."""
    BUSY = auto()
    """A conflict with another transaction, or throttling."""
    CHANGED = auto()
    """The row is not what was seen."""
    REFUSED = auto()
    """For its values, or for somebody's in the transaction: DynamoDB does not always say whose."""


class _Outcome(NamedTuple):
    verdict: _Verdict
    code: str = ""
    item: Item | None = None
    """The row as it is, of CHANGED."""


async def record(calls: Calls, transitions: Sequence[Transition]) -> list[Recorded | RecordFailure]:
    """`JobStore.record`. Raises Retryable where nothing could be written, and Refused."""
    recording = _Recording(calls)
    await recording.run(_works(transitions))
    results = [recording.results[index] for index in range(len(transitions))]
    errors = [result.error for result in results if isinstance(result, RecordFailure)]
    if errors and len(errors) == len(results) and all(isinstance(error, Retryable) for error in errors):
        raise errors[0]
    return results


def _works(transitions: Sequence[Transition]) -> list[Work]:
    works: dict[tuple[str, str], Work] = {}
    for index, transition in enumerate(transitions):
        work = works.setdefault((transition.row.tenant_id, transition.row.job_id), Work())
        work.waiting.append((index, transition))
    return list(works.values())


class _Recording:
    """One call of `record`: the results so far, and the tenants that are known to exist."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._tenants: set[str] = set()
        self.results: dict[int, Recorded | RecordFailure] = {}

    async def run(self, works: Sequence[Work]) -> None:
        await self._look(works)
        tries = 0
        while works := self._planned(works):
            packs = plans.without_shared_tenants(plans.packs(works), self._tenants)
            pause = [code for code in await together(self._commit(pack) for pack in packs) if code]
            if pause:
                if not await self._calls.back_off(tries):
                    return self._give_up(works, pause[0])
                tries += 1
        return None

    async def _look(self, works: Sequence[Work]) -> None:
        """Read all rows and tenants. A key that no item can have is not asked for: its plan will say so."""
        keys = [key for work in works for key in (work.row_key, work.tenant_key) if len(key.pk) <= KEY_BYTES]
        found = await self._calls.get_all(keys)
        for work in works:
            work.changed(found.get(work.row_key))
            if work.tenant_key in found:
                self._tenants.add(work.tenant_key.pk)

    def _planned(self, works: Sequence[Work]) -> list[Work]:
        """The works that have something to write, with their plans; the others are settled."""
        for work in works:
            while work.waiting:
                if work.plan is None:
                    work.plan = plans.make(work, uuid.uuid4().hex)
                if work.plan.actions:
                    break
                self._settle(work, work.plan)
        return [work for work in works if work.waiting]

    async def _commit(self, pack: Sequence[Work]) -> str:
        """One transaction. The code of what calls for a pause, or ""."""
        planned = [work.plan for work in pack if work.plan is not None]
        tenants = plans.missing_tenants(planned, self._tenants)
        actions = [action for plan in planned for action in plan.actions]
        try:
            await self._calls.transact([*actions, *tenants.values()], token=str(uuid.uuid4()))
            outcomes = [_Outcome(_Verdict.DONE)] * len(planned)
        except Retryable as error:
            self._give_up(pack, "", error)
            return ""
        except Refused as refused:
            outcomes = _outcomes(refused, planned)
        else:
            self._tenants |= tenants.keys()
        for work, plan, outcome in zip(pack, planned, outcomes, strict=True):
            self._take(work, plan, outcome)
        paused = (_Verdict.BUSY, _Verdict.CHANGED)
        return next((outcome.code for outcome in outcomes if outcome.verdict in paused), "")

    def _take(self, work: Work, plan: Plan, outcome: _Outcome) -> None:
        match outcome.verdict:
            case _Verdict.DONE:
                self._settle(work, plan)
            case _Verdict.CHANGED:
                work.changed(outcome.item)
            case _Verdict.REFUSED if work.is_alone:
                error = Permanent("the database refused the row: ValidationError", reason=reasons.RECORD_REJECTED)
                self.results[work.waiting[0][0]] = RecordFailure(error=error)
                del work.waiting[0]
                work.plan = None
            case _Verdict.REFUSED:
                # A job is never failed for what it shares a transaction with.
                work.is_alone, work.plan = True, None
            case _Verdict.CANCELLED | _Verdict.BUSY:
                pass  # the same write again: its plan, and its write id, stay

    def _settle(self, work: Work, plan: Plan) -> None:
        self.results.update(plan.results)
        work.settle(plan)

    def _give_up(self, works: Sequence[Work], code: str, error: Retryable | None = None) -> None:
        """No time is left. What was written of them is found by the next call."""
        error = error or Throttled(f"DynamoDB did not take the write in time: {code}")
        for work in works:
            self.results.update({index: RecordFailure(error=error) for index, _ in work.waiting})
            work.waiting.clear()


def _outcomes(refused: Refused, planned: Sequence[Plan]) -> list[_Outcome]:
    """One for each plan. Raises what was refused for another reason than these rows."""
    if refused.code == "ValidationException":
        return [_Outcome(_Verdict.REFUSED, refused.code)] * len(planned)
    if refused.code != "TransactionCanceledException" or not refused.reasons:
        raise refused
    outcomes: list[_Outcome] = []
    left = list(refused.reasons)
    for plan in planned:
        mine, left = left[: len(plan.actions)], left[len(plan.actions) :]
        outcomes.append(_outcome(mine, plan.write_id))
    shared = _outcome(left, "")  # what is left are the tenants
    if all(outcome.verdict is _Verdict.CANCELLED for outcome in (*outcomes, shared)):
        shared = _Outcome(_Verdict.BUSY, refused.code)  # for no reason that is given
    return [shared if outcome.verdict is _Verdict.CANCELLED else outcome for outcome in outcomes]


def _outcome(causes: Sequence[Mapping[str, Any]], write_id: str) -> _Outcome:
    """From the cancellation reasons of a plan's actions. Only the row's write has a condition."""
    codes = [cause.get("Code") or "None" for cause in causes]
    if "ConditionalCheckFailed" in codes:
        item = causes[codes.index("ConditionalCheckFailed")].get("Item")
        if item and item["write_id"]["S"] == write_id:
            return _Outcome(_Verdict.DONE)
        return _Outcome(_Verdict.CHANGED, "ConditionalCheckFailed", item)
    refused = [code for code in codes if code in _REFUSED]
    if refused:
        return _Outcome(_Verdict.REFUSED, refused[0])
    busy = [code for code in codes if code != "None"]
    return _Outcome(_Verdict.BUSY, busy[0]) if busy else _Outcome(_Verdict.CANCELLED)
