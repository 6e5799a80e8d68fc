"""What the service takes of a spec: pure, without its SDK. The API asks it as well, so that callers hear it at once.

Sources: the service's reference and quotas (providers.md §1d, §1g); what it answers to a network's short name.
"""

import re
from collections.abc import Mapping

from controller.domain import machines
from controller.domain.job import GcpOptions, JobSpec
from controller.domain.resources import ResourceSet, Sizing
from controller.domain.suggestions import did_you_mean
from controller.providers import program
from controller.providers.gcp import gpus, labels, places
from controller.providers.program import invalid

DEFINITION_BYTES = 1_000_000
"""Of a whole job at the service."""
_OTHER_BYTES = 40_000
"""Of it, what is kept for all but the program's own words: labels twice, names, exit codes, the network."""
_ENTRY_BYTES = 16
"""What one word or variable takes beside its text."""
MAX_TASKS = 100_000
MIN_BOOT_DISK_GIB = 10

_INT64_MAX = 2**63 - 1
_SECRET = re.compile(r"projects/[^/]+/secrets/[^/]+/versions/[^/]+")
_LOCATION = re.compile(r"regions/([a-z0-9-]+)|zones/([a-z0-9-]+)-[a-z]")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_MACHINE_TYPE = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


def check(spec: JobSpec, resources: ResourceSet, sizing: Sizing, env: Mapping[str, str]) -> None:
    """Raises Permanent(INVALID_SPEC), which names the field, the limit and the remedy.

    `env`: every variable, resolved; from the API those that it knows.
    """
    program.check(spec, env, "gcp")
    _check_size(spec, env)
    for name, secret in spec.cloud_secrets.items():
        _check_secret(f"env {name}", secret)
    for field, amount in (("cpu", resources.cpu_millis), ("memory", resources.memory_mib)):
        if amount > _INT64_MAX:
            raise invalid(f"resources.{field}", "is beyond every machine")
    if sizing.machine is not None and sizing.machine.cloud != "gcp":
        raise invalid(
            "machineType",
            f"{sizing.machine.name} is a machine type of {sizing.machine.cloud}: name one of Google Cloud",
        )
    if spec.machine_type and not _MACHINE_TYPE.fullmatch(spec.machine_type):
        meant = did_you_mean(spec.machine_type, (machine.name for machine in machines.of_cloud("gcp")))
        fault = f"{spec.machine_type!r} is no machine type of Google Cloud, whose names have lower case letters, digits"
        raise invalid("machineType", f"{fault} and '-'{meant}")
    gpus.accelerator(spec, resources, sizing)
    if spec.boot_disk_gib is not None and spec.boot_disk_gib < MIN_BOOT_DISK_GIB:
        raise invalid("bootDiskGiB", f"the service takes no less than {MIN_BOOT_DISK_GIB}")
    if spec.completions > MAX_TASKS:
        raise invalid("completions", f"the service takes {MAX_TASKS} tasks a job; submit several jobs")
    if len(spec.labels or {}) > labels.MAX_OF_USERS:
        raise invalid("labels", f"the service takes {labels.MAX_OF_USERS} beside those that every job has")
    if spec.service_account and not _EMAIL.fullmatch(spec.service_account):
        raise invalid("serviceAccount", "must be the email address of a Google service account")
    _check_options(spec.gcp or GcpOptions())


def _check_size(spec: JobSpec, env: Mapping[str, str]) -> None:
    sizes = {
        "env": sum(
            _bytes(name) + _bytes(text) + _ENTRY_BYTES for name, text in (*env.items(), *spec.cloud_secrets.items())
        ),
        "command": sum(_bytes(word) + _ENTRY_BYTES for word in spec.command or ()),
        "args": sum(_bytes(word) + _ENTRY_BYTES for word in spec.args or ()),
    }
    total, limit = sum(sizes.values()), DEFINITION_BYTES - _OTHER_BYTES
    if total > limit:
        largest = max(sizes, key=lambda field: sizes[field])
        raise invalid(
            largest,
            f"command, args and env have {total} bytes together, the service takes {limit}: put what is large into a "
            "file that the program reads",
        )


def _check_options(gcp: GcpOptions) -> None:
    _check_secret("gcp.registryUsernameSecret", gcp.registry_username_secret)
    _check_secret("gcp.registryPasswordSecret", gcp.registry_password_secret)
    regions = set()
    for location in gcp.allowed_locations or ():
        match = _LOCATION.fullmatch(location)
        if match is None:
            raise invalid("gcp.allowedLocations", f"{location!r} is not of the form regions/R or zones/Z")
        regions.add(match.group(1) or match.group(2))
    if len(regions) > 1:
        raise invalid("gcp.allowedLocations", f"must be in one region, and {', '.join(sorted(regions))} are several")
    if gcp.network and places.network(gcp.network) is None:
        raise invalid(
            "gcp.network", f"{gcp.network!r} is no network: write its name, or projects/P/global/networks/NAME"
        )
    if gcp.subnetwork and places.subnetwork(gcp.subnetwork, "any") is None:
        raise invalid(
            "gcp.subnetwork",
            f"{gcp.subnetwork!r} is no subnetwork: write its name, or projects/P/regions/R/subnetworks/NAME",
        )


def _check_secret(field: str, name: str | None) -> None:
    """A value in place of a secret's name would be shown to everyone who sees the job."""
    if name and not _SECRET.fullmatch(name):
        raise invalid(field, "must be the name of a secret: projects/P/secrets/S/versions/V")


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
