"""The official Python client (`connectrpc` on PyPI) with our generated messages: both codecs, gzip both ways."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from api.gen import deployment_pb2 as pb
from controller.domain.phases import Phase
from tests.api.harness import IMAGE, TENANT, Api

connect = pytest.importorskip("connectrpc.client", reason="the Python client is not installed: pip install connectrpc")

from connectrpc.code import Code  # noqa: E402
from connectrpc.compat import google_protobuf_binary_codec, google_protobuf_json_codec  # noqa: E402
from connectrpc.errors import ConnectError  # noqa: E402
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType  # noqa: E402

CODECS = {"binary": google_protobuf_binary_codec, "json": google_protobuf_json_codec}


class Client:
    """The service's methods, as the client's generated code would have them."""

    def __init__(self, client: Any, tenant: str) -> None:
        self._client = client
        self._tenant = tenant

    async def __call__(self, name: str, request: Any, **options: Any) -> Any:
        method = MethodInfo(
            name=name,
            service_name="jennah.v1.DeploymentService",
            input=type(request),
            output=getattr(pb, f"{name}Response"),
            idempotency_level=IdempotencyLevel.UNKNOWN,
            stream_type=StreamType.UNARY,
        )
        headers = {"x-tenant-id": self._tenant}
        return await self._client.execute_unary(request=request, method=method, headers=headers, **options)


@pytest.fixture(params=CODECS)
def codec(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield CODECS[request.param]()


@pytest.fixture
async def client(api: Api, codec: Any) -> AsyncIterator[Client]:
    async with connect.ConnectClient(api.url, codec=codec) as client:
        yield Client(client, TENANT)


async def test_a_jobs_whole_life(api: Api, client: Client) -> None:
    request = pb.SubmitJobRequest(
        job_id="a", image_uri=IMAGE, commands=["x"], env_vars={"A": "1"}, resource_override={"cpu_millis": 4_096_000}
    )
    submitted = await client("SubmitJob", request)
    assert (submitted.job_id, submitted.status, submitted.worker_assigned) == ("a", "PENDING", "worker-1")
    job = (await client("GetJob", pb.GetJobRequest(job_id="a"))).job
    assert (job.status, list(job.commands), job.cpu_millis) == ("PENDING", ["x"], 4_096_000)
    cancelled = await client("CancelJob", pb.CancelJobRequest(job_id="a"))
    assert cancelled.job_id == "a"
    await api.record("a", Phase.CANCELLED)
    (listed,) = (await client("ListJobs", pb.ListJobsRequest())).jobs
    assert (listed.job_id, listed.status) == ("a", "CANCELLED")
    assert (await client("GetCurrentTenant", pb.GetCurrentTenantRequest())).tenant_id == TENANT
    notes = await client("ListNotifications", pb.ListNotificationsRequest())
    assert notes.unread_count == 1
    read = await client("AckNotification", pb.AckNotificationRequest(notification_id=notes.notifications[0].id))
    assert read.success
    assert (await client("DeleteJob", pb.DeleteJobRequest(job_id="a"))).job_id == "a"


async def test_errors_have_their_codes(api: Api, client: Client) -> None:
    with pytest.raises(ConnectError) as caught:
        await client("GetJob", pb.GetJobRequest(job_id="unknown"))
    assert (caught.value.code, caught.value.message) == (Code.NOT_FOUND, "job unknown not found")
    with pytest.raises(ConnectError) as caught:
        await client("SubmitJob", pb.SubmitJobRequest())
    assert (caught.value.code, caught.value.message) == (Code.INVALID_ARGUMENT, "image_uri is required")
    with pytest.raises(ConnectError) as caught:
        await client("SubmitJob", pb.SubmitJobRequest(image_uri="i" * 5_000_000))
    assert caught.value.code == Code.RESOURCE_EXHAUSTED


async def test_a_method_that_does_not_exist_is_unimplemented(api: Api, client: Client) -> None:
    method = MethodInfo(
        name="RetryJob",
        service_name="jennah.v1.DeploymentService",
        input=pb.GetJobRequest,
        output=pb.GetJobResponse,
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=StreamType.UNARY,
    )
    with pytest.raises(ConnectError) as caught:
        await client._client.execute_unary(request=pb.GetJobRequest(), method=method)
    assert caught.value.code == Code.UNIMPLEMENTED


async def test_a_timeout_reaches_the_server(api: Api, client: Client) -> None:
    assert (await client("ListJobs", pb.ListJobsRequest(), timeout_ms=5000)).jobs == []


async def test_get_is_refused(api: Api, client: Client) -> None:
    with pytest.raises(ConnectError) as caught:
        await client("GetJob", pb.GetJobRequest(job_id="a"), use_get=True)
    assert caught.value.code in (Code.UNKNOWN, Code.UNIMPLEMENTED)
