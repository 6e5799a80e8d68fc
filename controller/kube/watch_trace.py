"""What the requests of the watch come to, in one log line a change: kopf itself logs every try, and no success."""

import asyncio
import logging
from collections.abc import Callable
from types import SimpleNamespace

import aiohttp

from controller import metrics
from controller.domain import names

log = logging.getLogger(__name__)

REFUSALS = 4
"""So many answers 401 in a row are no news: a token has run out, and the requests under way meet that together."""


class WatchTrace:
    """Listens to the requests of kopf's sessions. `listing` is called when a list of JennahJobs is answered (its first
    page), `watching` when a watch is."""

    def __init__(self, *, listing: Callable[[], None], watching: Callable[[], None]) -> None:
        self._listing = listing
        self._watching = watching
        self.refusals = 0
        """Answers 401 since the last that was none."""
        self._troubles: dict[str, str] = {}
        """What the last request of each path met; those that failed alone."""

    def config(self) -> aiohttp.TraceConfig:
        """For a new session: aiohttp gives each its own."""
        config = aiohttp.TraceConfig()
        config.on_request_end.append(self._ended)
        config.on_request_exception.append(self._failed)
        return config

    async def _ended(
        self, session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams
    ) -> None:
        status, path = params.response.status, params.url.path
        is_watch = params.url.query.get("watch") == "true"
        metrics.KUBERNETES_CALLS.labels("WATCH" if is_watch else "LIST", status).inc()
        self.refusals = self.refusals + 1 if status == 401 else 0
        if self.refusals > REFUSALS or status in (403, 429) or status >= 500:
            self._complain(path, f"{status} {params.response.reason or ''}".rstrip())
            return
        if self._troubles.pop(path, None) is not None and not self._troubles:
            log.info("the watch reaches the Kubernetes API again")
        if status < 300 and path.endswith(f"/{names.PLURAL}"):
            (self._watching if is_watch else self._listing)()

    async def _failed(
        self, session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams
    ) -> None:
        error = params.exception
        if not isinstance(error, asyncio.CancelledError):  # left by kopf, because it stops or nothing came for long
            self._complain(params.url.path, f"{type(error).__name__}: {error}".rstrip(": "))

    def _complain(self, path: str, trouble: str) -> None:
        if trouble not in self._troubles.values():
            log.warning("the watch: Kubernetes API: %s: %s", path, trouble)
        self._troubles[path] = trouble
