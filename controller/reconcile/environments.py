"""A job's environment on its way to the service: how long it is waited for, and what the record shows of it. Pure."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from controller.domain import conditions, reasons
from controller.domain.errors import EnvironmentMissing
from controller.domain.job import Job, JobStatus
from controller.domain.phases import Phase
from controller.ports import Environment
from controller.reconcile import statuses

ENV_PATIENCE_SECONDS = 2.0
"""The API creates the job first and its Secret right after: so long nothing is written about its absence."""
ENV_RETRY_SECONDS = 0.05
ENV_LOOK_AGAIN_SECONDS = 1.0


class EnvironmentWait(msgspec.Struct, frozen=True, kw_only=True):
    """How a job goes on whose environment is incomplete: its next status, and the seconds until the next look."""

    status: JobStatus
    seconds: float


def wait_for_environment(
    job: Job, missing: EnvironmentMissing, now: datetime, limit: float, led: float
) -> EnvironmentWait:
    """Wait up to `limit` seconds for what is missing, counted from when it was first noted; then the job has failed.

    The note may be a former leader's, whose clock was behind: the `led` seconds of our own leadership count as well.
    """
    noted = conditions.find(job.status.conditions, conditions.ENVIRONMENT_READY)
    age = (now - (job.metadata.creation_timestamp or now)).total_seconds()
    if noted is None and age < min(ENV_PATIENCE_SECONDS, limit):
        return EnvironmentWait(status=job.status, seconds=ENV_RETRY_SECONDS)
    waited = min((now - noted.last_transition_time).total_seconds(), led) if noted else 0.0
    if waited >= limit:
        failed = statuses.moved(
            job,
            job.status,
            Phase.FAILED,
            reason=reasons.ENV_SECRET_MISSING,
            message=f"{missing} (waited {limit:g} s)",
            at=now,
            now=now,
        )
        return EnvironmentWait(status=failed, seconds=0.0)
    status = statuses.marked(
        job,
        conditions.ENVIRONMENT_READY,
        False,
        reason=reasons.WAITING_FOR_ENVIRONMENT,
        message=str(missing),
        now=now,
    )
    return EnvironmentWait(status=status, seconds=min(ENV_LOOK_AGAIN_SECONDS, max(limit - waited, 0.0)))


def shown_environment(environment: Environment, *, redact: bool) -> Mapping[str, str]:
    """What EnvVarsJson keeps: the names always, the values unless DB_REDACT_ENV."""
    return dict.fromkeys(environment.shown, "") if redact else environment.shown
