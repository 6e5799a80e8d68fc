"""Whose job an object is, as the controller will settle it (controller/reconcile/tenancy.py)."""

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

    def __init__(self, client: KubeClient, clock: Clock, *, own_namespace: str) -> None:
        """`own_namespace`: where the API itself creates jobs."""
        self._client = client
        self._clock = clock
        self._own_namespace = own_namespace
        self._namespaces: dict[str, tuple[float, str | None]] = {}

    async def tenant_of(self, job: Job) -> str:
        """What the controller settled on, else what it will; "" where we may not look. Raises Unavailable.

        A job that names another tenant than its namespace's label is not shown to that one: it will not run. The
        object's own label says nothing: it is the controller's, and before that anybody's.
        """
        namespace, wanted = job.metadata.namespace, job.spec.tenant_id
        if job.status.tenant_id or (wanted and namespace == self._own_namespace):
            return job.status.tenant_id or wanted or ""
        label = await self._label_of(namespace)
        return "" if label is None else label or names.namespace_tenant(namespace)

    async def _label_of(self, namespace: str) -> str | None:
        """Its tenant; "" where it has no label, None where we may not look."""
        now = self._clock.monotonic()
        known = self._namespaces.get(namespace)
        if known is not None and now - known[0] < REMEMBERED_SECONDS:
            return known[1]
        label: str | None
        try:
            label = await self._look_up(namespace)
        except Forbidden as error:
            # Nobody's until the controller has settled whose it is: it must not fail the lists of all tenants.
            LOG.warning("jobs of namespace %s are not shown before they are accepted: %s", namespace, error)
            label = None
        self._namespaces[namespace] = (now, label)
        return label

    async def _look_up(self, namespace: str) -> str:
        try:
            found = await self._client.get(paths.namespace(namespace))
        except NotFound:
            return ""
        return str((found["metadata"].get("labels") or {}).get(names.LABEL_TENANT) or "")
