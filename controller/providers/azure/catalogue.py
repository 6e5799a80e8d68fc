"""The account's pools, looked up before anything goes to them: the service would take a job for a pool that does not
exist, and let it wait for ever (providers.md §3d). While tasks wait they are looked at now and then, for why."""

from collections.abc import Collection

from controller.cloud_settings import AzureSettings
from controller.domain import reasons
from controller.domain.errors import ConfigError, Forbidden, NotFound, Permanent
from controller.ports import Clock
from controller.providers.azure import calls, holds, places, pools
from controller.providers.azure.connection import AzureConnection
from controller.providers.azure.holds import Hold
from controller.providers.azure.pools import Pool

KEPT_SECONDS = 60.0
"""How long a pool is taken to be as it was; a submission asks each time for one that does not exist."""
LOOK_SECONDS = 30.0
"""The pause between two lists of all pools, while tasks wait."""


class Catalogue:
    """Pools, remembered for a while."""

    def __init__(self, connection: AzureConnection, settings: AzureSettings, clock: Clock) -> None:
        self._connection = connection
        self._settings = settings
        self._clock = clock
        self._pools: dict[str, tuple[float, Pool | None]] = {}
        """By id in small letters: the service pays no regard to their case. None: there is none of that id."""
        self._listed_at = -LOOK_SECONDS

    async def check(self) -> None:
        """See that every configured pool exists and runs containers; where none is configured, that jobs can be listed.
        Raises ConfigError, Unavailable."""
        faults = []
        if not pools.configured(self._settings):
            await self._see_account()
        for name in pools.configured(self._settings):
            variable = "AZURE_BATCH_POOL" if name == self._settings.pool else "AZURE_BATCH_POOLS"
            try:
                pool = await self._look_up(name)
            except Forbidden as error:
                raise calls.missing_rights(error) from error
            except (NotFound, calls.Refused):
                faults.append(f"{variable}: the account {self._settings.account!r} has no pool {name!r}")
                continue
            if pool.is_being_deleted:
                faults.append(f"{variable}: the pool {name!r} is being deleted")
            if not pool.takes_containers:
                faults.append(f"{variable}: the pool {name!r} runs no containers (it has no containerConfiguration)")
        if faults:
            raise ConfigError(faults)

    async def _see_account(self) -> None:
        try:
            await self._connection.jobs(f"startswith(id,'{places.prefix(self._settings)}')")
        except Forbidden as error:
            raise calls.missing_rights(error) from error
        except (NotFound, calls.Refused) as error:
            raise ConfigError([f"the account at {self._settings.endpoint} cannot be read: {error}"]) from error

    async def pool(self, name: str, *, is_from_spec: bool) -> Pool:
        """The pool of that name. Raises Permanent(INVALID_SPEC or SUBMISSION_REFUSED) where there is none, or it is
        being deleted."""
        pool = self._fresh(name, KEPT_SECONDS)
        if pool is None or pool.is_being_deleted:
            try:
                pool = await self._look_up(name)
            except (NotFound, calls.Refused):
                pool = None
        if pool is not None and not pool.is_being_deleted:
            return pool
        what = f"the account {self._settings.account!r} has no pool {name!r}"
        if pool is not None:
            what = f"the pool {name!r} is being deleted"
        if is_from_spec:
            raise Permanent(f"spec.azure.pool: {what}", reason=reasons.INVALID_SPEC)
        raise Permanent(f"{what} any more" if pool is None else what, reason=reasons.SUBMISSION_REFUSED)

    async def look(self, names: Collection[str]) -> None:
        """See in one call what became of all pools, unless that was done just now, and singly of those of these names
        that are not among them."""
        now = self._clock.monotonic()
        if now - self._listed_at < LOOK_SECONDS:
            return
        self._listed_at = now
        self._pools = {pool.id.lower(): (now, pool) for pool in await self._connection.pools()}
        for name in names:
            if name.lower() not in self._pools:
                await self._look_again(name, in_round=True)

    async def look_at(self, name: str) -> None:
        """The same for one pool."""
        known = self._pools.get(name.lower())
        if known is None or self._clock.monotonic() - known[0] >= LOOK_SECONDS:
            await self._look_again(name)

    def hold(self, name: str) -> Hold | None:
        """Why tasks of that pool wait, as far as was seen."""
        known = self._pools.get(name.lower())
        return holds.of_pool(name, known[1]) if known is not None else None

    async def _look_again(self, name: str, *, in_round: bool = False) -> None:
        try:
            await self._look_up(name, in_round=in_round)
        except (NotFound, calls.Refused):
            self._pools[name.lower()] = (self._clock.monotonic(), None)

    def _fresh(self, name: str, seconds: float) -> Pool | None:
        at, pool = self._pools.get(name.lower(), (-seconds, None))
        return pool if self._clock.monotonic() - at < seconds else None

    async def _look_up(self, name: str, *, in_round: bool = False) -> Pool:
        begun = self._clock.monotonic()
        self._pools.pop(name.lower(), None)
        try:
            pool = await self._connection.pool(name, in_round=in_round)
        except calls.Nameless:
            pool = pools.untold(name)  # an endpoint that has no pools; the service has a code for one that is missing
        self._pools[name.lower()] = (begun, pool)
        return pool
