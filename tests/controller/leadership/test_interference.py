"""Leases that somebody else changes or deletes, and wall clocks that are set."""

from tests.controller.leadership.harness import World


async def test_a_conflict_by_somebody_who_only_put_a_label_on_costs_nothing(world: World) -> None:
    a = await world.leader()
    for _ in range(5):
        world.lease.edit()
        await world.clock.advance(2)
    assert a.told == ["leads"]
    assert world.stored.renew_time >= "2026-01-01T00:00:10"


async def test_a_conflict_because_another_holds_it_ends_leadership_at_once(world: World) -> None:
    a = await world.leader()
    world.lease.edit(holder="b")
    await world.clock.advance(2)
    assert (a.leads, a.told) == (False, ["leads", "stops"])


async def test_a_lease_that_was_deleted_is_made_again_by_its_leader_and_not_taken_by_another(world: World) -> None:
    a = await world.leader()
    b = world.candidate("b")
    await world.clock.advance(1.5)
    world.lease.stored = None
    await world.clock.advance(10)
    assert (a.leads, b.leads, a.told, b.told) == (True, False, ["leads"], [])
    assert world.stored.holder == "a"


async def test_setting_the_wall_clock_changes_nothing_but_what_is_shown(world: World) -> None:
    a = await world.leader()
    b = world.candidate("b")
    for wall in (3600.0, -3600.0, 0.0):
        for candidate in (a, b):
            candidate.election._clock.wall = wall  # type: ignore[attr-defined]
        await world.clock.advance(20)
    assert (a.told, b.told) == (["leads"], [])
