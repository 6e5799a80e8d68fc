"""Each part of the benchmark at a tiny size: that it measures what it says, not how fast."""

import json
from pathlib import Path
from typing import Any

import pytest

from controller.kube import paths
from dev.bench import churn, compare, many, quick, results
from dev.bench.installation import Cpu, installation

OFTEN = {"OBSERVE_MIN_SECONDS": "0.1", "OBSERVE_MAX_SECONDS": "0.2"}


def say(line: str) -> None:
    """To nobody."""


async def test_a_life_makes_three_writes_at_most_and_the_limit_as_many() -> None:
    found: dict[str, dict[str, Any]] = await compare.measure(
        ("life", "limit"), jobs=40, peer_jobs=0, rounds=1, databases=("postgres", "sqlite"), kubeconfig=None, say=say
    )
    life, limit = found["life"], found["limit"]
    assert 3 <= found["life"]["sqlite"]["status_patches_a_job"] <= 4
    assert 3 <= life["status_patches_a_job"] <= 4
    assert limit["kubernetes_writes_a_job"] == pytest.approx(2 + life["status_patches_a_job"], abs=0.1)
    assert life["ms_until_acknowledged"]["p50"] < life["ms_until_completed"]["p50"]
    assert 0 < life["ratio_to_limit"] < 1.5


async def test_the_plain_operator_leads_jobs_to_the_same_end() -> None:
    found: dict[str, dict[str, Any]] = await compare.measure(
        ("peer",), jobs=10, peer_jobs=10, rounds=1, databases=("sqlite",), kubeconfig=None, say=say
    )
    assert found["peer"]["kubernetes_writes_a_job"] >= 5


async def test_a_costly_server_spends_that_cpu_on_writes_and_not_on_reads() -> None:
    async with installation(cpu_per_write=30) as made:
        cpu = Cpu(server=made.server_pid)
        for number in range(10):
            await made.kube.post(paths.secrets("default"), {"metadata": {"name": f"s-{number}"}})
        writes = cpu.ms_a_job(10)["server"]
        cpu = Cpu(server=made.server_pid)
        for number in range(10):
            await made.kube.get(paths.secret("default", f"s-{number}"))
        assert writes >= 29
        assert cpu.ms_a_job(10)["server"] < writes - 15


async def test_an_operator_that_finds_jobs_as_they_should_be_writes_nothing_and_tells_what_ends() -> None:
    found: dict[str, dict[str, Any]] = await many.measure(
        many.PARTS, sizes=(40,), seconds=1.5, kubeconfig=None, say=say, intervals=OFTEN
    )
    assert found["cold"]["40"]["writes_but_for_the_lease"] == 0
    assert found["idle"]["40"]["observation_rounds"] >= 2
    assert found["idle"]["40"]["kubernetes_calls_a_minute"].get("PATCH", 0) == 0
    assert found["detect"]["40"]["changes"] == 6


async def test_at_a_steady_rate_all_jobs_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(churn, "RUN_SECONDS", 0.5)
    found: dict[str, Any] = await churn.measure(
        rate=10, seconds=3, database="sqlite", kubeconfig=None, say=say, settings=OFTEN
    )
    assert found["acknowledged"] == 30


async def test_quick_fails_on_ratios_that_are_out_of_line_in_each_try(tmp_path: Path) -> None:
    results.write("life", dict.fromkeys(quick.RATIOS, 0.4), tmp_path)
    good = dict.fromkeys(quick.RATIOS, 0.21)
    low = good | {"ratio_to_peer": 0.19}

    async def check(*tries: dict[str, object]) -> None:
        left = iter(tries)

        async def measured(_: quick.Say) -> dict[str, object]:
            return next(left)

        await quick.check(tmp_path, say, measured)

    await check(good)
    await check(low, good)
    with pytest.raises(quick.OutOfLine, match=r"ratio_to_peer is 0\.190, less than half of 0\.400"):
        await check(low, low, low)


def test_a_file_tells_what_it_was_measured_on(tmp_path: Path) -> None:
    written = json.loads(results.write("limit", {"jobs": 1}, tmp_path).read_text())
    assert written["jobs"] == 1
    assert {"machine", "versions", "measured_at"} < written.keys()
