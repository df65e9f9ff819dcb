"""WebSockets at two machines of one installation: tickets, proofs of possession, and what responses are charged."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, closing
from functools import partial
from typing import Any, Final

import httpx
import jwt as pyjwt
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from jotgate.testing.realtime import realtime_upstream
from jotgate.testing.running import running_gateway
from tests.databases import postgres
from tests.integration.exchanges import Caller, record_of
from tests.integration.test_proof_of_possession import Agent
from tests.socket_stage import Stage, event

_PAGE: Final = "https://app.example"
_SECRET: Final = "7f0c1b52d98e4a6bb3a1c0de55aa9f3e7f0c1b52d98e4a6b"
_NAME: Final = "https://gate.example"
_SETTINGS: Final = """
[server]
public_url = "https://gate.example"
workers = 2
[store]
url = "{store}"
[keys]
master_key_env = "JOTGATE_MASTER_KEY"
[dpop]
nonce = "required"
[api_gateway]
algorithm = "HS256"
[[upstreams]]
name = "voice"
kind = "openai"
base_url = "http://127.0.0.1:{port}/v1"
credential_env = "VOICE_KEY"
models = ["gpt-voice"]
[[routes]]
alias = "talk"
attempts = [{{ upstream = "voice", model = "gpt-voice" }}]
[[quotas]]
name = "one"
subjects = ["single"]
limit = "1 concurrent"
[[quotas]]
name = "much"
subjects = ["quiet", "quick"]
limit = "100000 tokens/day"
"""
_ENVIRONMENT: Final = {
    "VOICE_KEY": "upstream-key",
    "JOTGATE_MASTER_KEY": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
    "JWT_SECRET": _SECRET,
    "PORT": "0",
}
_TRIES: Final = 12

Play = Callable[[Stage, Stage], Coroutine[Any, Any, None]]


def on_machines(test: Play) -> Callable[[Any], None]:
    """Run a test with the machines of its module, within 30 s."""

    def run(machines: Callable[[Play], None]) -> None:
        machines(test)

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@pytest.fixture(scope="module")
def machines() -> Iterator[Callable[[Play], None]]:
    """Runs tests on two machines with one store, and one upstream."""
    with asyncio.Runner() as loop, ExitStack() as stack:
        manager = realtime_upstream()
        upstream = loop.run(manager.__aenter__())
        stack.callback(lambda: loop.run(manager.__aexit__(None, None, None)))
        store = stack.enter_context(postgres()).make_database().url
        settings = _SETTINGS.format(port=upstream.port, store=store)
        first, second = (
            stack.enter_context(
                running_gateway(settings, "--preset", "api-gateway", environment=_ENVIRONMENT),
            )
            for _ in range(2)
        )

        def play(test: Play) -> None:
            upstream.heard.clear()
            upstream.handshakes.clear()
            loop.run(asyncio.wait_for(test(Stage(first, upstream), Stage(second, upstream)), 30))

        yield play


def shown(url: str, ticket: str) -> AbstractAsyncContextManager[ClientConnection]:
    """A page's connection by a ticket."""
    where = f"{url.replace('http:', 'ws:')}/v1/realtime?model=talk&ticket={ticket}"
    return connect(where, origin=Origin(_PAGE), compression=None)


async def refusal(opening: AbstractAsyncContextManager[ClientConnection]) -> tuple[int, str]:
    """The status and the code of a handshake that is refused."""
    with pytest.raises(InvalidStatus) as refused:
        await opening.__aenter__()
    response = refused.value.response
    return response.status_code, str(json.loads(response.body)["error"]["code"])


@on_machines
async def test_a_ticket_of_one_machine_opens_one_connection_at_either_of_them(first: Stage, second: Stage) -> None:
    token = first.gateway.token()

    def ticket() -> str:
        with closing(Caller(first.gateway, token)) as ask:
            return str(ask("POST", "/v1/ws-tickets", {"path": "/v1/realtime", "origin": _PAGE}).json["ticket"])

    async with shown(second.gateway.url, await asyncio.to_thread(ticket)) as connection:
        await event(connection, "session.created")

    async def show(url: str, text: str) -> str:
        try:
            async with shown(url, text) as connection:
                return str((await event(connection, "session.created"))["type"])
        except InvalidStatus as refused:
            return str(json.loads(refused.response.body)["error"]["code"])

    for _ in range(3):
        text = await asyncio.to_thread(ticket)
        urls = (first.gateway.url, second.gateway.url)
        found = await asyncio.gather(*(show(urls[number % 2], text) for number in range(_TRIES)))
        assert Counter(found) == {"session.created": 1, "ticket_refused": _TRIES - 1}


