"""The account's pools, looked up before anything goes to them: the service would take a job for a pool that does not
exist, and let it wait for ever (providers.md §3d)."""

from controller.cloud_settings import AzureSettings
from controller.domain import reasons
from controller.domain.errors import ConfigError, Forbidden, NotFound, Permanent
from controller.ports import Clock
from controller.providers.azure import calls, pools
from controller.providers.azure.connection import AzureConnection
from controller.providers.azure.pools import Pool

KEPT_SECONDS = 300.0
"""How long a pool is taken to be as it was; one that does not exist is asked for each time."""


class Catalogue:
    """Pools, remembered for a while."""

    def __init__(self, connection: AzureConnection, settings: AzureSettings, clock: Clock) -> None:
        self._connection = connection
        self._settings = settings
        self._clock = clock
        self._pools: dict[str, tuple[float, Pool]] = {}
        """By id in small letters: the service pays no regard to their case."""

    async def check(self) -> None:
        """See that every configured pool exists and runs containers. Raises ConfigError, Unavailable."""
        faults = []
        for name in pools.configured(self._settings):
            variable = "AZURE_BATCH_POOL" if name == self._settings.pool else "AZURE_BATCH_POOLS"
            try:
                pool = await self._look_up(name)
            except Forbidden as error:
                raise calls.missing_rights(error) from error
            except (NotFound, calls.Refused):
                faults.append(f"{variable}: the account {self._settings.account!r} has no pool {name!r}")
                continue
            if not pool.takes_containers:
                faults.append(f"{variable}: the pool {name!r} runs no containers (it has no containerConfiguration)")
        if faults:
            raise ConfigError(faults)

    async def pool(self, name: str, *, is_from_spec: bool) -> Pool:
        """The pool of that name. Raises Permanent(INVALID_SPEC or SUBMISSION_REFUSED) where there is none."""
        known = self._pools.get(name.lower())
        if known is not None and self._clock.monotonic() - known[0] < KEPT_SECONDS:
            return known[1]
        try:
            return await self._look_up(name)
        except (NotFound, calls.Refused):
            account = self._settings.account
            if is_from_spec:
                text, reason = f"spec.azure.pool: the account {account!r} has no pool {name!r}", reasons.INVALID_SPEC
            else:
                text, reason = f"the account {account!r} has no pool {name!r} any more", reasons.SUBMISSION_REFUSED
            raise Permanent(text, reason=reason) from None

    async def _look_up(self, name: str) -> Pool:
        begun = self._clock.monotonic()
        self._pools.pop(name.lower(), None)
        pool = await self._connection.pool(name)
        self._pools[name.lower()] = (begun, pool)
        return pool
