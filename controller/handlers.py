"""What kopf calls: its handlers, its credentials, and its settings. Nothing is decided here; `watching` runs it.

Only ``@kopf.on.event`` is used, and everything by which kopf would write to Kubernetes is off: its posting and peering.
How events get to it without a task and copies for each is `shortcut`'s matter.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Any

import kopf
import msgspec
from kubernetes.aio import client as kube

from controller.backoff import Backoff
from controller.domain import names
from controller.domain.job import Job, parse
from controller.kube.client import open_session
from controller.kube.watch_trace import WatchTrace

log = logging.getLogger(__name__)

WATCH_TIMEOUT_SECONDS = 300
"""The server ends a watch after this."""
SILENCE_SECONDS = 70
"""A watch on which nothing comes for so long hangs, and is made anew: bookmarks come every minute."""

LIST_PAGE = 1000
"""Objects in one answer to a list: one of 50,000 jobs would be 80 MB."""
PAUSES = Backoff(first=1, cap=5)
"""Between tries of a request, and between logins whose token is refused."""


class Tries:
    """kopf's pauses between the tries of a request, in seconds. They never end, and neither does kopf by a fault."""

    def __iter__(self) -> Iterator[float]:
        return map(PAUSES.pause, itertools.count())


Remove = Callable[[str, Job | None], None]
"""Takes a deleted object's uid, and the object as it was at its end; None where our types cannot read it."""


def registry(
    configuration: kube.Configuration, *, take: Callable[[kopf.RawEvent], None], trace: WatchTrace
) -> kopf.OperatorRegistry:
    """The handlers: each event goes to `take`."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.AiohttpSession:
        if trace.refusals > 1:  # the last token was refused as well
            await asyncio.sleep(PAUSES.pause(trace.refusals))
        return await log_in(configuration, trace)

    # kopf watches only what has a handler. While `shortcut` is in place events are taken before they come to it.
    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=handlers)
    async def on_event(event: kopf.RawEvent, **_: Any) -> None:
        take(event)

    return handlers


def take_in(event: kopf.RawEvent, upsert: Callable[[Job], None], remove: Remove) -> None:
    """Hand one event on. An object that our types cannot read is left alone, with a log line."""
    raw = event["object"]
    try:
        job = parse(raw)
    except msgspec.ValidationError as error:
        job = None
        name = f"{raw['metadata'].get('namespace')}/{raw['metadata'].get('name')}"
        log.error("object cannot be read, is the CRD of another version? %s", error, extra={"job": name})
    if event["type"] == "DELETED":
        remove(raw["metadata"]["uid"], job)
    elif job is not None:
        upsert(job)


async def log_in(configuration: kube.Configuration, trace: WatchTrace) -> kopf.AiohttpSession:
    """A session for kopf, from the configuration that our own client uses; made anew after each 401. kopf closes it."""
    token = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
    session = open_session(
        configuration,
        limit=0,
        headers={"Authorization": token} if token else {},
        traces=[trace.config()],
    )
    return kopf.AiohttpSession(server=configuration.host, aiohttp_session=session)


def operator_settings() -> kopf.OperatorSettings:
    """kopf with all that writes or copies turned off."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.watching.server_timeout = WATCH_TIMEOUT_SECONDS
    settings.watching.client_timeout = WATCH_TIMEOUT_SECONDS + 60
    settings.watching.inactivity_timeout = SILENCE_SECONDS
    settings.watching.chunk_size = LIST_PAGE
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = Tries()
    # kopf that ends by an error would kill the process ten minutes later, though it was started again.
    settings.process.ultimate_exiting_timeout = None
    return settings