@on_machines
async def test_a_face_gives_out_tickets_for_tokens_of_its_issuer_and_no_secrets(first: Stage, second: Stage) -> None:
    urls = [one.gateway.read_line_with("The preset api-gateway serves").split()[-1] for one in (first, second)]
    now_s = int(time.time())
    claims = {"iss": "api-gateway", "aud": "openai-api", "sub": "page", "iat": now_s, "exp": now_s + 600}
    token = pyjwt.encode(claims, _SECRET, "HS256")

    async def ask(path: str, content: object, bearer: str = token) -> tuple[int, Any]:
        async with httpx.AsyncClient(trust_env=False) as caller:
            answer = await caller.post(urls[0] + path, json=content, headers={"Authorization": f"Bearer {bearer}"})
        return answer.status_code, answer.json()

    status, told = await ask("/v1/ws-tickets", {"path": "/v1/realtime", "origin": _PAGE})
    assert (status, told["path"]) == (200, "/v1/realtime")
    async with shown(urls[1], told["ticket"]) as connection:
        await event(connection, "session.created")
    late = (await ask("/v1/ws-tickets", {"path": "/v1/realtime", "origin": _PAGE}))[1]["ticket"]
    with pytest.raises(InvalidStatus) as refused:
        await shown(first.gateway.url, late).__aenter__()
    assert refused.value.response.status_code == 401, "the native listener takes no such token"
    for path, content, bearer, refused_as in (
        ("/v1/realtime/client_secrets", {"session": {"model": "talk"}}, token, (404, "UNKNOWN_OPERATION")),
        ("/v1/ws-tickets", {"path": "/v1/models"}, token, (400, "REQUEST_MALFORMED")),
        ("/v1/ws-tickets", {"path": "/v1/realtime"}, first.gateway.token(), (401, "INVALID_TOKEN")),
    ):
        status, told = await ask(path, content, bearer)
        assert (status, told["code"]) == refused_as


@on_machines
async def test_a_response_whose_usage_nobody_tells_is_charged_what_was_asked_and_said(
    first: Stage, second: Stage
) -> None:
    said = '{"type":"response.create","response":{"instructions":"mute"}}'
    quiet = first.gateway.token(subject="quiet")
    async with first.open(quiet) as connection:
        for _ in range(2):
            await connection.send(said)
            await event(connection, "response.done")
    record = await asyncio.to_thread(record_of, first.gateway, first.upstream.handshakes[0].headers["X-Request-Id"])
    once = len(said), len("Hello")
    assert (record["charged"]["tokens_in"], record["charged"]["tokens_out"]) == (3 * once[0] + once[1], 2 * once[1])
    assert record.get("tokens_in") is None, "the upstream has said nothing"
    url = second.gateway.url.replace("http:", "ws:") + "/v1/responses?model=talk"
    said = '{"type":"response.create","instructions":"mute"}'
    async with connect(url, additional_headers={"Authorization": f"Bearer {quiet}"}, compression=None) as connection:
        for _ in range(2):
            await connection.send(said)
            await event(connection, "response.completed")
    record = await asyncio.to_thread(record_of, second.gateway, second.upstream.handshakes[1].headers["X-Request-Id"])
    assert (record["charged"]["tokens_in"], record["charged"]["tokens_out"]) == (2 * len(said), 2 * once[1])


