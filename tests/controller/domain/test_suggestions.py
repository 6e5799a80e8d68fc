"""Which name of a field was meant, and which is another one."""

import pytest

from controller.domain.suggestions import near_name

KNOWN = ["name", "image_uri", "command", "commands", "machine_type", "use_spot_vms", "gpu", "gpu.type"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("imageUrl", "image_uri"),
        ("IMAGE_URI", "image_uri"),
        ("image-uri", "image_uri"),
        ("imageuri", "image_uri"),
        ("commnd", "command"),
        ("commandss", "commands"),
        ("names", "name"),
        ("gpuType", "gpu.type"),
        ("type", "gpu.type"),  # rather than a part of machine_type
        ("machine", "machine_type"),
        ("spot", "use_spot_vms"),
        ("namespace", None),
        ("mach", None),
        ("foo", None),
        ("", None),
        ("_", None),
        ("я", None),
        ("image_uri" * 100, None),
    ],
)
def test_the_nearest_field(name: str, meant: str | None) -> None:
    assert near_name(name, KNOWN) == meant


def test_there_may_be_no_fields() -> None:
    assert near_name("name", []) is None
