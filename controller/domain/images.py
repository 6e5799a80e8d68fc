"""Names of container images, by the grammar that registries and container engines share. Pure.

Source: the reference grammar of the OCI distribution specification and of Docker's reference package: a name whose
first part has a dot or a colon, or is "localhost", begins with a registry's host; everything else is of Docker Hub. (By
that package a first part with capital letters and no dot is a host, too. No such host has a registry: it is refused.)
"""

import re

import msgspec

DOCKER_HUB = "docker.io"
_DOCKER_HUB_NAMES = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})
IMAGE_MAX = 1024
_REPOSITORY_MAX = 255

_PORT = r"(?::[0-9]{1,5})?"
_HOST_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"(?:{_HOST_LABEL}(?:\.{_HOST_LABEL})*|\[[0-9a-fA-F:.]+\]){_PORT}")
_PART = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
"""The algorithms that container engines know; others they refuse."""
_PORT_MAX = 65_535


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image's name in its parts."""

    registry: str
    """As `registry_host` writes it."""
    repository: str
    """Of Docker Hub with its "library/" where the name has one part."""
    tag: str = ""
    digest: str = ""

    @property
    def full_name(self) -> str:
        """The same image with its registry named, as services that compare the beginning of names want it."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"


def parse(text: str) -> Image:
    """The parts of an image's name. Raises ValueError, which says what is wrong with which part."""
    if not text or len(text) > IMAGE_MAX:
        raise ValueError(f"an image's name has 1 to {IMAGE_MAX} characters")
    name, has_digest, digest = text.partition("@")
    host, slash, rest = name.partition("/")
    has_host = bool(slash) and (host == "localhost" or any(sign in host for sign in ".:["))
    registry, path = (host, rest) if has_host else (DOCKER_HUB, name)
    port = host.rpartition("]")[2].rpartition(":")[2] if has_host else ""
    if has_host and (not _HOST.fullmatch(host) or (port.isdecimal() and int(port) > _PORT_MAX)):
        raise ValueError(f"{host!r} is not the name of a registry: a host, and a port after ':' where it has one")
    path, has_tag, tag = path.partition(":")
    for part in path.split("/"):
        if not _PART.fullmatch(part):
            raise ValueError(_part_fault(part))
    if len(path) > _REPOSITORY_MAX:
        raise ValueError(f"the repository has more than {_REPOSITORY_MAX} characters")
    if has_tag and not _TAG.fullmatch(tag):
        raise ValueError(f"{tag!r} is not a tag: letters, digits and . _ -, not beginning with . or -, at most 128")
    if has_digest and not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is not a digest: sha256: and 64 digits of 0-9 and a-f, in lower case")
    registry = registry_host(registry)
    if registry == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    return Image(registry=registry, repository=path, tag=tag, digest=digest)


def fault(text: str) -> str | None:
    """Why this names no image, or None."""
    try:
        parse(text)
    except ValueError as error:
        return f"{text[:200]!r} is not an image: {error}"
    return None


def registry_host(text: str) -> str:
    """A registry as people write it (``https://Index.docker.io/v1/``, ``MyReg.azurecr.io:443``), as one name:
    the host in lower case, with a port other than 443; Docker Hub is ``docker.io``."""
    host = text.strip().removeprefix("https://").removeprefix("http://").partition("/")[0].lower().removesuffix(":443")
    return DOCKER_HUB if host in _DOCKER_HUB_NAMES else host


def _part_fault(part: str) -> str:
    if not part:
        return "a part of its path is empty"
    if part != part.lower():
        capital = next(letter for letter in part if letter.isupper())
        return f"{part!r} has the capital letter {capital!r}, and paths in registries are in lower case"
    return f"{part!r} is not part of a path: lower case letters and digits, with . _ or - between them"
