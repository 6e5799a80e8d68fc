"""What is known of every service without its SDK: its rules and its column of the table of fields."""

from collections.abc import Mapping

from controller.domain.job import JobSpec
from controller.domain.resources import ResourceSet, Sizing
from controller.domain.support import Column
from controller.providers.aws import rules as aws_rules
from controller.providers.aws import support as aws_support
from controller.providers.azure import rules as azure_rules
from controller.providers.azure import support as azure_support
from controller.providers.gcp import rules as gcp_rules
from controller.providers.gcp import support as gcp_support
from controller.providers.kubernetes import rules as kubernetes_rules
from controller.providers.kubernetes import support as kubernetes_support
from controller.providers.local import rules as local_rules
from controller.providers.local import support as local_support

_RULES = {
    "gcp": gcp_rules.check,
    "aws": aws_rules.check,
    "azure": azure_rules.check,
    "kubernetes": kubernetes_rules.check,
    "local": local_rules.check,
}
COLUMNS: Mapping[str, Column] = {
    "gcp": gcp_support.COLUMN,
    "aws": aws_support.COLUMN,
    "azure": azure_support.COLUMN,
    "kubernetes": kubernetes_support.COLUMN,
    "local": local_support.COLUMN,
}


def check(provider: str, spec: JobSpec, resources: ResourceSet, sizing: Sizing, env: Mapping[str, str]) -> None:
    """See that the service can take such a job. Raises Permanent(INVALID_SPEC); an unknown service takes all."""
    if provider in _RULES:
        _RULES[provider](spec, resources, sizing, env)
