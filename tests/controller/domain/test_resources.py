"""Profiles, quantities and routing, as contract §3 and §1 give them."""

import pytest

from controller.domain.errors import Invalid
from controller.domain.job import JobSpec, Resources
from controller.domain.records import routing
from controller.domain.resources import Profiles, ResourceSet, cpu_millis, memory_mib, resolve


def figures(spec: JobSpec, profiles: Profiles | None = None) -> tuple[int, int, int]:
    found = resolve(spec, profiles or Profiles())
    return found.cpu_millis, found.memory_mib, found.max_run_duration_seconds


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (None, (2000, 4096, 3600)),
        ("default", (2000, 4096, 3600)),
        ("small", (1000, 2048, 1800)),
        ("medium", (2000, 4096, 3600)),
        ("large", (4000, 8192, 7200)),
        ("xlarge", (8000, 16384, 14400)),
    ],
)
def test_the_built_in_profiles(profile: str | None, expected: tuple[int, int, int]) -> None:
    assert figures(JobSpec(image="i", resources=Resources(profile=profile))) == expected


def test_an_override_wins_over_the_machine_type_over_the_profile_over_the_default() -> None:
    profiles = Profiles(machine_type_resources={"m1": ResourceSet(cpu_millis=7000, memory_mib=7000)})
    spec = JobSpec(image="i", machine_type="m1", resources=Resources(profile="small", cpu="500m"))
    assert figures(spec, profiles) == (500, 7000, 1800)


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Invalid, match="known are default, large, medium, small, xlarge"):
        figures(JobSpec(image="i", resources=Resources(profile="giant")))


@pytest.mark.parametrize(
    ("quantity", "millis"), [("2", 2000), (2, 2000), ("500m", 500), ("0.5", 500), ("1.001", 1001), ("0.0001", 1)]
)
def test_cpu_quantities(quantity: str | int, millis: int) -> None:
    if quantity == "0.0001":
        with pytest.raises(Invalid):
            cpu_millis(quantity)
    else:
        assert cpu_millis(quantity) == millis


@pytest.mark.parametrize(
    ("quantity", "mib"), [("4Gi", 4096), ("512Mi", 512), ("1G", 954), (1048577, 2), ("1.5Gi", 1536), ("1Ki", 1)]
)
def test_memory_quantities_round_up_to_mib(quantity: str | int, mib: int) -> None:
    assert memory_mib(quantity) == mib


@pytest.mark.parametrize("quantity", ["", "x", "-1", "1m", "1GiB", "1 Gi"])
def test_what_is_no_memory_quantity(quantity: str) -> None:
    with pytest.raises(Invalid, match=r"resources\.memory"):
        memory_mib(quantity)


SMALL = ResourceSet(cpu_millis=4000, memory_mib=8192, max_run_duration_seconds=3600)


@pytest.mark.parametrize(
    ("machine_type", "resources", "completions", "level"),
    [
        (None, SMALL, 1, "SIMPLE"),
        ("e2-standard-4", SMALL, 1, "COMPLEX"),
        (None, ResourceSet(cpu_millis=4001, memory_mib=1, max_run_duration_seconds=1), 1, "COMPLEX"),
        (None, ResourceSet(cpu_millis=1, memory_mib=8193, max_run_duration_seconds=1), 1, "COMPLEX"),
        (None, ResourceSet(cpu_millis=1, memory_mib=1, max_run_duration_seconds=3601), 1, "COMPLEX"),
        (None, SMALL, 2, "COMPLEX"),
    ],
)
def test_routing_labels(machine_type: str | None, resources: ResourceSet, completions: int, level: str) -> None:
    route = routing(machine_type, resources, completions)
    assert route.complexity_level == level
    assert (route.assigned_service == "CLOUD_BATCH") == (level == "COMPLEX")
    assert route.reason
