"""``jennah logs``: what a job wrote, wherever it runs. The job is found in Kubernetes, its lines at its provider."""

from collections.abc import AsyncIterator

from controller.domain import conditions, names
from controller.domain.errors import ConfigError, Invalid, NotFound
from controller.domain.job import Job, parse
from controller.kube import kubeconfigs, paths
from controller.kube.client import KubeClient, items_of, load_configuration
from controller.startup import say


async def show(namespace: str, name: str) -> None:
    """Print the lines of the job of that name or job id. `namespace`: empty means the one of the kubeconfig's context.

    Raises Invalid for what is no name or stands for several jobs, NotFound where there is nothing to print, saying why,
    BrokenPipeError where who reads has enough, ConfigError, Forbidden, Unavailable.
    """
    if names.object_name_fault(name) is not None:
        raise Invalid(
            f"{name!r} is neither the name of a JennahJob nor a job id, which have lower case letters, digits, '-' and "
            "'.'; kubectl get jj shows the names"
        )
    if namespace and (fault := names.namespace_fault(namespace)):
        raise Invalid(fault)
    async with KubeClient(await load_configuration()) as client:
        job = await _find(client, namespace or kubeconfigs.namespace(), name)
    if not job.is_submitted:
        raise NotFound(f"{job.metadata.name} was not submitted{_why(job) or ' yet'}")
    has_any = False
    try:
        async for line in _lines(job):
            has_any = True
            say(line)
    except NotFound as error:
        if has_any:
            raise
        raise NotFound(f"{error}{_why(job)}") from error
    if not has_any:
        raise NotFound(_nothing(job))


async def _find(client: KubeClient, namespace: str, name: str) -> Job:
    try:
        return parse(await client.get(paths.job(namespace, name)))
    except NotFound:
        selector = f"{names.LABEL_JOB_ID}={name}"
        found = items_of(await client.get(paths.jobs(namespace), labelSelector=selector))
        if not found:
            raise NotFound(f"no JennahJob {name!r} in namespace {namespace}") from None
        if len(found) > 1:  # each tenant of the API has its own job ids
            several = ", ".join(sorted(item["metadata"]["name"] for item in found))
            message = f"{name!r} is the job id of several jobs in namespace {namespace}; name one: {several}"
            raise Invalid(message) from None
        return parse(found[0])


def _why(job: Job) -> str:
    """What its status says about that: how it ended, or what it waits for. It begins with a colon; "": nothing."""
    waits = conditions.waiting(job.status.conditions)
    message = job.status.message or (waits.message if waits is not None else None)
    return f": {message}" if message else ""


def _nothing(job: Job) -> str:
    """Why a job that was submitted has no lines, as far as is known."""
    name, status = job.metadata.name, job.status
    if status.started_at is None:
        return f"{name} has no logs: no task is known to have begun{_why(job)}"
    where = f"; {status.logs_url}" if status.logs_url else ""
    if job.is_finished:
        return f"{name} has no logs: it wrote nothing, or {status.provider} does not have its logs (any more){where}"
    return f"{name} has no logs yet: it has written nothing, or its lines have not arrived{where}"


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
