"""What a job wrote: from the nodes its tasks ran on, or from the Blob container that their output was copied to. Called
by ``jennah logs``; it makes a client of its own."""

import asyncio
import codecs
import contextlib
import os
from collections.abc import AsyncIterator
from urllib.parse import quote, urlsplit, urlunsplit

import aiohttp
from azure.core.exceptions import AzureError

from controller import proxies
from controller.clock import SystemClock
from controller.domain.errors import ConfigError, Forbidden, NotFound, Unavailable
from controller.domain.job import Job
from controller.domain.phases import Phase
from controller.providers.azure import calls, clients, places
from controller.providers.azure.places import Place
from controller.providers.limits import TokenBucket

FILES = ("stdout.txt", "stderr.txt")
CALLS_PER_SECOND = 20
_HOSTS = (".batch.azure.com", ".batch.azure.us", ".batch.azure.cn")
"""Where credentials are sent by what an object's status says; to another address only if AZURE_BATCH_ENDPOINT names
it."""


async def lines(job: Job) -> AsyncIterator[str]:
    """The lines of each task, its stdout and then its stderr, as they arrive; those of a set's tasks begin with
    ``[INDEX] ``.

    Raises NotFound where nothing is left (nodes go, and files after seven days), Forbidden, Unavailable.
    """
    url = urlsplit(job.status.resource_path or "")
    where = places.place_in(url.path)
    if where is None or not url.hostname:
        raise NotFound(f"the job {job.metadata.name!r} was not submitted to Azure Batch yet")
    endpoint = f"{url.scheme}://{url.netloc}"
    if not url.hostname.endswith(_HOSTS) and os.environ.get("AZURE_BATCH_ENDPOINT", "").rstrip("/") != endpoint:
        raise ConfigError([f"AZURE_BATCH_ENDPOINT is not {endpoint}, where the job is"])
    account = os.environ.get("AZURE_BATCH_ACCOUNT") or url.hostname.partition(".")[0]
    client = clients.Client(account, endpoint, os.environ.get("AZURE_BATCH_KEY", ""))
    bucket = TokenBucket(CALLS_PER_SECOND, SystemClock())
    try:
        has_any = False
        for index, task_id in enumerate(where.task_ids):
            prefix = f"[{index}] " if where.is_set else ""
            for name in FILES:
                async with contextlib.AsyncExitStack() as stack:
                    parts = await _open(stack, client, bucket, where, task_id, name)
                    if parts is not None:
                        has_any = True
                        async for line in split(parts):
                            yield f"{prefix}{line}"
        if not has_any:
            raise NotFound(f"{where.stem} has no output: {_why(job)}")
    finally:
        await client.close()


def _why(job: Job) -> str:
    """Why a job has no output, as far as its status tells."""
    text = "it has not run, or its node has gone (AZURE_OUTPUT_URL keeps it)"
    is_failed = job.status.phase is Phase.FAILED
    return f"{text}; it failed: {job.status.reason}: {job.status.message}" if is_failed else text


async def split(parts: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Lines of a text that comes in parts. Each part has the time of a call, the whole has any. Raises Unavailable."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    begun = ""
    try:
        while True:
            async with asyncio.timeout(calls.CALL_SECONDS):
                part = await anext(parts, None)
            if part is None:
                break
            *whole, begun = (begun + decoder.decode(part)).split("\n")
            for line in whole:
                yield line.removesuffix("\r")
    except (AzureError, aiohttp.ClientError, TimeoutError):
        raise Unavailable("the output was cut off: the service stopped in the middle of it") from None
    begun += decoder.decode(b"", final=True)
    if begun:
        yield begun


async def _open(
    stack: contextlib.AsyncExitStack,
    client: clients.Client,
    bucket: TokenBucket,
    where: Place,
    task_id: str,
    name: str,
) -> AsyncIterator[bytes] | None:
    """The parts of a file of a task; None where there is none."""
    try:
        return await calls.make(
            "download_task_file", bucket, lambda: client.batch.download_task_file(where.job_id, task_id, name)
        )
    except (NotFound, calls.Refused, Unavailable) as error:
        if isinstance(error, Forbidden):
            raise
        # A node that has gone, or a task that has not run, is 404 or 409 by codes that are not documented.
        kept = await _open_kept(stack, where, task_id, name)
        if kept is None and type(error) is Unavailable and "could not be reached" in str(error):
            raise
        return kept


async def _open_kept(
    stack: contextlib.AsyncExitStack, where: Place, task_id: str, name: str
) -> AsyncIterator[bytes] | None:
    """The copy in AZURE_OUTPUT_URL, where that holds a signature that may read; None where there is none."""
    url = urlsplit(os.environ.get("AZURE_OUTPUT_URL", ""))
    if not url.query:
        return None
    path = f"{url.path.rstrip('/')}/{quote(places.output_folder(where, task_id))}/{name}"
    try:
        async with asyncio.timeout(calls.CALL_SECONDS):
            limits = aiohttp.ClientTimeout(total=None, sock_read=calls.CALL_SECONDS)
            http = await stack.enter_async_context(
                aiohttp.ClientSession(timeout=limits, proxy=proxies.for_url(url.geturl()))
            )
            answer = await stack.enter_async_context(http.get(urlunsplit(url._replace(path=path))))
    except (aiohttp.ClientError, TimeoutError):
        raise Unavailable("the output container could not be reached") from None  # the address holds a signature
    return answer.content.iter_any() if answer.status == 200 else None
