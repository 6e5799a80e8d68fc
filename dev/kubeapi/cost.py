"""The CPU that a real API server and its etcd need for a write, and this one does not: for benchmarks only."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_THREADS = 8


class Cost:
    """A handler that spends CPU on each write before it answers, on threads beside Python's lock, as Go would."""

    def __init__(self, handler: Handler, *, milliseconds: float) -> None:
        self._handler = handler
        self._seconds = milliseconds / 1000
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="cost")

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        response = await self._handler(request)
        if request.method in WRITES:
            await asyncio.get_running_loop().run_in_executor(self._threads, spend, self._seconds)
        return response


def spend(seconds: float) -> None:
    """Use so much CPU time, without Python's lock for most of it."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        hashlib.pbkdf2_hmac("sha256", b"a", b"b", 100)
