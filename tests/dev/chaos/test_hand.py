"""The deeds that are more than one act: what is done in which order, and that all is whole afterwards."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest

from dev.chaos.hand import Hand
from dev.chaos.links import Link, Trouble
from dev.chaos.members import Member
from dev.chaos.plan import Plan
from dev.chaos.servers import Servers
from dev.chaos.workload import Workload
from dev.emulators.faults import Faults

OTHER = {"BATCH_REGION": "elsewhere"}


class Scene:
    """Two operators, the API, their servers and callers; all that is done is noted."""

    def __init__(self, deed: str) -> None:
        self.log: list[str] = []
        self.operators = [FakeMember(self, f"operator-{n}") for n in range(2)]
        self.api = FakeMember(self, "api")
        plan = Plan(
            provider="gcp", seed=1, jobs=1, seconds=0, deeds={deed: 1}, pause_between_deeds=(0, 0), faults=Faults()
        )
        self.hand = Hand(
            plan,
            cast("Servers", FakeServers(self)),
            cast("Sequence[Member]", self.operators),
            cast("Member", self.api),
            cast("Workload", FakeWorkload(self)),
        )

    @property
    def members(self) -> "list[FakeMember]":
        return [*self.operators, self.api]

    async def play(self, until: Callable[[], bool]) -> None:
        await self.hand.run(until)
        await self.hand.heal()

    async def play_once(self) -> None:
        await self.play(lambda: self.hand.done.total() > 0)


class FakeMember:
    def __init__(self, scene: Scene, name: str) -> None:
        self.name = name
        self.links = {"database": Link(name, "127.0.0.1", 1)}
        self.clock = None
        self.is_busy = False
        self.settings: Mapping[str, str] = {}
        self._scene = scene

    async def start(self) -> None:
        self._scene.log.append(f"{self.name} starts {dict(self.settings)}")

    async def kill(self) -> None:
        self._scene.log.append(f"{self.name} ends")

    async def terminate(self) -> None:
        await self.kill()


class FakeServers:
    can_restore_kube = True

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def alternatives(self) -> list[dict[str, str]]:
        return [OTHER]

    async def copy_kube(self) -> Path:
        self._scene.log.append("copy")
        return Path("copy")

    async def restore_kube(self, copy: Path) -> None:
        assert all(member.is_busy for member in self._scene.members), "nothing else may start one of them meanwhile"
        self._scene.log.append(f"restore {copy}")


class FakeWorkload:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    async def repeat(self, shares: Sequence[float]) -> None:
        troubles = {member.links["database"].trouble for member in self._scene.members}
        self._scene.log.append(
            f"{len(shares)} repeats, readable: {Trouble.NONE in troubles or Trouble.SLOW in troubles}"
        )


async def test_kubernetes_is_restored_while_nobody_works_with_it() -> None:
    scene = Scene("restore-kubernetes")
    await scene.play_once()
    names = ("operator-0", "operator-1", "api")
    ends, starts = {f"{name} ends" for name in names}, {f"{name} starts {{}}" for name in names}
    assert (scene.log[0], set(scene.log[1:4]), scene.log[4], set(scene.log[5:])) == (
        "copy",
        ends,
        "restore copy",
        starts,
    )
    assert not any(member.is_busy for member in scene.members)


async def test_one_operator_is_started_with_other_settings_and_at_the_end_with_its_own() -> None:
    scene = Scene("change-settings")
    await scene.play_once()
    begun = [line for line in scene.log if "starts" in line]
    name = begun[0].partition(" ")[0]
    assert begun == [f"{name} starts {OTHER}", f"{name} starts {{}}"]


async def test_requests_are_repeated_while_the_database_cannot_be_read() -> None:
    scene = Scene("unreadable-database")
    await scene.play_once()
    assert scene.log == ["10 repeats, readable: False"]
    assert {member.links["database"].trouble for member in scene.members} == {Trouble.NONE}


async def test_kills_count_whatever_deed_they_belong_to() -> None:
    scene = Scene("change-settings")
    await scene.play(lambda: scene.hand.kills > 1)
    assert scene.hand.kills >= 2
    assert scene.hand.done["kill"] == 0


async def test_a_deed_that_fails_ends_the_run() -> None:
    scene = Scene("empty-status")

    async def failing(_: float) -> None:
        raise ValueError("a fault of the harness")

    scene.hand._workload.empty_a_status = failing  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="a fault of the harness"):
        await scene.play(lambda: scene.hand.done.total() > 3)
