"""The queries of Cosmos DB, all but VARIABLES of one tenant's partition: pure. `INDEXING_POLICY` is made for them.

A list begins its ORDER BY with what it filters by equality: so one composite index serves the filter and the
order (learn.microsoft.com/azure/cosmos-db/index-policy#composite-indexes). The ids are put into documents as
`cosmosdb_rows` says; values are parameters, never part of a text.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from controller.domain.phases import Phase
from controller.stores.cosmosdb_rows import time_text
from controller.stores.paging import Position

Query = tuple[str, dict[str, object]]

TRANSITIONS = "SELECT * FROM c WHERE c.tenantId = @tenant AND c.type = 'transition' AND c.jobId = @job"
ALL_OF_A_JOB = "SELECT * FROM c WHERE c.tenantId = @tenant AND c.jobId = @job"
NOTIFICATIONS = (
    "SELECT * FROM c WHERE c.tenantId = @tenant AND c.type = 'notification' "
    "ORDER BY c.type DESC, c.occurredAt DESC, c.notificationId ASC"
)
UNREAD = "SELECT VALUE COUNT(1) FROM c WHERE c.tenantId = @tenant AND c.type = 'notification' AND c.isRead = false"

VARIABLES = "SELECT c.id, c.tenantId, c.envVarsJson, c._etag FROM c WHERE c.type = 'job' AND IS_DEFINED(c.envVarsJson)"
"""Of all tenants: only a filter, which the service answers in pages with tokens. A tombstone has no variables."""


def _composite(*paths: str) -> list[dict[str, str]]:
    return [{"path": path.rstrip("+"), "order": "ascending" if path.endswith("+") else "descending"} for path in paths]


INDEXING_POLICY: dict[str, Any] = {
    "indexingMode": "consistent",
    "automatic": True,
    # Only what is asked for: every other path would cost request units with each write.
    "includedPaths": [
        {"path": f"/{name}/?"} for name in ("tenantId", "type", "jobId", "status", "createdAt", "name", "isRead")
    ],
    "excludedPaths": [{"path": "/*"}],
    "compositeIndexes": [
        _composite("/type", "/createdAt", "/jobId"),
        _composite("/type", "/status", "/createdAt", "/jobId"),
        _composite("/type", "/occurredAt", "/notificationId+"),
    ],
}


def by_ids(ids: Sequence[str]) -> Query:
    """These documents, as far as they exist."""
    values: dict[str, object] = {f"id{n}": document_id for n, document_id in enumerate(ids)}
    marks = ", ".join(f"@{name}" for name in values)
    return f"SELECT * FROM c WHERE c.tenantId = @tenant AND c.id IN ({marks})", values  # noqa: S608 - names only


def jobs(*, status: Phase | None, created_after: datetime | None, after: Position | None) -> Query:
    """The jobs of a list, newest first, from behind that position on."""
    where, order, values = ["c.tenantId = @tenant", "c.type = 'job'"], ["c.type DESC"], dict[str, object]()
    if status is not None:
        where.append("c.status = @status")
        order.append("c.status DESC")
        values["status"] = status.wire
    if created_after is not None:
        where.append("c.createdAt > @after")
        values["after"] = time_text(created_after)
    if after is not None:
        # The first comparison is what the index can seek.
        where.append("c.createdAt <= @last AND (c.createdAt < @last OR c.jobId < @lastJob)")
        values |= {"last": time_text(after.created_at), "lastJob": after.job_id}
    order += ["c.createdAt DESC", "c.jobId DESC"]
    return f"SELECT * FROM c WHERE {' AND '.join(where)} ORDER BY {', '.join(order)}", values  # noqa: S608
