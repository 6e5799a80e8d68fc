"""The stand-in as a gRPC server on loopback, and what it does wrong on purpose."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.longrunning import operations_pb2

from dev.emulators.gcp import messages
from dev.emulators.gcp.refusals import Refusal
from dev.emulators.gcp.service import BatchService

SERVICE = "google.cloud.batch.v1.BatchService"
OPERATIONS = "google.longrunning.Operations"

Hook = Callable[[str, Any], Awaitable[None]]


class BatchServer:
    """Serves one `BatchService`. `calls` counts by method; `hook` is awaited before each call is looked at, with the
    method's name and the gRPC context: a test can count, hold back or abort there."""

    def __init__(self, service: BatchService) -> None:
        self.service = service
        self.calls: Counter[str] = Counter()
        self.hook: Hook | None = None
        self.port = 0

    @contextlib.asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator["BatchServer"]:
        """In the running event loop, on that port (0: any)."""
        server = grpc.aio.server(
            options=(
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            )
        )
        server.add_generic_rpc_handlers(self._handlers())
        self.port = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        try:
            yield self
        finally:
            await server.stop(grace=None)

    @property
    def endpoint(self) -> str:
        """For GCP_BATCH_ENDPOINT."""
        return f"127.0.0.1:{self.port}"

    def _handlers(self) -> tuple[Any, ...]:
        service = self.service
        methods = {
            "CreateJob": self._handler("CreateJob", messages.CreateJobRequest, service.create_job, mutates=True),
            "CancelJob": self._handler("CancelJob", messages.CancelJobRequest, service.cancel_job, mutates=True),
            "DeleteJob": self._handler("DeleteJob", messages.DeleteJobRequest, service.delete_job, mutates=True),
            "GetJob": self._handler("GetJob", messages.GetJobRequest, service.get_job),
            "ListJobs": self._handler("ListJobs", messages.ListJobsRequest, service.list_jobs, takes_mask=True),
            "GetTask": self._handler("GetTask", messages.GetTaskRequest, service.get_task),
            "ListTasks": self._handler("ListTasks", messages.ListTasksRequest, service.list_tasks),
        }
        operations = {
            "GetOperation": self._handler("GetOperation", operations_pb2.GetOperationRequest, service.get_operation)
        }
        return (
            grpc.method_handlers_generic_handler(SERVICE, methods),
            grpc.method_handlers_generic_handler(OPERATIONS, operations),
        )

    def _handler(
        self,
        name: str,
        request_type: Any,
        method: Callable[..., Any],
        *,
        mutates: bool = False,
        takes_mask: bool = False,
    ) -> Any:
        async def handle(request: Any, context: Any) -> Any:
            self.calls[name] += 1
            if self.hook is not None:
                await self.hook(name, context)
            dice = self.service.dice
            if dice.hits(dice.faults.throttled):
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded for quota metric")
            if mutates and dice.hits(dice.faults.lost_requests):
                await context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")
            mask = dict(context.invocation_metadata()).get("x-goog-fieldmask", "")
            try:
                answer = method(request, mask) if takes_mask else method(request)
            except Refusal as refusal:
                await context.abort(refusal.code, refusal.message)
            if mutates and dice.hits(dice.faults.lost_replies):
                lost = grpc.StatusCode.UNAVAILABLE if dice.hits(0.5) else grpc.StatusCode.DEADLINE_EXCEEDED
                await context.abort(lost, "the reply was lost")
            return answer

        return grpc.unary_unary_rpc_method_handler(
            handle,
            request_deserializer=request_type.FromString,
            response_serializer=lambda answer: answer.SerializeToString(),
        )
