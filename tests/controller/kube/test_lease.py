"""The Lease against the API server: what is written, what kubectl shows, and the guards."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest

from controller.candidacy import Timing
from controller.clock import SystemClock
from controller.domain.errors import AlreadyExists, Conflict, NotFound, Unavailable
from controller.kube import paths
from controller.kube.client import KubeClient
from controller.kube.lease import KubeLease, Lease, micro_time
from controller.leadership import Election
from tests import kubeapi

TIME = "2026-01-02T03:04:05.000600Z"
MINE = Lease(holder="me", duration_seconds=15, acquire_time=TIME, renew_time=TIME)


@pytest.fixture
async def kube(tmp_path: Path) -> AsyncIterator[KubeClient]:
    async with kubeapi.serving(tmp_path) as client:
        yield client


@pytest.fixture
def lease(kube: KubeClient) -> KubeLease:
    return KubeLease(kube, "default", "jennah-controller")


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC), TIME),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000000Z"),
        (datetime(2026, 1, 2, 5, 4, 5, 600, tzinfo=timezone(timedelta(hours=2))), TIME),
    ],
)
def test_a_micro_time_is_utc_with_six_digits(moment: datetime, text: str) -> None:
    assert micro_time(moment) == text


async def test_what_is_written_is_read_again(lease: KubeLease) -> None:
    with pytest.raises(NotFound):
        await lease.get()
    made = await lease.create(MINE)
    assert made == await lease.get()
    assert (made.holder, made.duration_seconds, made.acquire_time, made.renew_time) == ("me", 15, TIME, TIME)


async def test_a_second_creation_is_refused(lease: KubeLease) -> None:
    await lease.create(MINE)
    with pytest.raises(AlreadyExists):
        await lease.create(MINE)


async def test_of_two_writes_on_one_version_the_second_is_a_conflict(lease: KubeLease) -> None:
    seen = await lease.create(MINE)
    first = await lease.replace(msgspec.structs.replace(seen, holder="a"))
    with pytest.raises(Conflict):
        await lease.replace(msgspec.structs.replace(seen, holder="b"))
    assert first == await lease.get()


async def test_a_lease_that_was_deleted_is_not_made_again_by_a_write(kube: KubeClient, lease: KubeLease) -> None:
    """A PUT may create a Lease, but not one whose uid the writer names."""
    seen = await lease.create(MINE)
    await kube.delete(paths.lease("default", "jennah-controller"))
    with pytest.raises(Conflict):
        await lease.replace(msgspec.structs.replace(seen, holder="b"))
    with pytest.raises(NotFound):
        await lease.get()


async def test_a_write_keeps_what_others_put_there(kube: KubeClient, lease: KubeLease) -> None:
    await lease.create(MINE)
    path = paths.lease("default", "jennah-controller")
    await kube.merge_patch(path, {"metadata": {"labels": {"team": "batch"}}, "spec": {"strategy": "example.com/mine"}})
    await lease.replace(msgspec.structs.replace(await lease.get(), holder=""))
    raw = await kube.get(path)
    assert raw["metadata"]["labels"] == {"team": "batch"}
    assert raw["spec"]["strategy"] == "example.com/mine"


async def test_a_lease_without_a_spec_is_held_by_nobody(kube: KubeClient, lease: KubeLease) -> None:
    body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "jennah-controller"}}
    await kube.post(paths.leases("default"), body)
    empty = await lease.get()
    assert (empty.holder, empty.duration_seconds, empty.transitions) == ("", 0, 0)
    assert (await lease.replace(msgspec.structs.replace(MINE, version=empty.version, whole=empty.whole))).holder == "me"


async def test_a_reply_that_is_no_lease_is_unavailable() -> None:
    class Odd:
        async def get(self, path: str) -> dict[str, object]:
            return {"metadata": {}, "spec": {"leaseDurationSeconds": "long"}}

    with pytest.raises(Unavailable, match="no Lease"):
        await KubeLease(Odd(), "default", "x").get()  # type: ignore[arg-type]


async def test_an_election_on_the_real_object(kube: KubeClient, lease: KubeLease) -> None:
    def election(name: str) -> Election:
        return Election(
            lease,
            identity=name,
            timing=Timing(ttl=15, interval=2),
            clock=SystemClock(),
            started=lambda: None,
            stopped=lambda: None,
        )

    a, b = election("a"), election("b")
    for _ in range(3):  # look, make, renew
        await a.step()
    await b.step()
    assert (a.is_leader(), b.is_leader()) == (True, False)
    await a.release()
    for _ in range(2):  # look, take
        await b.step()
    assert (a.is_leader(), b.is_leader()) == (False, True)
    raw = (await kube.get(paths.lease("default", "jennah-controller")))["spec"]
    assert (raw["holderIdentity"], raw["leaseTransitions"], raw["leaseDurationSeconds"]) == ("b", 1, 15)
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", raw[name]) for name in ("acquireTime", "renewTime")
    )
    assert raw["acquireTime"] == raw["renewTime"]
