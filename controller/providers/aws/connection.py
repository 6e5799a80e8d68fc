"""boto3 in bounded threads: the clients, the rate limits, the metrics, and one request as one call.

boto3's own retries are off for every call: SubmitJob must not be sent twice (providers.md §2a), and the rest is
repeated here, within the rate limit and without a sleeping thread.
"""

import asyncio
import functools
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Any, TypeVar

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from controller import metrics, permission, proxies
from controller.cloud_settings import AwsSettings
from controller.domain.errors import ConfigError, JennahError, NotLeading, Throttled, Unavailable
from controller.ports import Clock
from controller.providers.aws import errors, wire
from controller.providers.aws.threads import Threads
from controller.providers.limits import TokenBucket

T = TypeVar("T")

CONNECT_SECONDS = 2.0
READ_SECONDS = 6.0
"""The limits of one request; both clients have them."""
SUBMIT_THREADS = 16
THREADS = 8
CLOSE_SECONDS = 3.0
"""How long `close` waits for requests that are under way."""
READ_ATTEMPTS = 4
"""How often a call that reads is sent before its failure is ours."""

_REPLIES: Mapping[str, msgspec.json.Decoder[Any]] = {
    "ListJobs": msgspec.json.Decoder(wire.JobPage),
    "DescribeJobs": msgspec.json.Decoder(wire.JobDetails),
    "DescribeJobQueues": msgspec.json.Decoder(wire.QueuePage),
    "DescribeComputeEnvironments": msgspec.json.Decoder(wire.ComputeEnvironments),
    "DescribeJobDefinitions": msgspec.json.Decoder(wire.DefinitionPage),
    "RegisterJobDefinition": msgspec.json.Decoder(wire.Definition),
    "TerminateJobs": msgspec.json.Decoder(wire.Ended),
}
"""What is used of each reply. One that cannot be decoded to that, or lacks part of it, is as one that was lost.
The decoders are made here, not on the threads that need them: see `domain.job`."""
_MAKING_A_CLIENT = threading.Lock()  # a client may be shared between threads, what makes it may not


class AwsConnection:
    """One region of one account. Opens at its first call."""

    def __init__(self, settings: AwsSettings, clock: Clock) -> None:
        self.region = settings.region
        self.submits = TokenBucket(settings.submits_per_second, clock)
        self.calls = TokenBucket(settings.calls_per_second, clock)
        self._endpoint = settings.endpoint or None
        self._clock = clock
        self._opening = asyncio.Lock()
        self._client: Any = None
        self._submit_client: Any = None
        self._is_closed = False
        self._threads = Threads(THREADS, "aws-batch")
        self._submit_threads = Threads(SUBMIT_THREADS, "aws-submit")
        self._deadline = threading.local()

    async def read(self, operation: str, parameters: Mapping[str, Any], *, until: float | None = None) -> Any:
        """A call that changes nothing, repeated while that can help: a reply of `_REPLIES`, else a dictionary.

        Until that time of the clock it waits for its place in the rate, else as long as any call does.
        Raises Throttled, Unavailable, Forbidden, Refused.
        """
        begin = self._clock.monotonic()
        for attempt in range(1, READ_ATTEMPTS + 1):
            try:
                return await self.call(operation, parameters, until=until)
            except Throttled:
                if attempt == READ_ATTEMPTS:
                    raise
            except Unavailable as error:
                is_slow = self._clock.monotonic() - begin > READ_SECONDS / 2
                if attempt > 1 or is_slow or type(error) is not Unavailable:
                    raise
        raise AssertionError("unreachable")

    async def call(self, operation: str, parameters: Mapping[str, Any], *, until: float | None = None) -> Any:
        """One request of any operation but SubmitJob, sent once. Raises Throttled, Unavailable, Forbidden, Refused."""
        await self._take_place(until)
        client = await self._open()
        try:
            reply = await self._on_thread(self._threads, functools.partial(_invoke, client, operation, parameters))
        except errors.Failed as failed:
            error = errors.translated(failed.failure, operation, self.region)
            self._account(operation, self.calls, error, failed.failure)
            raise error from None  # the SDK's texts can quote values and the endpoint
        self._account(operation, self.calls)
        return reply

    async def _take_place(self, until: float | None) -> None:
        """Wait for a place; a wait that is too long for others is not for who can wait until then."""
        while True:
            try:
                return await self.calls.take()
            except Throttled:
                if until is None or self._clock.monotonic() >= until:
                    raise

    async def submit(self, parameters: Mapping[str, Any], send_by: float | None) -> dict[str, Any]:
        """One SubmitJob request, or none after that time of the clock. Raises as `ports.BatchProvider.submit` says."""
        await self._open()
        send = functools.partial(self._submit_on_thread, parameters, send_by)
        try:
            reply: dict[str, Any] = await self._on_thread(self._submit_threads, send)
        except errors.Failed as failed:
            error = errors.for_submit(failed.failure, self.region)
            self._account("SubmitJob", self.submits, error, failed.failure)
            raise error from None
        self._account("SubmitJob", self.submits)
        return reply

    async def close(self) -> None:
        """End after the requests that are under way, or leave them after `CLOSE_SECONDS`: a reply that trickles has no
        limit of time. Closed already is no error."""
        self._is_closed = True
        under_way: set[Future[Any]] = set()
        for threads in (self._threads, self._submit_threads):
            under_way |= threads.close()
        await asyncio.to_thread(wait, under_way, CLOSE_SECONDS)
        for client in (self._client, self._submit_client):
            if client is not None:
                client.close()
        self._client = self._submit_client = None

    async def _open(self) -> Any:
        """The client for all but SubmitJob; the first call makes both."""
        if self._client is None:
            async with self._opening:
                if self._client is None:
                    submit_client, client = await self._on_thread(self._threads, self._make_clients)
                    submit_client.meta.events.register("before-send.batch.SubmitJob", self._check_deadline)
                    for operation in _REPLIES:
                        client.meta.events.register(f"before-parse.batch.{operation}", _parse)
                    self._submit_client, self._client = submit_client, client
        return self._client

    def _make_clients(self) -> tuple[Any, Any]:
        session = Session()
        submit = session.client("batch", self.region, self._endpoint, connections=SUBMIT_THREADS)
        return submit, session.client("batch", self.region, self._endpoint, connections=THREADS)

    async def _on_thread(self, threads: Threads, function: Callable[[], T]) -> T:
        if self._is_closed:
            raise Unavailable("the connection to AWS Batch is closed")
        return await asyncio.wrap_future(threads.run(permission.on_thread(function)))

    def _submit_on_thread(self, parameters: Mapping[str, Any], send_by: float | None) -> Any:
        # The caller may be gone by now; what it asked for is sent in time or not at all.
        self._deadline.send_by = send_by
        with errors.caught():
            self._check_deadline()
            reply = self._submit_client.submit_job(**parameters)
            if not isinstance(reply.get("jobId"), str) or not reply["jobId"]:
                raise errors.Unreadable
            return reply

    def _check_deadline(self, **_: Any) -> None:
        """Called by botocore as the last thing before it sends, after credentials and signature: they can take long."""
        send_by = getattr(self._deadline, "send_by", None)
        if send_by is not None and self._clock.monotonic() > send_by:
            raise errors.TooLate
        try:
            permission.check()
        except NotLeading as error:
            raise errors.TooLate from error

    def _account(
        self,
        operation: str,
        bucket: TokenBucket,
        error: JennahError | None = None,
        failure: errors.Failure | None = None,
    ) -> None:
        if failure is None:
            bucket.accepted()
        elif failure.is_throttle:
            bucket.throttled(failure.delay)
        result = type(error).__name__ if error else "ok"
        metrics.PROVIDER_CALLS.labels("aws", operation, result).inc()


