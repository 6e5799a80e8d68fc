"""API_AUTH=kubernetes: whose tokens the cluster is asked about, and how many at once."""

import asyncio
from typing import Any

import pytest

from api.auth import REVIEWED_SECONDS, REVIEWS_AT_ONCE, TokenReviews
from api.connect.errors import Code, ConnectError
from tests.controller.fakes import FakeClock


class Reviewer:
    """The cluster: it knows one token, and answers while it may."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.under_way = self.most = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.odd: dict[str, dict[str, Any] | None] = {}
        """What else it answers, by token."""

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(body["spec"]["token"])
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.may_answer.wait()
        self.under_way -= 1
        return {"status": self.odd.get(body["spec"]["token"], {"authenticated": body["spec"]["token"] == "good"})}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def cluster() -> Reviewer:
    return Reviewer()


async def test_a_token_is_asked_about_once_a_minute(cluster: Reviewer) -> None:
    clock = FakeClock()
    authorize = TokenReviews(cluster, clock)  # type: ignore[arg-type]
    for _ in range(3):
        await authorize(bearer("good"))
        with pytest.raises(ConnectError) as refused:
            await authorize(bearer("bad"))
        assert refused.value.code is Code.UNAUTHENTICATED
    assert cluster.asked == ["good", "bad"]
    clock.pause(REVIEWED_SECONDS)
    await authorize(bearer("good"))
    assert cluster.asked == ["good", "bad", "good"]


async def test_callers_with_made_up_tokens_leave_room_for_others(cluster: Reviewer) -> None:
    """Each of them would be a call to Kubernetes, on the connections that all other calls need as well."""
    authorize = TokenReviews(cluster, FakeClock())  # type: ignore[arg-type]
    await authorize(bearer("good"))
    cluster.may_answer.clear()
    others = [asyncio.create_task(authorize(bearer(f"made-up-{number}"))) for number in range(100)]
    while cluster.under_way < REVIEWS_AT_ONCE:
        await asyncio.sleep(0)
    await authorize(bearer("good"))
    cluster.may_answer.set()
    refusals = await asyncio.gather(*others, return_exceptions=True)
    assert all(isinstance(refusal, ConnectError) for refusal in refusals)
    assert cluster.most == REVIEWS_AT_ONCE


async def test_a_review_without_a_word_is_a_refusal(cluster: Reviewer) -> None:
    cluster.odd = {"null": None, "empty": {}, "refused": {"user": {}, "error": "invalid bearer token"}}
    authorize = TokenReviews(cluster, FakeClock())  # type: ignore[arg-type]
    for token in cluster.odd:
        with pytest.raises(ConnectError) as refused:
            await authorize(bearer(token))
        assert refused.value.code is Code.UNAUTHENTICATED
