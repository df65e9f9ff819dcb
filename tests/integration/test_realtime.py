"""The Realtime API through the gateway: the official client talks, and whoever may not is told so or cut off."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, closing
from typing import Any, Final

import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from jotgate.testing.realtime import realtime_upstream
from jotgate.testing.running import Gateway, run_command, running_gateway, until
from tests.integration.exchanges import Answer, Caller, chat_body, record_of
from tests.integration.test_revocation import revoke
from tests.socket_stage import Stage, closed, event

_CUT_S: Final = 1.5
_PAGE: Final = "https://app.example"
_SECRETS: Final = "/v1/realtime/client_secrets"
_SETTINGS: Final = """
[server]
workers = 2
trusted_proxies = ["127.0.0.1"]
[[upstreams]]
name = "voice"
kind = "openai"
base_url = "http://127.0.0.1:{port}/v1"
credential_env = "VOICE_KEY"
models = ["gpt-voice"]
[[routes]]
alias = "talk"
attempts = [{{ upstream = "voice", model = "gpt-voice" }}]
[[routes]]
alias = "page"
credentials = ["cookie"]
attempts = [{{ upstream = "voice", model = "gpt-voice" }}]
[cors]
origins = ["https://app.example"]
[[quotas]]
name = "little"
subjects = ["poor", "thrifty"]
limit = "50 tokens/day"
"""


def ask(gateway: Gateway, token: str, content: object, path: str = _SECRETS) -> Answer:
    """What a POST is answered."""
    with closing(Caller(gateway, token)) as caller:
        return caller("POST", path, content)


def on_stage(test: Callable[[Stage], Coroutine[Any, Any, None]]) -> Callable[[Any], None]:
    """Run a test with the upstream of its module, within 30 s."""

    def run(stages: Callable[[Callable[[Stage], Coroutine[Any, Any, None]]], None]) -> None:
        stages(test)

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@pytest.fixture(scope="module")
def stages() -> Iterator[Callable[[Callable[[Stage], Coroutine[Any, Any, None]]], None]]:
    """Runs tests on one gateway and one upstream."""
    with asyncio.Runner() as loop, ExitStack() as stack:
        manager = realtime_upstream()
        upstream = loop.run(manager.__aenter__())
        stack.callback(lambda: loop.run(manager.__aexit__(None, None, None)))
        settings = _SETTINGS.format(port=upstream.port)
        gateway = stack.enter_context(running_gateway(settings, environment={"VOICE_KEY": "upstream-key"}))

        def play(test: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
            upstream.refuse = 0
            upstream.heard.clear()
            upstream.handshakes.clear()
            loop.run(asyncio.wait_for(test(Stage(gateway, upstream)), 30))

        yield play


@on_stage
async def test_the_official_client_talks_through_the_gateway(stage: Stage) -> None:
    client = AsyncOpenAI(base_url=f"{stage.gateway.url}/v1", api_key=stage.gateway.token())
    async with client.realtime.connect(model="talk") as connection:
        await connection.session.update(session={"type": "realtime", "model": "talk"})
        await connection.response.create(response={"instructions": "use:3,4"})
        async for said in connection:
            if said.type == "response.done":
                assert said.response.usage is not None
                assert said.response.usage.output_tokens == 4
                break
    (handshake,) = stage.upstream.handshakes
    assert handshake.path == "/v1/realtime?model=gpt-voice"
    assert handshake.headers["Authorization"] == "Bearer upstream-key"
    assert stage.upstream.heard[0]["session"] == {"type": "realtime", "model": "gpt-voice"}
    assert "max_output_tokens" not in stage.upstream.heard[1]["response"]  # No quota meets it.
    record = record_of(stage.gateway, handshake.headers["X-Request-Id"])
    assert (record["status"], record["outcome"], record["model"]) == (101, "complete", "talk")
    assert (record["tokens_in"], record["tokens_out"]) == (3, 4)


@on_stage
async def test_the_official_client_mints_a_secret_and_a_page_connects_by_it_until_its_parent_is_revoked(
    stage: Stage,
) -> None:
    parent = stage.gateway.token()
    async with AsyncOpenAI(base_url=f"{stage.gateway.url}/v1", api_key=parent) as server:
        made = await server.realtime.client_secrets.create(
            session={"type": "realtime", "model": "talk"}, expires_after={"anchor": "created_at", "seconds": 120}
        )
    assert abs(made.expires_at - time.time() - 120) < 5
    assert (made.session.type, made.session.id[:5]) == ("realtime", "sess_")
    page = AsyncOpenAI(base_url=f"{stage.gateway.url}/v1", api_key=made.value)
    async with page.realtime.connect(model="talk") as connection:
        await connection.response.create()
        async for said in connection:
            if said.type == "response.done":
                break
        assert (
            await asyncio.to_thread(ask, stage.gateway, made.value, chat_body("talk"), "/v1/chat/completions")
        ).code == "insufficient_scope"
        await asyncio.to_thread(revoke, stage.gateway, parent)
        async with asyncio.timeout(_CUT_S):
            assert await closed(connection._connection) == 4403
    with pytest.raises(InvalidStatus) as refused:
        await stage.open(made.value).__aenter__()
    assert refused.value.response.status_code == 401


@on_stage
async def test_a_secret_lives_a_minute_and_no_longer_than_its_parent_and_may_no_more(stage: Stage) -> None:
    def mint(token: str, model: str = "talk") -> Answer:
        return ask(stage.gateway, token, {"session": {"type": "realtime", "model": model}})

    good = stage.gateway.token()
    answer = await asyncio.to_thread(mint, good)
    assert abs(answer.json["expires_at"] - time.time() - 60) < 5
    assert answer.all("cache-control") == ["no-store"]
    wrong: tuple[object, ...] = (
        {"session": {"type": "realtime"}},
        {"session": {"type": "realtime", "model": "talk", "instructions": "Be kind"}},
        {"session": {"model": "talk"}, "expires_after": {"seconds": 9}},
        {"session": {"model": "talk"}, "expires_after": {"seconds": 7201}},
        [],
    )
    for content in wrong:
        answer = await asyncio.to_thread(ask, stage.gateway, good, content)
        assert (answer.status, answer.code) == (400, "request_malformed"), content
    answer = await asyncio.to_thread(mint, good, "other")
    assert (answer.status, answer.code) == (404, "model_not_found")
    answer = await asyncio.to_thread(mint, stage.gateway.token("--ttl", "20s"))
    assert answer.json["expires_at"] - time.time() < 21
    answer = await asyncio.to_thread(mint, stage.gateway.token("--scope", "chat.completions"))
    assert (answer.status, answer.code) == (403, "insufficient_scope")
    answer = await asyncio.to_thread(mint, stage.gateway.token("--model", "other"))
    assert (answer.status, answer.code) == (403, "model_not_permitted")
    answer = await asyncio.to_thread(mint, "")
    assert (answer.status, answer.code) == (401, "token_missing")


@on_stage
async def test_a_ticket_opens_one_connection_of_the_page_that_it_is_for(stage: Stage) -> None:
    token = stage.gateway.token()

    async def ticket(**content: str) -> str:
        asked = {"path": "/v1/realtime", "origin": _PAGE, **content}
        answer = await asyncio.to_thread(ask, stage.gateway, token, asked, "/v1/ws-tickets")
        assert (answer.status, answer.all("cache-control")) == (200, ["no-store"])
        assert abs(answer.json["expires_at"] - time.time() - 30) < 3
        return str(answer.json["ticket"])

    def shown(text: str, origin: str | None = _PAGE) -> AbstractAsyncContextManager[ClientConnection]:
        url = stage.gateway.url.replace("http:", "ws:") + f"/v1/realtime?model=talk&ticket={text}"
        return connect(url, origin=None if origin is None else Origin(origin), compression=None)

    async def refusal(opening: AbstractAsyncContextManager[ClientConnection]) -> tuple[int, str]:
        with pytest.raises(InvalidStatus) as caught:
            await opening.__aenter__()
        response = caught.value.response
        return response.status_code, json.loads(response.body)["error"]["code"]

    first = await ticket()
    async with shown(first) as connection:
        await connection.send('{"type":"response.create"}')
        await event(connection, "response.done")
        for _ in range(4):  # Whichever worker it comes to.
            assert await refusal(shown(first)) == (401, "ticket_refused")
        for text, origin in (
            (await ticket(), None),
            (await ticket(), "https://evil.example"),
            ("jot_t_" + "A" * 43, _PAGE),
        ):
            assert await refusal(shown(text, origin)) == (401, "ticket_refused")
        assert first not in str(stage.upstream.handshakes[0].headers) + stage.upstream.handshakes[0].path
        late = await ticket(origin="")
        await asyncio.to_thread(revoke, stage.gateway, token)
        assert await closed(connection) == 4403
    assert await refusal(shown(late, None)) == (401, "token_revoked")
    assert first not in stage.gateway.errors
    answer = await asyncio.to_thread(
        ask, stage.gateway, stage.gateway.token("--scope", "models"), {"path": "/v1/realtime"}, "/v1/ws-tickets"
    )
    assert (answer.status, answer.code) == (403, "insufficient_scope")


@on_stage
async def test_the_official_client_has_responses_over_a_socket_none_of_them_kept(stage: Stage) -> None:
    poor = stage.gateway.token(subject="thrifty")
    async with (
        AsyncOpenAI(base_url=f"{stage.gateway.url}/v1", api_key=poor) as client,
        client.responses.connect(extra_query={"model": "talk"}) as connection,
    ):

        async def respond(**members: Any) -> Any:
            await connection.response.create(**{"model": "talk", "input": "Hi", **members})
            async for said in connection:
                if said.type in ("response.completed", "error"):
                    return said
            raise AssertionError("the connection was closed")

        first = await respond(store=True, instructions="use:6,4")
        assert first.response.usage.output_tokens == 4
        again = await respond(previous_response_id=first.response.id)
        assert again.type == "response.completed"
        for members in (
            {"previous_response_id": "resp_of_another"},
            {"background": True},
            {"conversation": "conv_1"},
            {"input": [{"type": "item_reference", "id": "msg_1"}]},
            {"model": "gpt-other"},
        ):
            assert (await respond(**members)).type == "error", members
        assert (await respond(instructions="use:20,8")).type == "response.completed"
        await connection.response.create(model="talk", input="Hi", instructions="use:20,8")
        assert await closed(connection._connection) == 4429
    (handshake,) = stage.upstream.handshakes
    assert handshake.path == "/v1/responses"
    heard = stage.upstream.heard
    assert len(heard) == 3
    assert {one["model"] for one in heard} == {"gpt-voice"}
    assert {one["store"] for one in heard} == {False}
    assert heard[0]["max_output_tokens"] == 50


@on_stage
async def test_a_page_sends_its_token_as_a_subprotocol_and_is_told_the_other_one(stage: Stage) -> None:
    token = stage.gateway.token()
    async with stage.open("", "realtime", f"openai-insecure-api-key.{token}") as connection:
        assert connection.subprotocol == "realtime"
        await event(connection, "session.created")
    assert token not in str(stage.upstream.handshakes[0].headers)
    assert token not in stage.gateway.errors


@pytest.mark.parametrize(
    "case",
    ["none", "wrong", "hidden", "no scope", "another model", "no model", "unknown model", "two tokens", "plain GET"],
)
def test_who_may_not_is_refused_before_the_upgrade(
    stages: Callable[[Callable[[Stage], Coroutine[Any, Any, None]]], None], case: str
) -> None:
    async def play(stage: Stage) -> None:
        good = stage.gateway.token()
        cases: dict[str, tuple[AbstractAsyncContextManager[ClientConnection], int, str]] = {
            "none": (stage.open("", "realtime"), 401, "token_missing"),
            "wrong": (stage.open(good[:-4] + "AAAA"), 401, "signature_invalid"),
            "hidden": (stage.open("", "realtime", f"bearer.{good[:-4]}AAAA"), 401, "signature_invalid"),
            "no scope": (stage.open(stage.gateway.token("--scope", "models")), 403, "insufficient_scope"),
            "another model": (stage.open(stage.gateway.token("--model", "other")), 403, "model_not_permitted"),
            "no model": (stage.open(good, model=""), 400, "request_malformed"),
            "unknown model": (stage.open(good, model="other"), 404, "model_not_found"),
            "two tokens": (stage.open("", f"bearer.{good}", f"mcp.auth.{good}"), 400, "credentials_ambiguous"),
        }
        if case == "plain GET":
            with closing(Caller(stage.gateway, good)) as ask:
                answer = await asyncio.to_thread(ask, "GET", "/v1/realtime?model=talk")
            assert (answer.status, answer.code, answer.all("upgrade")) == (426, "upgrade_required", ["websocket"])
            return
        opening, status, code = cases[case]
        with pytest.raises(InvalidStatus) as caught:
            await opening.__aenter__()
        assert caught.value.response.status_code == status
        assert json.loads(caught.value.response.body)["error"]["code"] == code
        assert stage.upstream.handshakes == []
        assert good[:-4] not in stage.gateway.errors

    stages(play)


@on_stage
async def test_a_cookie_opens_a_connection_from_a_listed_origin_alone(stage: Stage) -> None:
    token = stage.gateway.token()

    async def code(origin: str | None, model: str = "page") -> str:
        url = stage.gateway.url.replace("http:", "ws:") + f"/v1/realtime?model={model}"
        named = None if origin is None else Origin(origin)
        cookie = {"Cookie": f"__Host-jotgate={token}", "X-Forwarded-For": "203.0.113.9"}
        try:
            async with connect(url, origin=named, additional_headers=cookie, compression=None) as connection:
                return str((await event(connection, "session.created"))["type"])
        except InvalidStatus as refused:
            return str(json.loads(refused.response.body)["error"]["code"])

    assert await code(_PAGE) == "session.created"
    assert await code("https://evil.example") == "origin_refused"
    assert await code("null") == "origin_refused"
    assert await code(None) == "origin_refused"
    assert await code(_PAGE, "talk") == "token_missing"  # This route takes none.
    async with stage.open(token) as connection:  # A token that is sent on purpose needs no Origin.
        await event(connection, "session.created")


@on_stage
async def test_an_upstream_that_refuses_is_answered_as_for_any_call(stage: Stage) -> None:
    stage.upstream.refuse = 400
    with pytest.raises(InvalidStatus) as caught:
        await stage.open(stage.gateway.token()).__aenter__()
    assert caught.value.response.status_code == 400


@on_stage
async def test_what_may_not_be_said_is_refused_and_the_connection_goes_on(stage: Stage) -> None:
    async with stage.open(stage.gateway.token()) as connection:
        for said, code in (
            ('{"type":"session.update","session":{"model":"gpt-other"}}', "model_not_permitted"),
            ('{"type":"response.create","type":"session.update"}', "request_malformed"),
            ('{"type":"file.read"}', "request_malformed"),
            ('{"type":"response.create","response":{"prompt":{"id":"pmpt_1"}}}', "request_malformed"),
            ("[]", "request_malformed"),
            (b"\x00", "request_malformed"),
        ):
            await connection.send(said)
            assert (await event(connection, "error"))["error"]["code"] == code, said
        await connection.send('{"type":"response.create"}')
        await event(connection, "response.done")
    assert [one["type"] for one in stage.upstream.heard] == ["response.create"]


@on_stage
async def test_a_revoked_token_cuts_its_connections_in_time(stage: Stage) -> None:
    token = stage.gateway.token()
    async with stage.open(token) as one, stage.open(token) as two, stage.open(stage.gateway.token()) as other:
        for connection in (one, two, other):
            await event(connection, "session.created")
        await asyncio.to_thread(revoke, stage.gateway, token)
        began_s = time.monotonic()
        assert await closed(one) == await closed(two) == 4403
        assert time.monotonic() - began_s < _CUT_S
        await other.send('{"type":"response.create"}')
        await event(other, "response.done")
    await asyncio.to_thread(until, lambda: not stage.upstream.live, "the upstream's connections are closed")


@on_stage
async def test_a_connection_is_warned_renewed_and_closed_at_its_tokens_end(stage: Stage) -> None:
    brief, next_one = stage.gateway.token("--ttl", "3s"), stage.gateway.token("--limit", "1 requests")
    stranger = stage.gateway.token(subject="somebody-else")
    async with stage.open(brief) as renewed, stage.open(brief) as left:
        assert (await event(renewed, "auth.expiring"))["expires_in"] <= 3
        await renewed.send(json.dumps({"type": "auth.refresh", "token": stranger}))
        assert (await event(renewed, "error"))["error"]["code"] == "claim_refused"
        await renewed.send(json.dumps({"type": "auth.refresh", "token": next_one}))
        await event(renewed, "auth.refreshed")
        assert await closed(left) == 4401
        await renewed.send('{"type":"response.create"}')
        await event(renewed, "response.done")
        await renewed.send('{"type":"response.create"}')
        assert await closed(renewed) == 4429  # The first token had no limit.
    assert {"auth.refresh"}.isdisjoint(one["type"] for one in stage.upstream.heard)


@on_stage
async def test_quotas_are_charged_by_response_and_cut_the_connection(stage: Stage) -> None:
    poor = stage.gateway.token(subject="poor")
    async with stage.open(poor) as connection:
        await connection.send('{"type":"response.create","response":{"instructions":"use:6,4"}}')
        await event(connection, "response.done")
        assert stage.upstream.heard[0]["response"]["max_output_tokens"] == 50
        await connection.send('{"type":"input_audio_buffer.commit"}')
        await event(connection, "response.done")
        await connection.send('{"type":"response.create","response":{"instructions":"use:20,8"}}')
        await event(connection, "response.done")
        await connection.send('{"type":"input_audio_buffer.commit"}')
        assert await closed(connection) == 4429
    with pytest.raises(InvalidStatus) as caught:
        await stage.open(poor).__aenter__()
    assert caught.value.response.status_code == 429
    assert json.loads(caught.value.response.body)["error"]["code"] == "quota_exceeded"
    done = await asyncio.to_thread(run_command, "quota", "show", "--json", data=stage.gateway.data)
    assert done.returncode == 0, done.stderr
