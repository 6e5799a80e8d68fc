"""A bounded number of threads for calls that block, which nobody has to wait for at the end of the process.

The threads of `concurrent.futures.ThreadPoolExecutor` are waited for when the interpreter ends, however long their call
takes; these are not.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """At most `limit` threads, begun as they are needed. Used by one event loop."""

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._begun = 0
        self._waiting: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._futures: set[Future[Any]] = set()

    def run(self, function: Callable[[], T]) -> Future[T]:
        """Call that function in a thread, when one is free; cancelled before, it is not called."""
        future: Future[T] = Future()
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        self._waiting.put((future, function))
        if self._begun < min(self._limit, len(self._futures)):
            self._begun += 1
            threading.Thread(target=self._work, name=f"{self._name}-{self._begun}", daemon=True).start()
        return future

    def close(self) -> set[Future[Any]]:
        """Cancel what has not begun, and end each thread after its call. What is under way."""
        under_way = {future for future in list(self._futures) if not future.cancel()}
        for _ in range(self._begun):
            self._waiting.put(None)
        self._begun = 0
        return under_way

    def _work(self) -> None:
        while (work := self._waiting.get()) is not None:
            future, function = work
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = function()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            del work, future, function  # an idle thread holds on to nothing