@on_machines
async def test_responses_side_by_side_are_each_charged_and_one_that_is_refused_is_not(
    first: Stage, second: Stage
) -> None:
    async with second.open(second.gateway.token(subject="quick")) as connection:
        for wanted in ("use:6,4", "refuse", "use:7,5", "use:8,6"):
            await connection.send(json.dumps({"type": "response.create", "response": {"instructions": wanted}}))
        await connection.send('{"type":"input_audio_buffer.commit"}')
        for _ in range(4):
            await event(connection, "response.done")
        # One that the upstream begins may be done before there are units for it; this one has to wait for them, too.
        await connection.send('{"type":"response.create","response":{"instructions":"use:1,1"}}')
        await event(connection, "response.done")
    record = await asyncio.to_thread(record_of, second.gateway, second.upstream.handshakes[0].headers["X-Request-Id"])
    assert (record["charged"]["tokens_in"], record["charged"]["tokens_out"]) == (6 + 7 + 8 + 7 + 1, 4 + 5 + 6 + 5 + 1)


@on_machines
async def test_who_has_no_place_for_a_response_is_told_and_keeps_the_connection(first: Stage, second: Stage) -> None:
    token = first.gateway.token(subject="single")
    async with first.open(token) as one, second.open(token) as two:
        await one.send('{"type":"response.create","response":{"instructions":"hold"}}')
        await event(one, "response.output_text.delta")
        await two.send('{"type":"response.create","event_id":"mine"}')
        await two.send('{"type":"file.read"}')  # It waits its turn behind the other.
        told = (await event(two, "error"))["error"]
        assert (told["code"], told["event_id"]) == ("quota_exceeded", "mine")
        assert (await event(two, "error"))["error"]["code"] == "request_malformed"
        await one.close()
        await two.send('{"type":"response.create"}')
        await event(two, "response.done")


@on_machines
async def test_a_model_that_speaks_over_no_socket_is_said_to(first: Stage, second: Stage) -> None:
    code = await refusal(first.open(second.gateway.token(), model="echo"))
    assert code == (400, "request_malformed")


@on_machines
async def test_a_bound_token_opens_a_connection_with_its_proof_alone_and_keeps_its_key(
    first: Stage, second: Stage
) -> None:
    agent = await asyncio.to_thread(partial(Agent, first.gateway, name=_NAME))
    bound, renewed = [await asyncio.to_thread(agent.token, first.gateway) for _ in range(2)]
    nonce = ""

    def opening(proof: str, at: Stage, *protocols: str) -> AbstractAsyncContextManager[ClientConnection]:
        fields = {"DPoP": proof} if protocols else {"DPoP": proof, "Authorization": f"DPoP {bound}"}
        offered: Any = list(protocols) or None
        where = at.gateway.url.replace("http:", "ws:") + "/v1/realtime?model=talk"
        return connect(where, additional_headers=fields, subprotocols=offered, compression=None)

    def prove(method: str = "GET", path: str = "/v1/realtime") -> str:
        return agent.holder.prove(method, _NAME + path, time.time(), bound, nonce=nonce or None)

    with pytest.raises(InvalidStatus) as asked:
        await opening(prove(), first).__aenter__()
    nonce = asked.value.response.headers["DPoP-Nonce"]
    proof = prove()
    async with opening(proof, first) as connection:
        await event(connection, "session.created")
        for place in (first, second) * 2:
            assert await refusal(opening(proof, place)) == (401, "proof_refused")
        for token, answer in ((first.gateway.token(subject="agent"), "token_bound"), (renewed, ""), (bound, "")):
            await connection.send(json.dumps({"type": "auth.refresh", "token": token}))
            told = json.loads(await connection.recv())
            assert told.get("error", {}).get("code", "") == answer, told
        await connection.send('{"type":"response.create"}')
        await event(connection, "response.done")
    assert await refusal(first.open(bound)) == (401, "token_bound")
    assert await refusal(opening(prove("POST"), first)) == (401, "proof_refused")
    assert await refusal(opening(prove(path="/v1/responses"), first)) == (401, "proof_refused")
    named = ("realtime", f"openai-insecure-api-key.{bound}")
    assert await refusal(opening(prove(), first, *named)) == (401, "token_bound")
    for path, body in (
        ("/v1/ws-tickets", {"path": "/v1/realtime"}),
        ("/v1/realtime/client_secrets", {"session": {"type": "realtime", "model": "talk"}}),
    ):
        fields = {"Authorization": f"DPoP {bound}"}
        answered = await asyncio.to_thread(agent.ask, first.gateway, path, body, fields, token=bound)
        assert (answered.status, answered.code) == (401, "token_bound")
