"""What a job's tasks wrote, from Cloud Logging. Needs the extra gcp-logs, which is imported when it is called."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.protobuf import json_format

from controller import proxies
from controller.domain.errors import ConfigError, Forbidden, NotFound, Unavailable
from controller.domain.job import Job
from controller.providers.gcp import places

PAGE_SIZE = 1000
CALL_SECONDS = 30.0
"""The time limit of one page. A person waits for it, no lease does."""
EXTRA = "reading logs needs an extra: pip install 'jennah-controller[gcp,gcp-logs]'"
ROLE = "reading logs needs roles/logging.viewer on the project"

_PROJECT = re.compile(r"projects/([^/]+)/")
_JOB_UID = re.compile(r'labels\.job_uid="([^"]+)"')


async def lines(job: Job, *, endpoint: str = "") -> AsyncIterator[str]:
    """The job's log, oldest first, as far as Cloud Logging has it by now; a line may come some seconds late.

    `endpoint`: host:port of a stand-in, spoken to without TLS and credentials. Raises ConfigError where the extra or
    credentials are missing, NotFound, which says why, for a job without entries, Forbidden, Unavailable.
    """
    project, job_uid = _where(job)
    client = _client(endpoint)
    is_empty = True
    try:
        async for entry in _entries(client, project, job_uid):
            is_empty = False
            text = _text(entry)
            for line in text.splitlines() or [""]:
                yield line
    finally:
        await client.transport.close()
    if is_empty:
        raise NotFound(f"{job.metadata.name} has no log entries: {_why_none(job, project, job_uid)}")


def _why_none(job: Job, project: str, job_uid: str) -> str:
    status = job.status
    if status.started_at is None:
        told = f": {status.reason}: {status.message}" if status.message else ""
        return f"none of its tasks {'began' if job.is_finished else 'has begun yet'}{told}"
    wrote = "wrote nothing" if job.is_finished else "has written nothing yet"
    return (
        f"the program {wrote}, or its lines are still on their way (some seconds), or the jobs' service account lacks "
        f"roles/logging.logWriter; looked for: {places.logs_query(project, job_uid)}"
    )


def _where(job: Job) -> tuple[str, str]:
    """The project, and the service's uid of the job: both are in its status since it was submitted."""
    project = _PROJECT.search(job.status.resource_path or "")
    job_uid = _JOB_UID.search(unquote(job.status.logs_url or ""))
    if project is None or job_uid is None:
        raise NotFound(f"{job.metadata.name} has no logs: Google Cloud Batch does not have the job (yet)")
    return project.group(1), job_uid.group(1)


def _client(endpoint: str) -> Any:
    try:
        from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2AsyncClient
        from google.cloud.logging_v2.services.logging_service_v2.transports import (
            LoggingServiceV2GrpcAsyncIOTransport,
        )
    except ModuleNotFoundError as error:
        raise ConfigError([EXTRA]) from error
    if endpoint:
        import grpc

        channel = grpc.aio.insecure_channel(endpoint, options=proxies.for_grpc(endpoint))
        return LoggingServiceV2AsyncClient(transport=LoggingServiceV2GrpcAsyncIOTransport(channel=channel))
    try:
        return LoggingServiceV2AsyncClient()
    except auth.DefaultCredentialsError as error:
        raise ConfigError([f"there are no Google credentials ({error}); {ROLE}"]) from error


async def _entries(client: Any, project: str, job_uid: str) -> AsyncIterator[Any]:
    asked = {
        "resource_names": [f"projects/{project}"],
        "filter": places.logs_query(project, job_uid),
        "order_by": "timestamp asc",
        "page_size": PAGE_SIZE,
    }
    try:
        pager = await client.list_log_entries(asked, retry=None, timeout=CALL_SECONDS)
        async for entry in pager:
            yield type(entry).pb(entry)
    except (api.PermissionDenied, api.Unauthenticated) as error:
        raise Forbidden(f"Cloud Logging does not allow that: {error.message}; {ROLE}") from error
    except (api.GoogleAPICallError, auth.GoogleAuthError) as error:
        raise Unavailable(f"Cloud Logging could not be read: {error}") from error


def _text(entry: Any) -> str:
    if entry.WhichOneof("payload") == "json_payload":
        found = json_format.MessageToDict(entry.json_payload)
        message = found.get("message")
        return message if isinstance(message, str) else json.dumps(found, ensure_ascii=False)
    return str(entry.text_payload)
