"""What the service takes of a spec: pure, without its SDK. The API asks it as well, so that callers hear it at once.

Sources: providers.md §3d (fields) and §3g (limits). What depends on a pool is in `pools`.
"""

import json
import re
from collections.abc import Mapping

from controller.domain import images
from controller.domain.job import AzureOptions, JobSpec
from controller.domain.resources import ResourceSet, Sizing
from controller.providers import program
from controller.providers.azure import commandline

LONGEST_SECONDS = 180 * 24 * 3600
"""The service ends a task that is older."""
OWN_BYTES = 900_000
"""Of a task's command line and environment, as JSON: a call that makes tasks takes less than 1 MB, and the rest of a
task (its image, ids, and where its output goes) has room beside that."""

_POOL_ID = re.compile(r"[\w-]{1,64}", re.ASCII)


def check(spec: JobSpec, resources: ResourceSet, sizing: Sizing, env: Mapping[str, str]) -> None:
    """Raises Permanent(INVALID_SPEC), which names the field, the limit and the remedy.

    `env`: every variable, resolved; from the API those that it knows.
    """
    program.check(spec, env, "azure")
    azure = spec.azure or AzureOptions()
    if azure.pool:
        check_pool_id(azure.pool)
    _check_registry(spec, azure)
    if spec.service_account:
        raise program.invalid(
            "serviceAccount", "tasks have no identity of their own; give the pool one (its identity setting)"
        )
    for name in spec.cloud_secrets:
        raise program.invalid(
            f"env {name}",
            "Azure Batch cannot fill a variable from a vault (cloudSecretRef): use a Secret, or let the program read "
            "Key Vault by the pool's identity",
        )
    if resources.max_run_duration_seconds > LONGEST_SECONDS:
        raise program.invalid("activeDeadlineSeconds", f"the service runs a task for at most {LONGEST_SECONDS} s")
    _check_size(spec, env)


def check_pool_id(pool: str) -> None:
    """Raises Permanent(INVALID_SPEC) for what is no pool's id: ".", say, would be the path of another resource."""
    if not _POOL_ID.fullmatch(pool):
        raise program.invalid(
            "azure.pool", f"{pool!r} is no pool's id: letters, digits, '-' and '_', at most 64 characters"
        )


def _check_registry(spec: JobSpec, azure: AzureOptions) -> None:
    server, identity = azure.registry_server, azure.registry_identity
    if bool(server) != bool(identity):
        raise program.invalid("azure", "registryServer and registryIdentity go together")
    registry = images.parse(spec.image).registry
    if server and images.registry_host(server) != registry:
        raise program.invalid(
            "azure.registryServer",
            f"{server!r} is not the registry of the image, which is {registry!r}: its credentials would not be used",
        )


def _check_size(spec: JobSpec, env: Mapping[str, str]) -> None:
    sizes = {
        "env": len(json.dumps([{"name": name, "value": text} for name, text in env.items()])),
        "command": len(json.dumps(commandline.join(spec.command or ()))),
        "args": len(json.dumps(commandline.join(spec.args or ()))),
    }
    total = sum(sizes.values())
    if total > OWN_BYTES:
        fault = f"command, args and env have {total} bytes together as JSON, the service takes {OWN_BYTES}"
        remedy = "put what is large into a file that the program reads"
        raise program.invalid(max(sizes, key=lambda field: sizes[field]), f"{fault}: {remedy}")
