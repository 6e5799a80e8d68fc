"""What tests may expect of the two programs, wherever they run, and the lease that tells which operator leads."""

import asyncio
from typing import Any, Protocol

from controller.kube.client import KubeClient

LIMIT_SECONDS = 40.0


class Programs(Protocol):
    """Two operators and an API of one installation: `local.LocalPrograms`, `installed.InstalledPrograms`."""

    @property
    def api_url(self) -> str: ...

    @property
    def has_operator(self) -> bool:
        """Whether an operator runs."""

    async def start(self) -> None:
        """Until all of them work; again, after some were ended."""

    async def stop(self) -> None:
        """What is of ours of them."""

    async def holder(self) -> str:
        """Whom the lease names."""

    async def next_holder(self, last: str) -> str:
        """Whom the lease names after that one."""

    async def kill_leader(self) -> str:
        """At once, as a crash would; as whom it led."""

    async def surprises(self) -> list[str]:
        """The lines that no program of ours should print."""


class Lease:
    """The lease at that path."""

    def __init__(self, client: KubeClient, path: str) -> None:
        self._client = client
        self._path = path

    async def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = (await self._client.get(self._path))["spec"]
        return spec

    async def holder(self) -> str:
        return str((await self.spec()).get("holderIdentity") or "")

    async def next_holder(self, last: str) -> str:
        async with asyncio.timeout(LIMIT_SECONDS):
            while (holder := await self.holder()) in (last, ""):
                await asyncio.sleep(0.1)
            return holder


def is_surprise(line: str) -> bool:
    """Whether no program of ours should print that."""
    return "Traceback" in line or "unexpected failure" in line
