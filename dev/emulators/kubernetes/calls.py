"""Calls that must be done at last: the API server may be down, or the answer be lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from controller.domain.errors import AlreadyExists, Conflict, NotFound, Retryable
from controller.kube.client import KubeClient

T = TypeVar("T")

PATCH = "application/merge-patch+json"
AGAIN_SECONDS = 0.2


async def until_done(call: Callable[[], Awaitable[T]]) -> T | None:
    """Again until it is answered. None where what it is about is gone, or there already."""
    while True:
        try:
            return await call()
        except (NotFound, AlreadyExists):
            return None
        except Conflict:
            raise
        except Retryable:
            await asyncio.sleep(AGAIN_SECONDS)


async def delete(client: KubeClient, path: str) -> None:
    """What is there."""
    await until_done(lambda: client.delete(path))
