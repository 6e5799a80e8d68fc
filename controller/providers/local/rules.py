"""What the local provider takes of a spec: pure. The API asks it as well, so that callers hear it at once."""

from collections.abc import Mapping

from controller.domain.job import JobSpec
from controller.domain.resources import ResourceSet, Sizing
from controller.providers import program
from controller.providers.program import invalid


def check(spec: JobSpec, resources: ResourceSet, sizing: Sizing, env: Mapping[str, str]) -> None:
    """Raises Permanent(INVALID_SPEC), which names the field, the limit and the remedy.

    `env`: every variable, resolved; from the API those that it knows.
    """
    program.check(spec, env, "local")
    for name in spec.cloud_secrets:
        raise invalid(f"env {name}", "cloudSecretRef needs a cloud: use secretKeyRef")