class Session:
    """Makes clients; reading the service's model takes a while, and a session does it once."""

    def __init__(self) -> None:
        self._session: Any = None

    def client(self, service: str, region: str, endpoint: str | None, *, connections: int = 10) -> Any:
        """A client that sends everything once. Blocks: reads files, may ask for credentials. Raises ConfigError.

        Stand-ins are spoken to by plain http; they get no real credentials.
        """
        # At debug level it logs whole requests, the jobs' environment with them.
        logging.getLogger("botocore").setLevel(logging.WARNING)
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=connections,
            tcp_keepalive=True,
            parameter_validation=False,  # its errors quote values; the stand-in checks every request in the tests
        )
        proxies.agree(endpoint)
        keys = {}
        if endpoint and endpoint.startswith("http://"):
            keys = {"aws_access_key_id": "stand-in", "aws_secret_access_key": "stand-in"}
        try:
            with _MAKING_A_CLIENT:
                if self._session is None:
                    self._session = boto3.session.Session()
                return self._session.client(service, region_name=region, endpoint_url=endpoint, config=config, **keys)
        except (BotoCoreError, ValueError) as error:
            name = type(error).__name__
            raise ConfigError([f"AWS cannot be used with these settings (BATCH_REGION, AWS_*): {name}"]) from None


def _invoke(client: Any, operation: str, parameters: Mapping[str, Any]) -> Any:
    method = getattr(client, _METHODS[operation], None)
    if method is None:  # TerminateJobs is newer than the oldest boto3 that we take
        raise errors.Failed(
            errors.Failure(kind=errors.Kind.REFUSED, code="UnknownOperation", is_unknown_operation=True)
        )
    with errors.caught():
        reply = method(**parameters)
        return reply["reply"] if operation in _REPLIES else reply


_METHODS = {
    "ListJobs": "list_jobs",
    "DescribeJobs": "describe_jobs",
    "DescribeJobQueues": "describe_job_queues",
    "DescribeComputeEnvironments": "describe_compute_environments",
    "DescribeJobDefinitions": "describe_job_definitions",
    "RegisterJobDefinition": "register_job_definition",
    "DeregisterJobDefinition": "deregister_job_definition",
    "TerminateJob": "terminate_job",
    "TerminateJobs": "terminate_jobs",
}


def _parse(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], operation_model: Any, **_: Any
) -> None:
    """Decode a reply to what is used of it; botocore's parser then has nothing to do."""
    if response_dict["status_code"] == 200:
        decoded = _REPLIES[operation_model.name].decode(response_dict["body"])
        customized_response_dict["reply"] = decoded
        response_dict["body"] = b"{}"
