"""The tables of machine types: their form, sizes known from elsewhere, and the GPUs of families that have them."""

import json
from importlib import resources as files
from typing import Any

import pytest

from controller.domain import machines

TABLES: dict[str, dict[str, Any]] = {
    cloud: json.loads((files.files("controller.domain") / "machine_types" / f"{cloud}.json").read_text())
    for cloud in machines.CLOUDS
}


@pytest.mark.parametrize("cloud", machines.CLOUDS)
def test_a_table_has_a_source_a_date_and_rows_in_order(cloud: str) -> None:
    table = TABLES[cloud]
    assert set(table) == {"source", "date", "types"}
    assert table["source"]
    assert table["date"].count("-") == 2
    assert list(table["types"]) == sorted(table["types"])
    for name, row in table["types"].items():
        assert len(row) in (2, 4), name
        assert 0 < row[0] <= 2000, name
        assert isinstance(row[1], int), name
        assert 512 <= row[1] <= 40 * 2**20, name
        assert len(row) == 2 or (0 < row[2] <= 16 and row[3] == row[3].lower() != ""), name


def test_names_of_the_clouds_do_not_overlap() -> None:
    names = [name for table in TABLES.values() for name in table["types"]]
    assert len(names) == len(set(names)) > 3000
    assert all(name == name.lower() for name in TABLES["azure"]["types"]), "they are looked up in lower case"


@pytest.mark.parametrize(
    ("name", "cloud", "cpu_millis", "memory_mib"),
    [
        ("n1-standard-1", "gcp", 1000, 3840),
        ("n1-highmem-16", "gcp", 16000, 106496),
        ("e2-standard-4", "gcp", 4000, 16384),
        ("e2-micro", "gcp", 2000, 1024),
        ("n1-highcpu-2", "gcp", 2000, 1843),
        ("c2-standard-60", "gcp", 60000, 245760),
        ("c4d-highcpu-4", "gcp", 4000, 7168),
        ("n2-custom-48-184320", "gcp", 48000, 184320),
        ("custom-2-13312-ext", "gcp", 2000, 13312),
        ("r5.xlarge", "aws", 4000, 32768),
        ("t3.nano", "aws", 2000, 512),
        ("c5.large", "aws", 2000, 4096),
        ("Standard_D2s_v3", "azure", 2000, 8192),
        ("STANDARD_D1_V2", "azure", 1000, 3584),
        ("standard_e4-2s_v3", "azure", 2000, 32768),
        ("standard_f2s_v2", "azure", 2000, 4096),
        ("E2-STANDARD-4", "gcp", 4000, 16384),
        ("R5.xlarge", "aws", 4000, 32768),
        ("N2-Custom-4-8192", "gcp", 4000, 8192),
    ],
)
def test_known_sizes(name: str, cloud: str, cpu_millis: int, memory_mib: int) -> None:
    machine = machines.find(name)
    assert machine is not None
    assert (machine.cloud, machine.cpu_millis, machine.memory_mib, machine.gpus, machine.gpu_type) == (
        cloud,
        cpu_millis,
        memory_mib,
        0,
        "",
    )


@pytest.mark.parametrize(
    ("name", "gpus", "gpu_type"),
    [
        ("a2-highgpu-1g", 1, "nvidia-tesla-a100"),
        ("a2-megagpu-16g", 16, "nvidia-tesla-a100"),
        ("a2-ultragpu-8g", 8, "nvidia-a100-80gb"),
        ("a3-highgpu-8g", 8, "nvidia-h100-80gb"),
        ("a3-ultragpu-8g", 8, "nvidia-h200-141gb"),
        ("g2-standard-96", 8, "nvidia-l4"),
        ("g4dn.12xlarge", 4, "t4"),
        ("p5.48xlarge", 8, "h100"),
        ("g6f.large", 1, "l4"),
        ("Standard_NC64as_T4_v3", 4, "t4"),
        ("Standard_ND96asr_v4", 8, "a100"),
        ("Standard_NV6ads_A10_v5", 1, "a10"),
    ],
)
def test_gpus_that_a_machine_brings_with_it(name: str, gpus: int, gpu_type: str) -> None:
    machine = machines.find(name)
    assert machine is not None
    assert (machine.gpus, machine.gpu_type) == (gpus, gpu_type)


WITH_GPUS = {
    "gcp": ("a2-", "a3-", "a4-", "a4x-", "g2-", "g4-"),
    "aws": (
        "p2.",
        "p3.",
        "p3dn.",
        "p4d.",
        "p4de.",
        "p5.",
        "p5e.",
        "p5en.",
        "g3.",
        "g4dn.",
        "g5.",
        "g6.",
        "g6e.",
        "gr6.",
    ),
    "azure": ("standard_nc", "standard_nd"),
}


@pytest.mark.parametrize(("cloud", "family"), [(c, family) for c, all_of in WITH_GPUS.items() for family in all_of])
def test_each_type_of_a_family_with_gpus_has_them(cloud: str, family: str) -> None:
    rows = {name: row for name, row in TABLES[cloud]["types"].items() if name.startswith(family)}
    assert rows
    assert [name for name, row in rows.items() if len(row) == 2 and "mi300x" not in name] == []


@pytest.mark.parametrize("name", ["", None, "e2-standard-5", "custom-x-1", "custom-0-4096", "g2-custom-4-16384"])
def test_what_is_not_known_is_none(name: str | None) -> None:
    assert machines.find(name) is None
