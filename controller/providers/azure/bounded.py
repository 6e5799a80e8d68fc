"""Many calls, a few at once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def for_each(call: Callable[[T], Awaitable[None]], items: Iterable[T], *, at_once: int) -> None:
    """Make the calls in their order, so many at once. The first error ends the others and is raised."""
    left = iter(items)

    async def work() -> None:
        for item in left:
            await call(item)

    workers = [asyncio.create_task(work()) for _ in range(at_once)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
