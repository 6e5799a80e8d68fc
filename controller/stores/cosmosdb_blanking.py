"""EnvVarsJson without values, in Cosmos DB. Called by `cosmosdb_schema`.

The rows are found by a query over all partitions, which filters only: such a query the service answers page by page,
each with the token of the next, so that a page that failed is asked for again and the query not begun again. A row is
a patch of one property, guarded by the etag: a writer that replaces the row with what it read before is refused, and
merges again.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy

from controller.domain.errors import Conflict, NotFound, Unavailable
from controller.domain.records import blanked
from controller.stores import blanking
from controller.stores import cosmosdb_queries as queries
from controller.stores.cosmosdb_client import CosmosConnection
from controller.stores.cosmosdb_rows import Document

_AT_ONCE = 10
"""Patches at a time: the request units are also the operators'."""
_LOOKS = 10
"""At a row that others write meanwhile."""


async def redact(db: CosmosConnection, *, dry_run: bool) -> AsyncIterator[int]:
    """As `ports.Migrations.redact`. The connection is open."""
    token: str | None = ""
    while token is not None:
        found, token = await _page(db, token)
        wanted = [document for document in found if blanking.has_values(_text(document))]
        if dry_run:
            yield len(wanted)
            continue
        for first in range(0, len(wanted), _AT_ONCE):
            batch = wanted[first : first + _AT_ONCE]
            outcomes = await asyncio.gather(*(_blank(db, document) for document in batch), return_exceptions=True)
            yield sum(outcome is True for outcome in outcomes)
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome


async def _page(db: CosmosConnection, token: str) -> tuple[list[Document], str | None]:
    """A page of rows, and the token of the next one; None: there is none."""
    next_tokens: list[str | None] = []

    async def read(container: ContainerProxy) -> list[Document]:
        pages = container.query_items(
            queries.VARIABLES,
            max_item_count=blanking.BATCH_ROWS,
            # From the headers: where there is no token, the SDK's own attribute has the answer's etag.
            response_hook=lambda headers, _: next_tokens.append(headers.get("x-ms-continuation")),
        ).by_page(token or None)
        async for page in pages:
            return [document async for document in page]
        return []

    found = await db.run(read)
    return found, next_tokens[-1]


async def _blank(db: CosmosConnection, found: Document) -> bool:
    """Whether it was this call that blanked the row: it may change, or go, meanwhile."""
    document, tries = found, 0
    place: dict[str, Any] = {"item": found["id"], "partition_key": found["tenantId"]}

    async def patch(container: ContainerProxy) -> None:
        nonlocal tries
        tries += 1
        guard: dict[str, Any] = {"etag": document["_etag"], "match_condition": MatchConditions.IfNotModified}
        await container.patch_item(**place, patch_operations=[_operation(document)], **guard)

    for _ in range(_LOOKS):
        tries = 0
        try:
            try:
                await db.run(patch)
                return True
            except Conflict:
                document = await db.run(lambda container: container.read_item(**place))
        except NotFound:
            return False
        if not blanking.has_values(_text(document)):
            return tries > 1  # by an earlier try whose reply was lost, else by another
    raise Unavailable("a row is being written by others all the time")


def _operation(document: Document) -> dict[str, Any]:
    new = blanked(_text(document))
    if new is None:
        return {"op": "remove", "path": "/envVarsJson"}
    return {"op": "set", "path": "/envVarsJson", "value": new}


def _text(document: Document) -> str | None:
    text: str | None = document.get("envVarsJson")
    return text
