"""A gRPC proxy in front of the Spanner emulator: it counts the calls, and fails those that a test names."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc

_STREAMS = ("ExecuteStreamingSql", "StreamingRead")
_HANG_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to a call of that method."""

    method: str
    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    is_reply_lost: bool = False
    """The emulator gets the call, and its reply is thrown away."""
    hangs: bool = False
    """There is no answer at all."""


@dataclass(kw_only=True)
class Proxy:
    host: str = ""
    calls: list[str] = field(default_factory=list)
    """The methods in the order of their calls."""
    faults: list[Fault] = field(default_factory=list)
    """Each is used once, the first that fits."""
    stopped: threading.Event = field(default_factory=threading.Event)

    def take_fault(self, method: str) -> Fault | None:
        for fault in self.faults:
            if fault.method == method:
                self.faults.remove(fault)
                return fault
        return None


@contextlib.contextmanager
def running(emulator: str) -> Iterator[Proxy]:
    """A proxy on a port of its own."""
    proxy = Proxy()
    server = grpc.server(ThreadPoolExecutor(max_workers=16))
    with grpc.insecure_channel(emulator) as channel:
        server.add_generic_rpc_handlers((_Handler(channel, proxy),))
        proxy.host = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield proxy
        finally:
            proxy.stopped.set()
            server.stop(grace=0.5).wait()


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, channel: grpc.Channel, proxy: Proxy) -> None:
        self._channel = channel
        self._proxy = proxy

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = details.method.rpartition("/")[2]

        def forward(request: bytes, context: grpc.ServicerContext) -> list[bytes]:
            call = self._channel.unary_stream(details.method)
            return self._answer(method, lambda: list(call(request)), context)

        if method in _STREAMS:
            return grpc.unary_stream_rpc_method_handler(lambda request, context: iter(forward(request, context)))
        return grpc.unary_unary_rpc_method_handler(lambda request, context: forward(request, context)[0])

    def _answer(self, method: str, forward: Callable[[], list[bytes]], context: grpc.ServicerContext) -> list[bytes]:
        self._proxy.calls.append(method)
        fault = self._proxy.take_fault(method)
        if fault is not None and fault.hangs:
            self._proxy.stopped.wait(_HANG_SECONDS)
        if fault is not None and not fault.is_reply_lost:
            context.abort(fault.code, "a fault of the test")
        try:
            reply = forward()
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        if fault is not None:
            context.abort(fault.code, "the reply was lost")
        return reply
