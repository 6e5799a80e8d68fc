"""The real clock. Everything that needs time takes a `ports.Clock`; only composition roots make this one."""

import asyncio
import time
from datetime import UTC, datetime


class SystemClock:
    """`ports.Clock` on the machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
