"""EC2's instance types: what DescribeInstanceTypes answers, as the package moto ships it, and those that moto lacks."""

import gzip
from importlib import metadata
from importlib import resources as files
from typing import Any

import msgspec

from dev.machines.series import Row, Series, table

DATE = "2026-12-01"

_OTHERS = (
    Series("p2.", "", 0, "xlarge=4/61/1 8xlarge=32/488/8 16xlarge=64/732/16", "k80"),
    Series("p3.", "", 0, "2xlarge=8/61/1 8xlarge=32/244/4 16xlarge=64/488/8", "v100"),
    Series("g3s.", "", 0, "xlarge=4/30.5/1", "m60"),
    Series("g3.", "", 0, "4xlarge=16/122/1 8xlarge=32/244/2 16xlarge=64/488/4", "m60"),
    Series("g4ad.", "", 0, "xlarge=4/16 2xlarge=8/32 4xlarge=16/64 8xlarge=32/128 16xlarge=64/256"),  # AMD
    Series("dl1.", "", 0, "24xlarge=96/768"),  # Habana
    Series("f1.", "", 0, "2xlarge=8/122 4xlarge=16/244 16xlarge=64/976"),  # FPGAs
)


def source() -> str:
    """Where the table is from."""
    return f"EC2's DescribeInstanceTypes, as moto {metadata.version('moto')} ships it"


def types() -> dict[str, Row]:
    """The rows by name. Raises FileNotFoundError where moto has no such file."""
    packed = (files.files("moto") / "ec2" / "resources" / "instance_types.json.gz").read_bytes()
    answers: dict[str, Any] = msgspec.json.decode(gzip.decompress(packed))
    return table(_OTHERS) | {name: _row(answer) for name, answer in answers.items()}


def _row(answer: dict[str, Any]) -> Row:
    size = (answer["VCpuInfo"]["DefaultVCpus"], answer["MemoryInfo"]["SizeInMiB"])
    gpus = [gpu for gpu in answer.get("GpuInfo", {}).get("Gpus", ()) if gpu["Manufacturer"] == "NVIDIA"]
    if not gpus:
        return size
    # Of a part of a GPU the count is 0: the machine has one device.
    count = sum(gpu["Count"] or gpu["LogicalGpuCount"] for gpu in gpus)
    return (*size, count, gpus[0]["Name"].lower().replace(" ", "-"))
