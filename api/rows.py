"""Rows of the record as the API makes them: the first one of a submitted job, and those of jobs not recorded yet."""

from collections.abc import Mapping

import msgspec

from controller.domain import records, resources
from controller.domain.errors import Invalid
from controller.domain.job import Job, JobSpec, JobStatus
from controller.domain.records import JobRow, Routing
from controller.domain.resources import Profiles, ResourceSet
from controller.ports import Clock


class Rows:
    """Holds what a row needs beside the job: the profiles, the time, and whether env values may be stored."""

    def __init__(self, *, profiles: Profiles, clock: Clock, redact_env: bool) -> None:
        self._profiles = profiles
        self._clock = clock
        self._redact_env = redact_env

    @property
    def redacts_env(self) -> bool:
        """Whether values of environment variables are neither stored nor shown."""
        return self._redact_env

    def first(self, job: Job, tenant_id: str, env_vars: Mapping[str, str]) -> JobRow:
        """The row of transition 0, whatever has become of the job since."""
        shown = {name: "" if self._redact_env else value for name, value in env_vars.items()}
        created = msgspec.structs.replace(job, status=JobStatus())
        return self._row(created, tenant_id, shown or None)

    def of(self, job: Job, tenant_id: str) -> JobRow:
        """The row of a job as its status stands; without its environment, which only the record has."""
        return self._row(job, tenant_id, None)

    def routing(self, spec: JobSpec) -> Routing:
        """The labels that the Gateway shows."""
        return records.routing(spec.machine_type, self._resources(spec), spec.completions)

    def _row(self, job: Job, tenant_id: str, env: Mapping[str, str] | None) -> JobRow:
        now = self._clock.now()
        return records.job_row(job, tenant_id=tenant_id, resources=self._resources(job.spec), env=env, now=now)

    def _resources(self, spec: JobSpec) -> ResourceSet:
        try:
            return resources.resolve(spec, self._profiles)
        except Invalid:  # kubectl may name an unknown profile: the controller will fail that job and say so
            return self._profiles.default_resources
