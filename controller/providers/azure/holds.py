"""Why tasks wait that are ready to run: their shared job is held back, or their pool has gone or gets no nodes. Pure.

The service tells none of it with a task. A job for a pool that does not exist waits for ever there, and so do the tasks
of a pool that is removed (running ones are put back first): they run if a pool of that name is made again, or if the
Azure job is pointed at another.
"""

import msgspec
from azure.batch.models import BatchJobState

from controller.domain import reasons
from controller.providers.azure.pools import Pool

_HELD = frozenset({BatchJobState.DISABLING.value, BatchJobState.DISABLED.value, BatchJobState.ENABLING.value})


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """What holds a task back."""

    reason: str
    """A word of `domain.reasons`."""
    words: str


def of_job(job_id: str, state: str) -> Hold | None:
    """A shared job's, by its state."""
    if state not in _HELD:
        return None
    words = f"somebody has disabled the Azure job {job_id!r} that its task waits in ({state}); enabled, it goes on"
    return Hold(reason=reasons.HELD_EXTERNALLY, words=words)


def of_pool(pool_id: str, pool: Pool | None) -> Hold | None:
    """A pool's. `pool`: None for one that does not exist."""
    remedy = "make one of that name, or end the job"
    if pool is None:
        return Hold(reason=reasons.POOL_MISSING, words=f"the pool {pool_id!r} does not exist any more: {remedy}")
    if pool.is_being_deleted:
        return Hold(reason=reasons.POOL_MISSING, words=f"the pool {pool_id!r} is being deleted: {remedy}")
    if pool.resize_error:
        is_quota = "quota" in pool.resize_error.lower()
        return Hold(
            reason=reasons.QUOTA_EXCEEDED if is_quota else reasons.WAITING_FOR_CAPACITY,
            words=f"the pool {pool_id!r} could not be resized: {pool.resize_error}",
        )
    if not pool.may_have_nodes:
        words = f"the pool {pool_id!r} has no nodes, and none are asked for"
        return Hold(reason=reasons.WAITING_FOR_CAPACITY, words=words)
    return None
