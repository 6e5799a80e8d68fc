"""Whose job an object is. A namespace's label decides for all jobs in it, but for those that the API creates.

Jobs of a namespace without the label belong to the namespace itself (`names.namespace_tenant`), which is no tenant of
the API: who may make a namespace, or a job in one, need not be the tenant that is called the same there.
"""

from controller.domain import names, reasons
from controller.domain.job import Job
from controller.ports import JobResources


class Tenancy:
    """Called by the reconciler. `api_namespace`: where the API creates the jobs of all tenants."""

    def __init__(self, resources: JobResources, api_namespace: str) -> None:
        self._resources = resources
        self._api_namespace = api_namespace

    async def tenant_of(self, job: Job) -> str:
        """What was settled, else the namespace's label, else the namespace.

        Raises Forbidden, Unavailable. A job whose spec names another tenant than this is not to run.
        """
        wanted, settled, namespace = job.spec.tenant_id, job.status.tenant_id, job.metadata.namespace
        if settled and (job.status.reason == reasons.TENANT_MISMATCH or wanted in (None, "", settled)):
            return settled  # also where the label came later
        if wanted and namespace == self._api_namespace:
            return wanted
        labels = await self._resources.namespace_labels(namespace)
        return labels.get(names.LABEL_TENANT) or names.namespace_tenant(namespace)
