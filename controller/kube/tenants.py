"""The JennahTenants in Kubernetes: read now and then, all at once; there are few and they hardly ever change."""

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from controller.domain import tenants
from controller.domain.errors import Throttled, Unavailable
from controller.domain.tenants import JennahTenant, TenantPolicy
from controller.kube import paths
from controller.kube.client import KubeClient, Object, Unserved, items_of
from controller.ports import Clock

log = logging.getLogger(__name__)

REMEMBERED_SECONDS = 5.0
"""How soon a change of a policy holds."""
THROTTLED_MOST_SECONDS = 2.0


class TenantPolicies:
    """Whose jobs may name what. A policy that cannot be read allows nothing and refuses nothing: it raises."""

    def __init__(self, client: KubeClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._objects: Sequence[JennahTenant] = ()
        self._read_at: float | None = None
        self._reading: asyncio.Task[None] | None = None
        self._told: list[str] = []

    async def policy_for(self, tenant_id: str) -> TenantPolicy:
        """What holds for that tenant now. Raises Forbidden, Unavailable."""
        if self._read_at is None or self._clock.monotonic() - self._read_at >= REMEMBERED_SECONDS:
            if self._reading is None:
                self._reading = asyncio.create_task(self._refresh())
                self._reading.add_done_callback(self._end)
            await asyncio.shield(self._reading)  # all who wait share its end: an outage is waited for once, not in turn
        return tenants.policy_for(tenant_id, self._objects)

    async def _refresh(self) -> None:
        began = self._clock.monotonic()
        found = await self._read()
        self._read_at = began
        if found != self._objects:
            self._objects = found
            self._tell()

    def _end(self, done: asyncio.Task[None]) -> None:
        self._reading = None
        if not done.cancelled():
            done.exception()  # told to who waits, if anybody still does

    async def _read(self) -> Sequence[JennahTenant]:
        try:
            found = items_of(await self._list())
        except Unserved:
            # A kind that had objects is not gone for good: its CRD is being replaced, or an API server starts.
            if self._objects or await self._is_installed():
                raise
            return ()
        try:
            return [tenants.parse(raw) for raw in found]
        except msgspec.ValidationError as error:
            raise Unavailable(f"a JennahTenant cannot be read, is its CRD of another version? {error}") from error

    async def _list(self) -> Object:
        try:
            return await self._client.get(paths.tenants())
        except Throttled as error:  # as of a kind that has just been installed
            await self._clock.sleep(min(error.delay, THROTTLED_MOST_SECONDS))
            return await self._client.get(paths.tenants())

    async def _is_installed(self) -> bool:
        """Whether the kind is, by the API server's own list. Where it is not the built-in policy holds."""
        served = await self._client.get(paths.kinds())
        return any(one["name"] == "jennahtenants" for one in served["resources"])

    def _tell(self) -> None:
        """Warn of prefixes that cover another tenant's, once for each change."""
        told = tenants.overlaps(self._objects)
        for sentence in told:
            if sentence not in self._told:
                log.warning("%s", sentence)
        self._told = told
