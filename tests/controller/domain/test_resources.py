"""Profiles, quantities and routing, as contract §3 and §1 give them."""

import pytest

from controller.domain import machines
from controller.domain.errors import Invalid
from controller.domain.job import Gpu, JobSpec, Resources
from controller.domain.records import routing
from controller.domain.resources import (
    MOST_CPU_MILLIS,
    MOST_MEMORY_MIB,
    Profiles,
    ResourceSet,
    Sizing,
    cpu_millis,
    memory_mib,
    resolve,
    size,
)


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


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        (Resources(cpu=0), r"^resources\.cpu: 0 is nothing; leave cpu out"),
        (Resources(cpu="0m"), r"^resources\.cpu: '0m' is nothing"),
        (Resources(cpu="4096001m"), r"^resources\.cpu: '4096001m' is more than any machine has; 4096000m is the most"),
        (Resources(memory="0Gi"), r"^resources\.memory: '0Gi' is nothing; leave memory out"),
        (Resources(memory="95Pi"), r"^resources\.memory: '95Pi' is more than any machine has; 67108864 MiB"),
        (Resources(shared_memory=0), r"^resources\.sharedMemory: 0 is nothing; leave sharedMemory out"),
    ],
)
def test_sizes_of_nothing_and_beyond_every_machine_are_refused(resources: Resources, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        size(JobSpec(image="i", resources=resources), Profiles())


def test_the_largest_machines_of_all_clouds_are_no_more_than_half_of_what_may_be_asked_for() -> None:
    known = [one for cloud in machines.CLOUDS for one in machines.of_cloud(cloud)]
    assert max(one.cpu_millis for one in known) * 2 <= MOST_CPU_MILLIS
    assert max(one.memory_mib for one in known) * 2 <= MOST_MEMORY_MIB


@pytest.mark.parametrize(
    ("machine_type", "count", "is_taken"),
    [("g5.xlarge", 1, True), ("g5.xlarge", 2, False), ("r5.xlarge", 1, False), ("n2-standard-4", 1, False),
     ("n1-standard-4", 4, True), ("custom-4-8192", 2, True), ("x-unknown-1", 8, True)],
)  # fmt: skip
def test_no_more_gpus_than_the_machine_type_has(machine_type: str, count: int, is_taken: bool) -> None:
    wanted = Resources(gpu=Gpu(count=count))
    if is_taken:
        assert sizing(machine_type, wanted).gpu == Gpu(count=count)
        return
    with pytest.raises(
        Invalid, match=rf"^resources\.gpu\.count: {count} is more than \d, which is what the machine type "
    ):
        sizing(machine_type, wanted)


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


def sizing(
    machine_type: str | None = None, resources: Resources | None = None, profiles: Profiles | None = None
) -> Sizing:
    return size(JobSpec(image="i", machine_type=machine_type, resources=resources), profiles or Profiles())


@pytest.mark.parametrize(
    ("machine_type", "expected"),
    [
        ("n1-highmem-16", (16000, 106496, 3600)),
        ("n1-standard-1", (1000, 3840, 3600)),
        ("c2-standard-60", (60000, 245760, 3600)),
        ("r5.xlarge", (4000, 32768, 3600)),
        ("Standard_D2s_v3", (2000, 8192, 3600)),
        ("x-unknown-1", (2000, 4096, 3600)),
    ],
)
def test_a_machine_type_alone_is_all_of_that_machine(machine_type: str, expected: tuple[int, int, int]) -> None:
    assert figures(JobSpec(image="i", machine_type=machine_type)) == expected


def test_a_machine_type_goes_before_the_profile_and_after_what_was_asked_for() -> None:
    spec = JobSpec(image="i", machine_type="n1-standard-4", resources=Resources(profile="xlarge", cpu="500m"))
    assert figures(spec) == (500, 15360, 14400)


def test_what_the_settings_say_of_a_machine_type_goes_before_the_table() -> None:
    profiles = Profiles(machine_type_resources={"e2-standard-4": ResourceSet(cpu_millis=3500)})
    assert figures(JobSpec(image="i", machine_type="e2-standard-4"), profiles) == (3500, 16384, 3600)
    told = sizing("e2-standard-4", profiles=profiles)
    assert (told.takes_all_cpu, told.takes_all_memory) == (False, True)


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        (
            Resources(memory="16Gi"),
            r"resources\.memory: 16384 MiB do not fit on the machine type n1-standard-4.* 15360",
        ),
        (Resources(cpu="4001m"), r"resources\.cpu: 4001m do not fit on the machine type n1-standard-4.* 4000m"),
        (Resources(cpu="1", memory="15361Mi"), r"resources\.memory: 15361 MiB do not fit"),
    ],
)
def test_more_than_the_machine_has_is_refused(resources: Resources, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        figures(JobSpec(image="i", machine_type="n1-standard-4", resources=resources))


def test_exactly_what_the_machine_has_is_taken() -> None:
    wanted = Resources(cpu=4, memory="15Gi")
    assert figures(JobSpec(image="i", machine_type="n1-standard-4", resources=wanted))[:2] == (4000, 15360)


def test_the_sizing_of_a_job_without_a_machine_type() -> None:
    assert sizing() == sizing(resources=Resources(cpu="1")) == Sizing()


def test_the_sizing_of_a_machine_type_alone() -> None:
    told = sizing("n1-standard-4")
    assert told.machine is not None
    assert (told.machine.name, told.takes_all_cpu, told.takes_all_memory) == ("n1-standard-4", True, True)
    assert (told.is_unknown_machine, told.gpu, told.shared_memory_mib) == (False, None, 0)


def test_what_was_asked_for_is_not_the_machines() -> None:
    told = sizing("n1-standard-4", Resources(cpu="1"))
    assert (told.takes_all_cpu, told.takes_all_memory) == (False, True)
    told = sizing("n1-standard-4", Resources(memory="1Gi"))
    assert (told.takes_all_cpu, told.takes_all_memory) == (True, False)
    told = sizing("n1-standard-4", Resources(profile="large"))
    assert (told.takes_all_cpu, told.takes_all_memory) == (True, True), "a profile comes after the machine type"


def test_a_machine_type_that_neither_the_tables_nor_the_settings_know_is_told() -> None:
    assert sizing("x-unknown-1").is_unknown_machine
    known = Profiles(machine_type_resources={"x-unknown-1": ResourceSet(memory_mib=1)})
    assert not sizing("x-unknown-1", profiles=known).is_unknown_machine


def test_gpus_of_the_machine_type_are_implied_unless_some_are_asked_for() -> None:
    told = sizing("a2-highgpu-2g")
    assert (told.gpu, told.is_gpu_implied) == (Gpu(count=2, type="nvidia-tesla-a100"), True)
    told = sizing("a2-highgpu-2g", Resources(gpu=Gpu(count=1)))
    assert (told.gpu, told.is_gpu_implied) == (Gpu(count=1), False)
    told = sizing(None, Resources(gpu=Gpu(count=1, type="t4")))
    assert (told.gpu, told.is_gpu_implied) == (Gpu(count=1, type="t4"), False)


def test_shared_memory_is_what_is_asked_for_else_half_of_the_memory_with_gpus() -> None:
    assert sizing(None, Resources(shared_memory="1Gi", memory="4Gi")).shared_memory_mib == 1024
    assert sizing(None, Resources(memory="4Gi", gpu=Gpu(count=1))).shared_memory_mib == 2048
    assert sizing("g2-standard-4").shared_memory_mib == 8192
    assert sizing("g2-standard-4", Resources(shared_memory="100Mi")).shared_memory_mib == 100


def test_all_of_the_memory_can_be_shared_and_no_more() -> None:
    assert sizing(None, Resources(shared_memory="4Gi", memory="4Gi")).shared_memory_mib == 4096
    with pytest.raises(Invalid, match=r"resources\.sharedMemory: 4097 MiB are more than the memory of 4096 MiB"):
        sizing(None, Resources(shared_memory="4097Mi", memory="4Gi"))
    with pytest.raises(Invalid, match=r"^resources\.sharedMemory: 'much' is not"):
        sizing(None, Resources(shared_memory="much"))
