"""Whether a tenant's policy lets a job be sent now, and what becomes of one that it does not."""

from controller.domain import admission
from controller.domain.errors import NotAllowed, Retryable
from controller.domain.job import Job
from controller.domain.tenants import TenantPolicy
from controller.ports import SubmitRequest

AGAIN_SECONDS = 30.0


class NotAllowedNow(Retryable):
    """The policy has changed since the job's first call to the service. Nothing was sent."""


def admit(job: Job, request: SubmitRequest, policy: TenantPolicy) -> None:
    """Raises NotAllowed for what the policy refuses.

    A job that a call was made for before waits instead, by NotAllowedNow: it may be at the service, and is not failed.
    """
    try:
        admission.check(request.spec, request.resources, request.sizing, policy)
    except NotAllowed as refused:
        if job.status.destination is None:
            raise
        raise NotAllowedNow(f"nothing more is sent: {refused}", delay=AGAIN_SECONDS) from refused
