"""The decision service over gRPC: what an Envoy asks whose ext_authz filter has a `grpc_service`.

The server is that of grpcio, an extra, on an address of its own: it cannot serve a socket that it inherits, so each
worker listens there itself, and the kernel shares the connections out.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from msgspec import Struct

from jotgate.core.ext_authz import METHOD, read_check, write_check
from jotgate.edge.proxies import Proxies
from jotgate.errors import RequestMalformed
from jotgate.gateway.decisions import DecisionDesk
from jotgate.ports import Clock, Running

if TYPE_CHECKING:
    from grpc import aio

MESSAGE_BYTES_MAX: Final = 262_144
_BAD_REQUEST: Final = 400
_log: Final = logging.getLogger(__name__)


class GrpcService(Struct, frozen=True):
    """Where Envoys ask over gRPC, what decides, and who may ask."""

    address: str
    desk: DecisionDesk
    proxies: Proxies


class GrpcListener:
    """That of one worker. Mutable: what it serves, and the server while there is one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop = loop
        self._clock = clock
        self._service: GrpcService | None = None
        self._address = ""
        self._server: aio.Server | None = None
        self._changing = asyncio.Lock()

    def renew(self, service: GrpcService | None) -> None:
        """Decide as a newer snapshot wants it, and listen where it says; None: nowhere."""
        self._service = service
        if (service.address if service else "") != self._address:
            task = self._loop.create_task(self.settle())
            task.add_done_callback(_tell)

    async def settle(self) -> None:
        """Listen where it is to, and nowhere else. An address that is taken is told of, and nobody answered there."""
        async with self._changing:
            wanted = self._service.address if self._service else ""
            if wanted == self._address:
                return
            await self._stop(0.0)
            self._address = wanted
            if wanted:
                self._server = await _serve(wanted, self._check)

    async def close(self, patience_s: float) -> None:
        """Take no more questions, and answer those that are under way."""
        async with self._changing:
            self._service, self._address = None, ""
            await self._stop(patience_s)

    async def _stop(self, patience_s: float) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.stop(patience_s)

    async def _check(self, message: bytes, context: "aio.ServicerContext[bytes, bytes]") -> bytes:
        service, begun_s = self._service, self._clock.monotonic_s()
        if service is None or not service.proxies.trusts(_address_of(context.peer())):
            return write_check(403, b"", b"this address may not ask for decisions")
        try:
            asked = read_check(message)
        except RequestMalformed as refusal:
            return write_check(_BAD_REQUEST, b"", refusal.message.encode())
        caller = _Caller()
        running = service.desk.ask(asked, begun_s)(caller)
        if caller.answer is None:
            await self._wait(caller, running)
        assert caller.answer is not None, "it has been waited for"
        return caller.answer

    async def _wait(self, caller: "_Caller", running: Running | None) -> None:
        """Wait until it is known. An Envoy that waits no longer ends the call."""
        caller.answered = self._loop.create_future()
        try:
            await caller.answered
        finally:
            if caller.answer is None and running is not None:
                running.caller_gone()


class _Caller:
    """Keeps the answer, as Envoy is to have it (ports.Caller)."""

    def __init__(self) -> None:
        self.answer: bytes | None = None
        self.answered: asyncio.Future[None] | None = None
        self._begun: tuple[int, bytes, bytes] = (500, b"", b"")

    def respond(self, status: int, lines: bytes, body: bytes) -> None:
        self.answer = write_check(status, lines, body)
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(None)

    def start(self, status: int, lines: bytes, length: int | None, piece: bytes) -> None:  # noqa: ARG002
        self._begun = (status, lines, piece)

    def write(self, piece: bytes) -> None:
        status, lines, body = self._begun
        self._begun = (status, lines, body + piece)

    def end(self, piece: bytes) -> None:
        self.write(piece)
        self.respond(*self._begun)

    def abort(self) -> None:
        self.respond(500, b"", b"")


async def _serve(address: str, check: Callable[..., object]) -> "aio.Server | None":
    """A server that answers there; None: it cannot be listened there."""
    import grpc
    from grpc import aio

    # The messages are read and written here, so that it hands over bytes.
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(check)
    service, _, method = METHOD[1:].partition("/")
    server = aio.server(options=(("grpc.so_reuseport", 1), ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX)))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    try:
        server.add_insecure_port(address)
        await server.start()
    except RuntimeError as fault:
        _log.error("decisions.grpc: %s cannot be listened on, and no Envoy is answered there: %s", address, fault)
        return None
    return server


def _address_of(peer: str) -> str:
    """The address in gRPC's name of a peer, such as `ipv4:127.0.0.1:40000` or `ipv6:%5B::1%5D:40000`."""
    return unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")


def _tell(task: "asyncio.Task[None]") -> None:
    fault = None if task.cancelled() else task.exception()
    if fault is not None:
        _log.error("what Envoys ask over gRPC is not served as the settings say: %s", fault)
