"""Collaborators that are down when a test says so."""

from typing import Any

from controller.domain.errors import Forbidden, Throttled, Unavailable
from controller.ports import JobStore

ADDRESS = "db.internal:5432"


class FaultyStore:
    """A store whose calls raise while `is_down`; everything else is the real one's."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self.is_down = False

    def __getattr__(self, name: str) -> Any:
        if self.is_down:
            return _unavailable
        return getattr(self._store, name)


class FaultyClient:
    """A KubeClient whose calls raise while `is_down`, or for paths that are `refused`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.is_down = False
        self.refused: set[str] = set()
        self.lost_replies = 0
        """How many of the next objects are made without the caller's hearing of it."""
        self.throttled = 0
        """How many of the next calls that would make objects are put off."""

    async def get(self, path: str, **query: str) -> Any:
        if path in self.refused:
            raise Forbidden(f"Kubernetes API: GET {path}: 403 Forbidden")
        return await (_unavailable() if self.is_down else self._client.get(path, **query))

    async def post(self, path: str, body: Any) -> Any:
        if self.throttled:
            self.throttled -= 1
            raise Throttled("Kubernetes API: 429 TooManyRequests: storage is (re)initializing", delay=1)
        answer = await (_unavailable() if self.is_down else self._client.post(path, body))
        if self.lost_replies:
            self.lost_replies -= 1
            raise Unavailable("the connection broke")
        return answer

    def __getattr__(self, name: str) -> Any:
        return _unavailable if self.is_down else getattr(self._client, name)


async def _unavailable(*arguments: object, **options: object) -> Any:
    raise Unavailable(f"cannot connect to {ADDRESS}")
