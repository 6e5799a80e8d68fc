"""Whether a tenant may have a job, asked before anything of it is made. The operator asks the same again."""

from controller.domain import admission, resources
from controller.domain.job import JobSpec
from controller.domain.resources import Profiles
from controller.kube.tenants import TenantPolicies


class Admission:
    """The policies of all tenants, and the profiles that tell a job's size."""

    def __init__(self, policies: TenantPolicies, profiles: Profiles) -> None:
        self._policies = policies
        self._profiles = profiles

    async def check(self, spec: JobSpec, tenant_id: str) -> None:
        """Raises NotAllowed, Invalid for wrong sizes, Forbidden and Unavailable where no policy can be read."""
        policy = await self._policies.policy_for(tenant_id)
        wanted, sizing = resources.resolve(spec, self._profiles), resources.size(spec, self._profiles)
        admission.check(spec, wanted, sizing, policy)
