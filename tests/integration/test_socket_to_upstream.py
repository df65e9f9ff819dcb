"""The edge, the gateway and a real HTTP upstream together, as a worker puts them together, in one loop."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from jotgate.core.routes import Attempt, Route, Upstream
from jotgate.core.snapshot import Snapshot
from jotgate.core.values import Secret
from jotgate.edge.http1.listener import OpenConnection, Surroundings
from jotgate.edge.http1.protocol import Connection
from jotgate.edge.http1.responses import HeadWriter
from jotgate.edge.surfaces.native import NativeSurface
from jotgate.gateway.forms import FormDoor
from jotgate.gateway.passage import ControlDoor
from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.records import CallRecorder
from jotgate.gateway.world import Place, build_world
from jotgate.testing.ports import ManualClock, MemoryTrail, ScriptedPort
from jotgate.testing.upstream import Answer, End, Gate, Step, UpstreamServer, chunked, torn, unary, until_close
from jotgate.upstreams.openai import OpenAIUpstream
from tests.callers import NAME, issuer_of, make_issuer
from tests.listening import Client
from tests.loops import on_loop, until

_ISSUER = make_issuer()
PIECE = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5}}\n\n'
DONE = b"data: [DONE]\n\n"


@dataclass
class Worker:
    """What a test sees of it."""

    gateway: Gateway
    trail: MemoryTrail
    clock: ManualClock
    one: UpstreamServer
    two: UpstreamServer
    port: int
    clients: list[Client]

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        return client

    async def call(self, **members: object) -> Client:
        """A client that has sent a good call."""
        client = await self.connect()
        return client.send(post_call(**members))

    async def settled(self, count: int = 1) -> None:
        await until(lambda: len(self.trail.lines) == count and not self.gateway.live)


def post_call(**members: object) -> bytes:
    body = json.dumps({"model": "a", **members}).encode()
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer %b\r\n"
        b"X-Secret: mine\r\nContent-Length: %d\r\n\r\n%b"
    ) % (_ISSUER.token(), len(body), body)


@asynccontextmanager
async def working(*one: Answer, two: list[Answer] | None = None) -> AsyncIterator[Worker]:
    loop = asyncio.get_running_loop()
    async with UpstreamServer(*one) as first, UpstreamServer(*(two or [])) as second:
        clock, trail = ManualClock(), MemoryTrail()
        upstreams = {
            name: Upstream(name, "openai", server.base_url, Secret(f"sk-{name}"), idle_timeout_s=10.0)
            for name, server in (("one", first), ("two", second))
        }
        ports = {name: OpenAIUpstream(upstream, loop) for name, upstream in upstreams.items()}
        snapshot = Snapshot(
            version=1,
            issuers=(issuer_of(_ISSUER),),
            upstreams=tuple(upstreams.values()),
            routes=(Route("a", (Attempt("one", "m-1"), Attempt("two", "m-2"))),),
        )
        recorder = CallRecorder(clock=clock, trail=trail, instance="w")
        gateway = Gateway(clock=clock, recorder=recorder, instance="w", soon=loop.call_soon)
        gateway.swap(build_world(snapshot, {name: Place(upstreams[name], ports[name]) for name in ports}, None))
        connections: set[OpenConnection] = set()
        door = ControlDoor(ScriptedPort(), clock)
        surroundings = Surroundings(
            application=NativeSurface(gateway, door, FormDoor(clock, door, lambda _: False)),
            clock=clock,
            heads=HeadWriter(clock),
            limits=snapshot.limits,
            connections=connections,
        )
        server = await loop.create_server(lambda: Connection(surroundings), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        clients: list[Client] = []
        yield Worker(gateway, trail, clock, first, second, port, clients)
        server.close()
        for client in clients:
            client.leave()
        await until(lambda: not connections)
        for upstream in ports.values():
            upstream.pool.retire()


def error_of(body: bytes) -> str:
    content: dict[str, Any] = json.loads(body)
    code = content["error"]["code"]
    assert isinstance(code, str)
    return code


@on_loop
async def test_a_call_crosses_and_comes_back() -> None:
    body = b'{"usage":{"prompt_tokens":3,"completion_tokens":5}}'
    async with working(unary(body, 200, b"Set-Cookie: theirs", b"Openai-Version: 1")) as worker:
        client = await worker.call(n=1)
        response = await client.answer()
        assert (response.status, response.body, response.fields["openai-version"]) == (200, body, "1")
        assert "set-cookie" not in response.fields
        (request,) = worker.one.requests
        assert (request.target, json.loads(request.body)) == ("/v1/chat/completions", {"model": "m-1", "n": 1})
        assert request.headers["authorization"] == "Bearer sk-one"
        assert "x-secret" not in request.headers
        await worker.settled()
        assert (worker.trail.only.tokens_in, worker.trail.only.tokens_out) == (3, 5)


@pytest.mark.parametrize("framing", [chunked, until_close])
@on_loop
async def test_a_stream_crosses_piece_by_piece(framing: Any) -> None:
    gates = [Gate(), Gate()]
    async with working(framing(PIECE, gates[0], USAGE[:20], gates[1], USAGE[20:], DONE)) as worker:
        client = await worker.call(stream=True)
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert b"Transfer-Encoding: chunked" in head
        assert await client.reader.readuntil(PIECE + b"\r\n")
        gates[0].open()
        assert await client.reader.readuntil(USAGE[:20] + b"\r\n")
        gates[1].open()
        assert await client.reader.readuntil(b"0\r\n\r\n")
        await worker.settled()
        record = worker.trail.only
        assert (record.outcome, record.tokens_out, record.bytes_out) == ("complete", 5, len(PIECE + USAGE + DONE))


@pytest.mark.parametrize("refusal", [unary(b"{}", 429), unary(b"{}", 503, b"Connection: close"), unary(b"", 503)])
@on_loop
async def test_a_refusal_that_did_nothing_goes_to_the_next_upstream(refusal: list[Step]) -> None:
    async with working(refusal, two=[unary(b'{"from":2}')]) as worker:
        client = await worker.call()
        response = await client.answer()
        assert (response.status, response.body) == (200, b'{"from":2}')
        assert json.loads(worker.two.requests[0].body)["model"] == "m-2"
        assert worker.two.requests[0].headers["authorization"] == "Bearer sk-two"
        await worker.settled()
        assert worker.trail.only.upstream == "two"


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (unary(b"{}", 401, b"WWW-Authenticate: Bearer"), 502, "upstream_refused"),
        (unary(b"{}", 403), 502, "upstream_refused"),
        ([b"HTTP/1.1 302 Found\r\nLocation: http://else/\r\nContent-Length: 0\r\n\r\n"], 502, "upstream_torn"),
        ([b"SSH-2.0-x\r\n"], 502, "upstream_torn"),
        ([End()], 502, "upstream_unavailable"),
        ([End("reset")], 502, "upstream_unavailable"),
        ([b"HTTP/1.1 200 OK\r\nContent-", End()], 502, "upstream_unavailable"),
        (unary(b"{}", 500), 500, None),
    ],
)
@on_loop
async def test_an_upstream_that_fails_before_its_answer_is_one_answer_and_one_record(
    answer: list[Step], status: int, code: str | None
) -> None:
    async with working(answer) as worker:
        client = await worker.call(stream=True)
        response = await client.answer()
        assert (response.status, response.whole, response.closes) == (status, True, False)
        assert code is None or error_of(response.body) == code
        assert "www-authenticate" not in response.fields
        assert "location" not in response.fields
        await worker.settled()
        assert (worker.trail.only.status, worker.two.requests) == (status, [])


@on_loop
async def test_a_torn_stream_ends_with_an_error_event_and_without_its_last_chunk() -> None:
    gate = Gate()
    async with working([*chunked(PIECE, b"data: {", gate)[:-1], End()]) as worker:
        client = await worker.call(stream=True)
        await client.reader.readuntil(b"data: {\r\n")
        gate.open()
        rest = await client.reader.read()
        assert b'"code":"upstream_torn"' in rest
        assert not rest.endswith(b"0\r\n\r\n")
        await worker.settled()
        assert worker.trail.only.outcome == "torn"


@on_loop
async def test_a_torn_unary_answer_is_seen_to_be_short() -> None:
    async with working(torn(b'{"half":')) as worker:
        client = await worker.call()
        response = await client.answer()
        assert (response.body, response.whole) == (b'{"half":', False)
        await worker.settled()
        assert worker.trail.only.outcome == "torn"


@pytest.mark.parametrize("begun", [True, False])
@on_loop
async def test_a_client_that_goes_away_ends_the_upstreams_work(begun: bool) -> None:
    gate = Gate()
    answer: list[Step] = [*chunked(PIECE)[:2], gate] if begun else [gate]
    async with working(answer) as worker:
        client = await worker.call(stream=True)
        await worker.one.until_requests(1)
        if begun:
            await client.reader.readuntil(PIECE)
        client.leave()
        await worker.one.until_connections(0)
        await worker.settled()
        record = worker.trail.only
        assert (record.outcome, record.status) == ("caller_gone", 200 if begun else 499)


@pytest.mark.parametrize("begun", [True, False])
@on_loop
async def test_a_silent_upstream_is_given_up(begun: bool) -> None:
    gate = Gate()
    answer: list[Step] = [*chunked(PIECE)[:2], gate] if begun else [gate]
    async with working(answer) as worker:
        client = await worker.call(stream=True)
        await worker.one.until_requests(1)
        if begun:
            await client.reader.readuntil(PIECE + b"\r\n")
        worker.clock.advance(121)
        worker.gateway.check_deadlines()
        text = await client.reader.read() if begun else (await client.answer()).body
        assert b'"code":"upstream_timeout"' in text
        await worker.one.until_connections(0)
        await worker.settled()
        assert worker.trail.only.outcome == "timeout"


@on_loop
async def test_a_client_that_reads_slowly_slows_the_upstream() -> None:
    flood = [b"x" * 65_536] * 500
    async with working(chunked(PIECE, *flood)) as worker:
        client = await worker.call(stream=True)
        await worker.one.until_requests(1)
        (line,) = worker.one._open
        await until(lambda: line.transport.get_write_buffer_size() > 1_000_000)
        for _ in range(100):
            await asyncio.sleep(0)
        assert worker.gateway.live
        response = await client.answer()
        assert (response.whole, len(response.body)) == (True, len(PIECE) + 500 * 65_536)
        await worker.settled()
        assert worker.trail.only.bytes_out == len(response.body)


@on_loop
async def test_pipelined_calls_are_answered_in_their_order_over_one_upstream_connection() -> None:
    async with working(*[unary(b'{"n":%d}' % number) for number in range(4)]) as worker:
        client = (await worker.connect()).send(b"".join(post_call(n=number) for number in range(4)))
        assert [(await client.answer()).body for _ in range(4)] == [b'{"n":%d}' % number for number in range(4)]
        assert worker.one.opened == 1
        await worker.settled(4)


@on_loop
async def test_a_caller_without_a_token_reaches_no_upstream_and_keeps_the_connection() -> None:
    async with working() as worker:
        client = await worker.connect()
        for path in (b"/v1/chat/completions", b"/v1/embeddings"):
            client.send(b"POST %b HTTP/1.1\r\nHost: g\r\nContent-Length: 2\r\n\r\n{}" % path)
            response = await client.answer()
            challenge = f'Bearer realm="jotgate", resource_metadata="{NAME}/.well-known/oauth-protected-resource"'
            assert (response.status, response.fields["www-authenticate"]) == (401, challenge)
            assert not response.closes
        assert worker.one.opened == 0
        assert [record.code for record in worker.trail.records] == ["token_missing"] * 2


@on_loop
async def test_a_bearer_token_with_white_space_around_it_is_the_token() -> None:
    async with working(unary(b"{}")) as worker:
        client = await worker.connect()
        client.send(post_call().replace(b"\r\nX-Secret", b" \t \r\nX-Secret"))
        assert (await client.answer()).status == 200
