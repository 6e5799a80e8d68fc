"""Whose job an object is, where its spec does not say (design §2): our label, the namespace's label, the namespace."""

import logging
from typing import Final

from controller.domain import names
from controller.domain.errors import Forbidden, NotFound
from controller.domain.job import Job
from controller.kube import paths
from controller.kube.client import KubeClient
from controller.ports import Clock

LOG = logging.getLogger(__name__)

REMEMBERED_SECONDS: Final = 60.0
"""How long a namespace's label is remembered: it hardly ever changes."""


class Tenancy:
    """Finds tenants; asks Kubernetes for a namespace's label at most once a minute."""

    def __init__(self, client: KubeClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._namespaces: dict[str, tuple[float, str]] = {}

    async def tenant_of(self, job: Job) -> str:
        """What the controller settled on, else what it will; "" where we may not look. Raises Unavailable."""
        known = job.status.tenant_id or job.spec.tenant_id or job.metadata.labels.get(names.LABEL_TENANT)
        return known or await self._tenant_of_namespace(job.metadata.namespace)

    async def _tenant_of_namespace(self, namespace: str) -> str:
        now = self._clock.monotonic()
        known = self._namespaces.get(namespace)
        if known is not None and now - known[0] < REMEMBERED_SECONDS:
            return known[1]
        try:
            tenant = await self._look_up(namespace)
        except Forbidden as error:
            # Nobody's until the controller has settled whose it is: it must not fail the lists of all tenants.
            LOG.warning("jobs of namespace %s without a tenant are not shown yet: %s", namespace, error)
            tenant = ""
        self._namespaces[namespace] = (now, tenant)
        return tenant

    async def _look_up(self, namespace: str) -> str:
        try:
            found = await self._client.get(paths.namespace(namespace))
        except NotFound:
            return namespace
        labels = found["metadata"].get("labels") or {}
        tenant: str = labels.get(names.LABEL_TENANT) or namespace
        return tenant
