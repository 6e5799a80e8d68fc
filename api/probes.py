"""/health as the original answers it, and /livez and /readyz for Kubernetes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from api.errors import NamespaceMissing
from controller.domain.errors import JennahError

LOG = logging.getLogger(__name__)

CHECK_SECONDS: Final = 3.0
"""Of one look at Kubernetes and the database; the kubelet's own limit is often not much longer."""

Check = Callable[[], Awaitable[object]]


class Probes:
    """What this replica says of itself. `is_stopping` is set on SIGTERM: load balancers then look elsewhere."""

    def __init__(self, checks: dict[str, Check]) -> None:
        """`checks` by the name that a failing one has in the answer; each raises where its part is unreachable."""
        self._checks = checks
        self.is_stopping = False

    async def health(self, _: web.Request) -> web.Response:
        return _stopping() if self.is_stopping else web.Response(text="OK")

    async def livez(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(self, _: web.Request) -> web.Response:
        """Ready when Kubernetes and the database answer, and jobs can be made; else 503 and what does not."""
        if self.is_stopping:
            return _stopping()
        results = await asyncio.gather(*(_fault(name, check) for name, check in self._checks.items()))
        failed = [f"{name}{told}" for name, told in zip(self._checks, results, strict=True) if told is not None]
        if failed:
            return web.Response(status=503, text=f"not ready: {', '.join(failed)}")
        return web.Response(text="ok")


def _stopping() -> web.Response:
    return web.Response(status=503, text="stopping")


async def _fault(name: str, check: Check) -> str | None:
    """None where that part answers; else what may be told of it to anyone, behind its name."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except NamespaceMissing as error:
        LOG.warning("not ready: %s: %s", name, error)
        return f": {error}"
    except (JennahError, TimeoutError) as error:
        LOG.warning("not ready: %s: %s", name, error or "no answer in time")
        return ""
    return None
