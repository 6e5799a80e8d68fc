"""Names of images: what registries can have, what they cannot, and how two names of one registry compare."""

import pytest

from controller.domain import images
from controller.domain.images import Image

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    "image",
    [
        "busybox",
        "busybox:1.36",
        "a/b-c.d__e:V1.0",
        "acme/to---ol",
        f"r.example.com:5000/a@{DIGEST}",
        f"ghcr.io/acme/tool:1.2@{DIGEST}",
        "[2001:db8::1]:5000/a",
        "me-docker.pkg.dev/p/r/i:1",
        "Registry.Acme.example:5000/tool:V2-RC1",
        "localhost/tool:LATEST",
        "localhost:5000/tool",
        "ghcr.io:65535/tool@sha384:" + "a" * 96,
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/tool:1",
    ],
)
def test_images_that_there_can_be(image: str) -> None:
    assert images.fault(image) is None


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("", "1 to 1024"),
        ("ghcr.io/Acme/Tool:1.2", "capital letter 'A'"),
        ("acme/myTool", "capital letter 'T'"),
        ("Acme/tool", "capital letter 'A'"),
        ("BusyBox", "capital letter 'B'"),
        ("ghcr.io/acme/tool@sha256:" + "A" * 64, "is not a digest"),
        ("ghcr.io/acme/tool@sha256:" + "a" * 63, "is not a digest"),
        ("ghcr.io/acme/tool@" + "a" * 64, "is not a digest"),
        ("ghcr.io/acme//tool:1", "a part of its path is empty"),
        ("ghcr.io/acme/tool/", "a part of its path is empty"),
        ("/tool", "a part of its path is empty"),
        ("ghcr.io/acme/tool:-1", "is not a tag"),
        ("ghcr.io/acme/tool:", "is not a tag"),
        ("ghcr.io/acme/tool:" + "a" * 129, "is not a tag"),
        ("ghcr.io/acme/tool:1@", "is not a digest"),
        ("ghcr.io/acme/tool@md5:" + "a" * 32, "is not a digest"),
        ("ghcr.io/acme/tool@sha384:" + "a" * 64, "is not a digest"),
        ("ghcr.io:65536/tool", "is not the name of a registry"),
        ("[2001:db8::1]:99999/a", "is not the name of a registry"),
        ("-host.example/tool", "is not the name of a registry"),
        ("ghcr.io:port/tool", "is not the name of a registry"),
        ("https://ghcr.io/acme/tool", "is not the name of a registry"),
        ("ghcr.io/acme/a___b", "is not part of a path"),
        ("ghcr.io/-acme/tool", "is not part of a path"),
        ("ghcr.io/" + "a" * 256, "255"),
        ("-v=/:/host", "is not"),
        ("--privileged a", "is not part of a path"),
        ("busybox 1.36", "is not part of a path"),
        ("a\n", "is not part of a path"),
        ("a;b", "is not part of a path"),
        ("$(id)", "is not part of a path"),
        ("naïve/tool", "is not part of a path"),
    ],
)
def test_images_that_there_cannot_be_are_told_with_the_part_that_is_wrong(image: str, told: str) -> None:
    assert told in (images.fault(image) or "")


def test_an_image_has_its_registry_named() -> None:
    assert images.parse("busybox").full_name == "docker.io/library/busybox"
    assert images.parse("acme/private-tool:1.2").full_name == "docker.io/acme/private-tool:1.2"
    assert images.parse(f"Index.docker.io/acme/a:1@{DIGEST}") == Image(
        registry="docker.io", repository="acme/a", tag="1", digest=DIGEST
    )


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("docker.io", "https://index.docker.io/v1/", True),
        ("registry-1.docker.io", "DOCKER.IO", True),
        ("MyReg.azurecr.io", "https://myreg.azurecr.io/", True),
        ("myreg.azurecr.io:443", "myreg.azurecr.io", True),
        ("r.example.com:5000", "r.example.com", False),
        ("r.example.com", "r.example.com.evil.example", False),
        ("evil-docker.io", "docker.io", False),
    ],
)
def test_registries_compare_by_host_and_port(one: str, other: str, is_same: bool) -> None:
    assert (images.registry_host(one) == images.registry_host(other)) is is_same
