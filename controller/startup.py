"""What both programs do at their start: wait for what they need, say so once, and tell Python how they use memory."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable

from controller.backoff import Backoff
from controller.clock import wait_for_event
from controller.domain.errors import Retryable
from controller.ports import Clock

log = logging.getLogger(__name__)

BACKOFF = Backoff(first=1, cap=10)
"""Between tries."""
COLLECT_AFTER = 20_000
"""New objects between two looks for cycles."""


async def patiently(call: Callable[[], Awaitable[None]], *, clock: Clock, stop: asyncio.Event) -> bool:
    """Call until it works; one log line a change of the error. False: `stop` was set meanwhile.

    Raises what is not Retryable.
    """
    said = ""
    tries = 0
    while not stop.is_set():
        try:
            await call()
        except Retryable as error:
            if str(error) != said:
                said = str(error)
                log.warning("waiting: %s", error)
            await wait_for_event(stop, max(BACKOFF.pause(tries), error.delay), clock)
            tries += 1
        else:
            return True
    return False


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set the event on SIGTERM and SIGINT, in place of any earlier handler."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


async def first_of(*events: asyncio.Event) -> asyncio.Event:
    """The first of those events to be set."""
    waits = {asyncio.create_task(event.wait()): event for event in events}
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        return waits[done.pop()]
    finally:
        for task in waits:
            task.cancel()


def collect_less_often() -> None:
    """A request, or an event, makes thousands of objects and hardly a cycle; by default Python looks for cycles after
    each 700, through all that there is."""
    gc.collect()
    gc.freeze()  # what there is now stays
    gc.set_threshold(COLLECT_AFTER)


def say(line: str) -> None:
    """A line for who starts the program; on stdout, at once, and whole: print writes its end by itself, and then a log
    line of another thread can come in between."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
