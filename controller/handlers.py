"""What kopf calls: its handlers, its credentials, and its settings. Nothing is decided here; `watching` runs it.

Only ``@kopf.on.event`` is used, and everything that kopf would write to objects is off: its diff and progress
storages, posting, peering. Each of those costs writes or a deep copy for every event (design §3).
"""

import logging
from collections.abc import Callable
from typing import Any

import kopf
import msgspec
from kubernetes.aio import client as kube

from controller.domain import names
from controller.domain.job import Job, parse

log = logging.getLogger(__name__)

WATCH_TIMEOUT_SECONDS = 300
"""The server ends a watch after this; a connection that hangs is left a minute later."""


Remove = Callable[[str, Job | None], None]
"""Takes a deleted object's uid, and the object as it was at its end: kopf leaves out events that others follow soon."""


class NoDiffBase(kopf.DiffBaseStorage):
    """Keeps no last-seen state: we are level-triggered."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None, ignored_fields: Any = None) -> Any:
        return {}

    def fetch(self, *, body: kopf.Body) -> Any:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: Any) -> None:
        return


class NoProgress(kopf.ProgressStorage):
    """Keeps no progress: handlers of raw events have none."""

    def fetch(self, *, key: Any, body: kopf.Body) -> Any:
        return None

    def store(self, *, key: Any, record: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        return

    def purge(self, *, key: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        return

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        return

    def clear(self, *, essence: Any) -> Any:
        return essence


def registry(
    configuration: kube.Configuration, *, upsert: Callable[[Job], None], remove: Remove
) -> kopf.OperatorRegistry:
    """The handlers: each event's object goes to `upsert`, each deleted object to `remove`."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await connection_info(configuration)

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=handlers)
    async def on_event(event: kopf.RawEvent, **_: Any) -> None:
        take_in(event, upsert, remove)

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


async def connection_info(configuration: kube.Configuration) -> kopf.ConnectionInfo:
    """kopf's credentials, from the configuration that our own client uses; fetched anew after each 401."""
    header = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
    scheme, _, token = (header or "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        ca_data=configuration.ca_cert_data,
        insecure=not configuration.verify_ssl,
        scheme=scheme or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        proxy_url=configuration.proxy,
    )


def operator_settings() -> kopf.OperatorSettings:
    """kopf with all that writes or copies turned off."""
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.watching.server_timeout = WATCH_TIMEOUT_SECONDS
    settings.watching.client_timeout = WATCH_TIMEOUT_SECONDS + 60
    settings.networking.request_timeout = 30
    return settings
