"""Whether a call that had to wait may still begin: asked by what made it wait, answered by who wanted the call.

An adapter waits for places in rate limits, for threads and between two tries, and does not know of leadership; whoever
calls it does. The question goes along with the task (contextvars), to the tasks that a call is made of as well.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar, copy_context
from typing import TypeVar

T = TypeVar("T")

_question: ContextVar[Callable[[], None] | None] = ContextVar("permission", default=None)


@contextlib.contextmanager
def asked_of(question: Callable[[], None]) -> Iterator[None]:
    """Calls within the block ask that again after each wait. It raises where the answer is no; safe on any thread."""
    token = _question.set(question)
    try:
        yield
    finally:
        _question.reset(token)


def check() -> None:
    """To be called after a wait and right before a call begins. Raises what the question raises (NotLeading)."""
    question = _question.get()
    if question is not None:
        question()


def on_thread(function: Callable[[], T]) -> Callable[[], T]:
    """That function for a thread: in this context, as `asyncio.to_thread` does, and asking before it begins."""
    context = copy_context()

    def begin() -> T:
        check()
        return function()

    return lambda: context.run(begin)
