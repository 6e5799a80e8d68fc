"""The SDK's client: with the account's key, or with azure-identity's default chain."""

from typing import Any

from azure.batch.aio import BatchClient
from azure.core.credentials import AzureNamedKeyCredential

from controller import proxies
from controller.cloud_settings import AzureSettings

CONNECT_SECONDS = 2.0
READ_SECONDS = 6.0


class Client:
    """A client and the credential that is to be closed with it."""

    def __init__(self, account: str, endpoint: str, key: str) -> None:
        proxies.agree(endpoint)
        credential: Any
        self._credential: Any = None
        if key:
            credential = AzureNamedKeyCredential(account, key)
        else:
            from azure.identity.aio import DefaultAzureCredential

            credential = self._credential = DefaultAzureCredential()
        self.batch = BatchClient(
            endpoint,
            credential,
            # A create that is sent again by itself could end as "exists" on its own job; the rest is repeated by us.
            retry_total=0,
            connection_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
        )

    async def close(self) -> None:
        await self.batch.close()
        if self._credential is not None:
            await self._credential.close()


def make(settings: AzureSettings) -> Client:
    """A client of the account of the settings."""
    return Client(settings.account, settings.endpoint, settings.account_key)
