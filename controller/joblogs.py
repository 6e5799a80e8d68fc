"""``jennah logs``: what a job wrote, wherever it runs. The job is found in Kubernetes, its lines at its provider."""

from collections.abc import AsyncIterator

from controller.domain import conditions, names
from controller.domain.errors import ConfigError, NotFound
from controller.domain.job import Job, parse
from controller.kube import kubeconfigs, paths
from controller.kube.client import KubeClient, items_of, load_configuration
from controller.startup import say

_WAITS = {
    (conditions.SUBMITTED, "False"),
    (conditions.ENVIRONMENT_READY, "False"),
    (conditions.SUSPENDED, "True"),
}  # fmt: skip


async def show(namespace: str, name: str) -> None:
    """Print the lines of the job of that name or job id. `namespace`: empty means the one of the kubeconfig's context.

    Raises NotFound, ConfigError, Forbidden, Unavailable.
    """
    async with KubeClient(await load_configuration()) as client:
        job = await _find(client, namespace or kubeconfigs.namespace(), name)
    if not job.is_submitted:
        raise NotFound(f"{job.metadata.name} was not submitted{_why(job)}")
    async for line in _lines(job):
        say(line)


async def _find(client: KubeClient, namespace: str, name: str) -> Job:
    try:
        return parse(await client.get(paths.job(namespace, name)))
    except NotFound:
        selector = f"{names.LABEL_JOB_ID}={name}"
        found = items_of(await client.get(paths.jobs(namespace), labelSelector=selector))
        if not found:
            raise NotFound(f"no JennahJob {name!r} in namespace {namespace}") from None
        return parse(found[0])


def _why(job: Job) -> str:
    """What its status says about that: how it ended, or what it waits for."""
    waits = (found.message for found in job.status.conditions if (found.type, found.status) in _WAITS)
    return next((f": {message}" for message in (job.status.message, *waits) if message), " yet")


def _lines(job: Job) -> AsyncIterator[str]:
    provider = job.status.provider
    try:
        match provider:
            case "local":
                from controller.providers.local import logs as local

                return local.lines(job)
            case "gcp":
                from controller.providers.gcp import logs as gcp

                return gcp.lines(job)
            case "aws":
                from controller.providers.aws import logs as aws

                return aws.lines(job)
            case "azure":
                from controller.providers.azure import logs as azure

                return azure.lines(job)
            case "kubernetes":
                from controller.providers.kubernetes import logs as kubernetes

                return kubernetes.lines(job)
    except ModuleNotFoundError as error:
        raise ConfigError([f"reading logs needs an extra: pip install 'jennah-controller[{provider}]'"]) from error
    raise NotFound(f"{job.metadata.name} is at the provider {provider!r}, whose logs cannot be read")
