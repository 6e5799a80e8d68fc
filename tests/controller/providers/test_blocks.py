"""The block of one service on a job that goes to another is refused, whoever chose the service."""

import pytest

from controller.domain.errors import Permanent
from controller.domain.job import AwsOptions, AzureOptions, GcpOptions, JobSpec, KubernetesOptions
from controller.domain.resources import Profiles, resolve, size
from controller.providers import services
from tests.controller.providers.mapped import PROVIDERS

BLOCKS = {"gcp": GcpOptions(), "aws": AwsOptions(), "azure": AzureOptions(), "kubernetes": KubernetesOptions()}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("block", BLOCKS)
def test_only_the_services_own_block_is_taken(provider: str, block: str) -> None:
    spec = JobSpec(image="busybox", command=("true",), **{block: BLOCKS[block]})
    asked = (provider, spec, resolve(spec, Profiles()), size(spec, Profiles()), {})
    if block == provider:
        services.check(*asked)
        return
    with pytest.raises(Permanent, match=rf"spec.{block}: the job goes to {provider}: .* set spec.provider to {block}"):
        services.check(*asked)
