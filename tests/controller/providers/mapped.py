"""What an adapter makes of a spec, for tests that hold all adapters to the same: nothing is sent.

Each service's tests have a module `mapping` with a function ``mapped(spec, env) -> Mapped`` that goes through the
adapter's own pure mapping, with settings that suit the table of docs/jennahjob.md.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import msgspec

from controller.domain.differences import Remark
from controller.domain.job import JobSpec

PROVIDERS = ("gcp", "aws", "azure", "kubernetes", "local")


class Mapped(msgspec.Struct, frozen=True, kw_only=True):
    """`sent`: all that goes to the service, as JSON: each object or call under a name of its own."""

    sent: dict[str, Any]
    remarks: tuple[Remark, ...] = ()


def mapped(provider: str, spec: JobSpec, env: Mapping[str, str] | None = None) -> Mapped:
    """Raises Permanent(INVALID_SPEC) for what the adapter refuses."""
    module = importlib.import_module(f"tests.controller.providers.{provider}.mapping")
    found: Mapped = module.mapped(spec, env or {})
    return found
