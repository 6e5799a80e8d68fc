"""How a Job comes to be, so that a process that was stopped at any step makes nothing run when it wakes.

The Job is made suspended: it runs nothing. Then comes its Secret, which it owns. Then it is let go, by a change of the
Job as it was made or read. Leadership is asked for before each of these calls (`kube.client`), so what a process makes
whose time is over stays suspended. Whoever leads goes on from where another stopped.
"""

from controller.cloud_settings import KubernetesSettings
from controller.domain import reasons
from controller.domain.errors import AlreadyExists, Conflict, Invalid, NotFound, Permanent, Retryable, Unavailable
from controller.ports import SubmitRequest
from controller.providers.kubernetes import labels, observation, request
from controller.providers.kubernetes.cluster import Cluster
from controller.providers.kubernetes.places import Place
from controller.providers.kubernetes.wire import Job

TRIES = 5
"""To let a Job go as it was read: the Job controller writes to it meanwhile."""


class Making:
    """The steps, on one cluster."""

    def __init__(self, cluster: Cluster, settings: KubernetesSettings) -> None:
        self._cluster = cluster
        self._settings = settings

    async def make(self, asked: SubmitRequest, place: Place) -> tuple[Job, bool]:
        """The Job with all that it needs, and whether it is a new one. Errors as of `BatchProvider.submit`."""
        wanted = request.job(asked, self._settings)
        try:
            job = await self._cluster.create_job(wanted)
        except AlreadyExists:
            return await self._completed(asked, place, await self._existing(asked, place)), False
        except NotFound as error:
            raise Retryable(f"the namespace {place.namespace} does not exist: {error}") from error
        except Invalid as error:
            raise Permanent(f"Kubernetes refused the Job: {error}", reason=reasons.SUBMISSION_REFUSED) from error
        return await self._completed(asked, place, job), True

    async def _existing(self, asked: SubmitRequest, place: Place) -> Job:
        job = await self._cluster.job(place)
        if job is None:
            raise Unavailable(f"the Job {place.name} existed and is gone")
        if job.metadata.labels.uid != asked.uid:
            text = f"{place.path} exists already and belongs to another JennahJob"
            raise Permanent(text, reason=reasons.NAME_TAKEN)
        return job

    async def _completed(self, asked: SubmitRequest, place: Place, job: Job) -> Job:
        """That Job with its Secret and let go, whatever of it was done before."""
        if _is_over(job):
            return job
        await self._give_environment(asked, place, job)
        for _ in range(TRIES):
            if not observation.is_unreleased(job):
                return job
            try:
                return await self._cluster.change_job(job, request.release(asked, job))
            except (Conflict, NotFound):
                job = await self._existing(asked, place)
            except Invalid as error:
                await self._undo(job)
                text = f"Kubernetes refused to let the Job go: {error}"
                raise Permanent(text, reason=reasons.SUBMISSION_REFUSED) from error
        raise Conflict(f"the Job {place.name} moves too fast to be let go as it was read; it is tried again")

    async def _give_environment(self, asked: SubmitRequest, place: Place, job: Job) -> None:
        secret = request.secret(asked, self._settings, job.metadata.uid)
        if secret is None:
            return
        try:
            await self._cluster.create_secret(secret)
        except AlreadyExists:
            carried = await self._cluster.secret_labels(place)
            if carried.get(labels.UID) != asked.uid:
                await self._undo(job)
                text = f"the Secret {place.secret} exists already and belongs to another"
                raise Permanent(text, reason=reasons.NAME_TAKEN) from None
        except Invalid:
            await self._undo(job)
            # Not chained: the API server may have quoted values.
            text = "Kubernetes refused the Secret with the environment"
            raise Permanent(text, reason=reasons.SUBMISSION_REFUSED) from None

    async def _undo(self, job: Job) -> None:
        """Take back a Job that cannot be completed: it would wait for ever."""
        try:
            await self._cluster.delete_job(job, propagation="Background")
        except NotFound:
            return


def _is_over(job: Job) -> bool:
    return observation.has_ended(job) or job.metadata.deletion_timestamp is not None
