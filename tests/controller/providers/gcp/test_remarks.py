"""What a job is told of itself: each difference once, with both numbers, and nothing where there is none."""

from typing import Any

import msgspec
import pytest

from controller.domain import conditions, reasons
from controller.domain.job import GcpOptions, Gpu, JobSpec, Resources
from tests.controller.providers.gcp.harness import World, request_for
from tests.controller.providers.gcp.mapping import mapped


def told(**spec: Any) -> list[tuple[str, str, str]]:
    found = mapped(JobSpec(**{"image": "busybox", **spec}), {}).remarks
    assert not any(remark.status for remark in found)
    return [(remark.condition, remark.reason, remark.message) for remark in found]


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"labels": {"team": "data", "x_1-y": ""}},
        {"machine_type": "n1-highmem-16"},
        {"machine_type": "g2-standard-4"},
        {"machine_type": "x-unknown", "resources": Resources(cpu=4, memory="8Gi")},
        {"active_deadline_seconds": 14 * 86400, "pending_deadline_seconds": 2 * 86400},
        {"completions": 5000, "parallelism": 9000},
        {"completions": 9000},
        {"gcp": GcpOptions(network="default", tags=("a",))},
    ],
)
def test_nothing_is_told_where_nothing_differs(spec: dict[str, Any]) -> None:
    assert told(**spec) == []


@pytest.mark.parametrize(
    ("spec", "condition", "reason", "words"),
    [
        (
            {"active_deadline_seconds": 1728000},
            conditions.DEADLINE_EXACT,
            reasons.LIMITED,
            ("1209600 s (14 days)", "1728000 s"),
        ),
        ({"pending_deadline_seconds": 200_000}, conditions.SPEC_HONOURED, reasons.LIMITED, ("172800 s", "200000 s")),
        (
            {"completions": 9000, "parallelism": 6000},
            conditions.PARALLELISM_HONOURED,
            reasons.LIMITED,
            ("5000", "6000"),
        ),
        (
            {"machine_type": "n9-newer-4"},
            conditions.RESOURCES_EXACT,
            reasons.UNKNOWN_MACHINE_TYPE,
            ("n9-newer-4", "2000m", "4096 MiB", "resources.memory"),
        ),
        (
            {"machine_type": "n9-newer-4", "resources": Resources(memory="8Gi")},
            conditions.RESOURCES_EXACT,
            reasons.UNKNOWN_MACHINE_TYPE,
            ("2000m", "8192 MiB"),
        ),
        (
            {"spot": True, "backoff_limit": 2, "preemption_limit": 5},
            conditions.RETRIES_EXACT,
            reasons.NOT_SUPPORTED,
            ("backoffLimit (2), which holds for both", "preemptionLimit (5)"),
        ),
        (
            {"labels": {"app.kubernetes.io/name": "Tool", "team": "data"}},
            conditions.SPEC_HONOURED,
            reasons.LIMITED,
            ("app.kubernetes.io/name=Tool is app-kubernetes-io-name=tool",),
        ),
        (
            {"gcp": GcpOptions(instance_template="t"), "resources": Resources(cpu=1, memory="1Gi"), "spot": True}
            | {"backoff_limit": 0},
            conditions.SPEC_HONOURED,
            reasons.NOT_SUPPORTED,
            ("spot changes nothing: gcp.instanceTemplate decides it",),
        ),
    ],
)
def test_a_difference_is_told_with_both_sides_of_it(
    spec: dict[str, Any], condition: str, reason: str, words: tuple[str, ...]
) -> None:
    ((found, why, message),) = told(**spec)
    assert (found, why) == (condition, reason)
    assert all(word in message for word in words), message


def test_all_that_a_template_takes_the_place_of_is_told() -> None:
    gcp = GcpOptions(
        instance_template="t",
        network="n",
        subnetwork="s",
        no_external_ip=True,
        boot_disk_type="pd-ssd",
        boot_disk_image="i",
        min_cpu_platform="p",
        reservation="r",
    )
    gpu = Gpu(count=1, type="t4")
    found = told(gcp=gcp, machine_type="n1-standard-4", boot_disk_gib=80, resources=Resources(gpu=gpu))
    messages = " ".join(message for _, _, message in found)
    fields = {name for name in msgspec.to_builtins(gcp) if name != "instanceTemplate"}
    for field in (*(f"gcp.{name}" for name in fields), "machineType", "bootDiskGiB", "resources.gpu"):
        assert f"{field} changes nothing" in messages
    assert "the size of the machine of gcp.instanceTemplate is not known" in messages


def test_only_some_labels_of_many_are_named() -> None:
    ((_, _, message),) = told(labels={f"Team{number}": "x" for number in range(20)})
    assert message.endswith(" and 16 more")


async def test_a_submission_tells_them_and_so_does_its_repeat(world: World) -> None:
    request = request_for(labels={"Team": "Data"})
    first, again = [await world.provider.submit(request) for _ in range(2)]
    assert [remark.condition for remark in first.remarks] == [conditions.SPEC_HONOURED]
    assert again.remarks == first.remarks
    world.ahead(2 * 3600)  # past the time in which the service ignores a repeat
    assert (await world.provider.submit(request)).remarks == first.remarks
