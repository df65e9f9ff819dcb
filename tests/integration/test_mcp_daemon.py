"""The MCP daemon with real processes: who is let in, what a connection may do, and when it ends."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Final

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from jotgate.stores.settings import Sources, load_settings
from jotgate.testing.running import run_command, running_gateway, until
from jotgate.testing.upstream import Gate, chunked, unary
from tests.daemon_stage import CHAT, LEGACY, SLOW, Stage, ask, daemon_stage, ending, play
from tests.daemons import SECRET, WITHIN_S, signed

_LISTED: Final = "https://console.example"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with daemon_stage() as found:
        yield found


def _offer(token: str) -> Any:
    return ["mcp", f"bearer.{token}"]


@play
async def test_a_hello_with_both_tokens_opens_a_session(stage: Stage) -> None:
    async with stage.open() as connection:
        said = await ask(connection, {"op": "hello", "token": LEGACY, "jwt": signed(), "session_id": "mine-1"})
        assert said == {"op": "hello_ack", "ok": True, "session_id": "mine-1"}
        assert (await ask(connection, CHAT))["result"]["content"][0]["text"] == "hello"


@play
async def test_a_hello_on_an_open_connection_is_as_good_as_what_that_was_opened_with(stage: Stage) -> None:
    wrong: tuple[dict[str, str], ...] = (
        {"jwt": signed("f" * 40)},
        {"jwt": signed(sub="somebody-else")},
        {"jwt": signed(), "token": "wrong"},
    )
    for members in wrong:
        async with stage.open(signed()) as connection:
            again = {"op": "hello", "token": LEGACY, "jwt": signed(), "session_id": "mine-1"}
            assert (await ask(connection, again))["ok"] is True
            told = await ask(connection, {"op": "hello", **members})
            assert (told["ok"], told["error"]) == (False, "unauthorized"), members
            assert (await ending(connection))[0] == 4003, members


@pytest.mark.parametrize(
    ("first", "code", "reason", "said"),
    [
        (
            {"op": "hello", "jwt": "good"},
            4003,
            "Invalid token",
            {"op": "hello_ack", "ok": False, "error": "unauthorized"},
        ),
        ({"op": "hello", "token": "wrong", "jwt": "good"}, 4003, "Invalid token", {"error": "unauthorized"}),
        ({"op": "hello", "token": "wrong"}, 4003, "Invalid token", {"error": "unauthorized"}),
        ({"op": "hello", "token": LEGACY, "jwt": "late"}, 4003, "Token has expired", {"error": "unauthorized"}),
        ({"op": "hello", "token": LEGACY, "jwt": "forged"}, 4003, "Invalid signature", {"error": "unauthorized"}),
        ({"op": "list_tools", "request_id": "a"}, 4003, "unauthorized", {"op": "hello_ack", "error": "missing_hello"}),
        ({"op": "nonsense", "request_id": "a"}, 4001, "Unknown operation", {"op": "error", "request_id": "a"}),
        ({"jsonrpc": "2.0", "id": 7, "method": "initialize"}, 4003, "unauthorized", {"jsonrpc": "2.0", "id": 7}),
        (CHAT, 4003, "unauthorized", {"tool": "chat"}),
        ("no json", 4000, "Invalid JSON", {"op": "error"}),
        (None, 4002, "no hello in time", {"op": "hello_ack", "error": "missing_hello"}),
    ],
)
def test_who_has_not_said_who_it_is_is_told_so_and_closed(
    stage: Stage, first: Any, code: int, reason: str, said: dict[str, object]
) -> None:
    tokens = {"good": signed(), "late": signed(exp=1_700_000_000, iat=1_600_000_000), "forged": signed("f" * 40)}

    async def run() -> None:
        async with stage.open() as connection:
            if isinstance(first, dict) and "jwt" in first:
                await connection.send(json.dumps({**first, "jwt": tokens[first["jwt"]]}))
            elif first is not None:
                await connection.send("{" if first == "no json" else json.dumps(first))
            found_code, found_reason, heard = await ending(connection)
            assert found_code == code
            assert found_reason.startswith(reason)
            assert heard[0].items() >= said.items()
            assert not any(one in json.dumps(heard) for one in (LEGACY, *tokens.values()))

    asyncio.run(asyncio.wait_for(run(), WITHIN_S))


@play
async def test_until_the_grace_is_over_the_older_token_alone_is_a_user(stage: Stage) -> None:
    async with stage.open() as connection:
        assert (await ask(connection, {"op": "hello", "token": LEGACY}))["ok"] is True
        assert "result" in await ask(connection, CHAT)
        told = await ask(connection, {"op": "call_tool", "name": "files_read_file", "request_id": "t"})
        assert (told["op"], told["request_id"], told["error"]["code"]) == ("call_tool_res", "t", "FORBIDDEN")
        refused = await ask(connection, {"op": "rotate_token", "old": LEGACY, "new": signed(), "request_id": "u"})
        assert refused["error"]["code"] == "UNAUTHORIZED"


def test_the_grace_is_a_date_and_never_a_span_from_the_start() -> None:
    base = {"SUPABASE_JWT_SECRET": SECRET, "EXAI_WS_TOKEN": LEGACY}

    def said(**more: str) -> str:
        found = load_settings(Sources(file=None, environment={**base, **more}, presets=("mcp-daemon",)))
        return " ".join(map(str, found.findings))

    assert "counts from each start" in said(JWT_GRACE_PERIOD_DAYS="14")
    assert "must be a date" in said(JWT_GRACE_UNTIL="soon")
    assert "set both or none" in said(JWT_GRACE_UNTIL="2030-01-01", EXAI_WS_TOKEN="")
    assert "can be guessed" in said(EXAI_WS_TOKEN="short")
    assert said(JWT_GRACE_UNTIL="2020-01-01") == ""


@play
async def test_the_handshake_is_refused_before_the_upgrade(stage: Stage) -> None:
    for token, status in ((signed()[:-6] + "AAAAAA", 401), (signed(quota=None, aud="x"), 401)):
        with pytest.raises(InvalidStatus) as refused:
            async with stage.open(token):
                pass
        assert refused.value.response.status_code == status
        assert json.loads(refused.value.response.body or b"")["error"]["code"] == "UNAUTHORIZED"
    async with stage.open("", "mcp", f"bearer.{signed()}") as connection:
        assert connection.subprotocol == "mcp"
        assert "result" in await ask(connection, CHAT)


@play
async def test_a_page_opens_one_connection_by_a_ticket(stage: Stage) -> None:
    token, page = signed(sub="page"), stage.url

    def ticket(path: str = "/", **more: str) -> tuple[int, Any]:
        asked = {"path": path, "origin": page, **more}
        headers, url = {"Authorization": f"Bearer {token}"}, f"{stage.url}/v1/ws-tickets"
        found = httpx.post(url, headers=headers, json=asked, timeout=WITHIN_S, trust_env=False)
        return found.status_code, found.json()

    def shown(text: str, path: str = "/", origin: str = page) -> AbstractAsyncContextManager[ClientConnection]:
        return connect(f"{stage.url.replace('http:', 'ws:')}{path}?ticket={text}", origin=Origin(origin))

    async def code(opening: AbstractAsyncContextManager[ClientConnection]) -> tuple[int, str]:
        with pytest.raises(InvalidStatus) as refused:
            await opening.__aenter__()
        response = refused.value.response
        return response.status_code, json.loads(response.body or b"")["error"]["details"]["code"]

    status, told = await asyncio.to_thread(ticket)
    assert (status, told["path"], told["origin"]) == (200, "/ws", page)
    async with shown(told["ticket"]) as connection:
        assert "result" in await ask(connection, CHAT)
        assert await code(shown(told["ticket"])) == (401, "ticket_refused")
        _, other = await asyncio.to_thread(ticket, "/ws")
        renewed = {"op": "rotate_token", "old": token, "new": signed(sub="page", role="admin"), "request_id": "r"}
        assert (await ask(connection, renewed))["ok"] is True
        async with shown(other["ticket"], "/ws") as again:
            assert "result" in await ask(again, CHAT)
    _, elsewhere = await asyncio.to_thread(ticket, origin="https://app.example")
    async with shown(elsewhere["ticket"], origin="https://app.example") as connection:
        assert "result" in await ask(connection, CHAT)
    protocols, where = _offer(token), stage.url.replace("http:", "ws:")
    # A page that holds the token itself has to be listed.
    bearer = connect(where, origin=Origin("https://app.example"), subprotocols=protocols)
    assert await code(bearer) == (403, "origin_refused")
    listed = connect(where, origin=Origin(_LISTED), subprotocols=protocols)
    async with listed as connection:
        assert "result" in await ask(connection, CHAT)
    _, stray = await asyncio.to_thread(ticket)
    assert await code(shown(stray["ticket"], origin="http://localhost:1")) == (401, "ticket_refused")
    assert token not in stage.gateway.errors
    assert told["ticket"] not in stage.gateway.errors
    status, told = await asyncio.to_thread(ticket, "/v1/realtime")
    assert (status, told["error"]["code"], told["error"]["details"]["member"]) == (400, "INVALID_REQUEST", "path")


@play
async def test_a_connection_ends_with_its_token_and_goes_on_with_another(stage: Stage) -> None:
    now_s = int(time.time())
    short, longer = signed(exp=now_s + 3), signed(exp=now_s + 3_600)
    async with stage.open(short) as ends, stage.open(short) as stays:
        told = await ask(stays, {"op": "rotate_token", "old": short, "new": longer, "request_id": "r"})
        assert told == {"op": "rotate_token_res", "request_id": "r", "ok": True, "expires_at": now_s + 3_600}
        other = await ask(stays, {"op": "rotate_token", "old": longer, "new": signed(sub="else"), "request_id": "s"})
        assert (other["op"], other["request_id"], other["error"]["code"]) == ("rotate_token_res", "s", "UNAUTHORIZED")
        code, reason, _ = await ending(ends)
        assert (code, reason) == (4003, "Token has expired")
        assert "result" in await ask(stays, CHAT)


@play
async def test_a_revocation_closes_the_connections_of_a_subject(stage: Stage) -> None:
    async with stage.open(signed(sub="revoked")) as mine, stage.open(signed(sub="other")) as theirs:
        assert "result" in await ask(mine, CHAT)
        words = ("token", "revoke", "--subject", "revoked", "--issuer", "mcp-daemon", "--yes")
        done = await asyncio.to_thread(run_command, *words, data=stage.gateway.data)
        assert done.returncode == 0, done.stderr
        assert (await ending(mine))[0] == 4003
        assert "result" in await ask(theirs, CHAT)


@play
async def test_cancel_stops_what_runs_and_equal_ids_are_two_calls(stage: Stage) -> None:
    gate, answer = Gate(), b'{"choices":[{"message":{"content":"theirs"}}],"model":"slow-model"}'
    before = len(stage.model.requests)
    stage.model.script.extend([chunked(gate), unary(answer)])
    frame = {"op": "call_tool", "name": "chat", "arguments": SLOW, "request_id": "same"}
    async with stage.open(signed(sub="one")) as mine, stage.open(signed(sub="two")) as theirs:
        await mine.send(json.dumps(frame))
        await asyncio.to_thread(stage.model.do, stage.model.until_requests(before + 1))
        assert (await ask(mine, frame))["error"]["message"] == "a call with this id is still running"
        said = await ask(theirs, frame)
        assert (said["request_id"], said["outputs"][0]["text"]) == ("same", "theirs")
        told = await ask(mine, {"op": "cancel", "request_id": "same"})
        assert (told["op"], told["was_running"]) == ("cancelled", True)
        await asyncio.to_thread(until, lambda: stage.model.answering == 0, "the model is left")
        assert (await ask(mine, {"op": "ping", "request_id": "p"}))["op"] == "pong", "nothing more is said of the call"


@play
async def test_a_quota_is_exact_where_frames_run_side_by_side(stage: Stage) -> None:
    token = signed(sub="poor", quota=3)
    async with stage.open(token) as one, stage.open(token) as two:
        for connection in (one, two):
            for _ in range(4):
                await connection.send(json.dumps(CHAT))
        answers = [json.loads(await connection.recv()) for connection in (one, two) for _ in range(4)]
    refused = [answer["error"] for answer in answers if "error" in answer]
    assert len(answers) - len(refused) == 3
    assert {(one["code"], one["message"]) for one in refused} == {("OVER_CAPACITY", "Token quota exceeded")}
    assert stage.call(token, CHAT)[0] == 429
    status, told = stage.call(signed(sub="poor"), {**CHAT, "request_id": "mine"})
    assert (status, told["request_id"]) == (200, "mine")


@play
async def test_connections_of_a_subject_and_of_an_address_are_bounded(stage: Stage) -> None:
    async def refused(subject: str) -> int:
        with pytest.raises(InvalidStatus) as caught:
            await stage.open(signed(sub=subject)).__aenter__()
        return caught.value.response.status_code

    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(stage.open(signed(sub="a")))
        assert await refused("a") == 503
        for _ in range(3):
            await stack.enter_async_context(stage.open(signed(sub="b")))
        assert await refused("c") == 503
        with pytest.raises(InvalidStatus, match="503"):
            await stage.open().__aenter__()  # Whoever has not said hello yet counts too.
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(stage.open(signed(sub="a")))
        late = await stack.enter_async_context(stage.open())
        told = await ask(late, {"op": "hello", "token": LEGACY, "jwt": signed(sub="a")})
        assert (told["ok"], told["error"]) == (False, "service_unavailable"), "its token is good"
        code, reason, _ = await ending(late)
        assert (code, reason) == (1008, "Server overloaded - too many connections of this subject")
    async with stage.open(signed(sub="a")) as again:
        assert "result" in await ask(again, CHAT)


def test_a_subject_has_so_many_calls_a_minute_over_all_its_tokens(stage: Stage) -> None:
    answers = (stage.call(signed(sub="busy", quota=5_000), CHAT) for _ in range(600))
    refused = next(told for status, told in answers if status == 429)
    assert refused["error"]["details"]["quota"] == "mcp-daemon-calls"


@play
async def test_a_jwt_that_is_no_text_is_a_bad_one_in_the_grace_too(stage: Stage) -> None:
    odd: tuple[object, ...] = (5, "", ["x"], {})
    for jwt in odd:
        async with stage.open() as connection:
            told = await ask(connection, {"op": "hello", "token": LEGACY, "jwt": jwt})
            assert (told["ok"], told["error"]) == (False, "unauthorized"), jwt
            assert (await ending(connection))[0] == 4003


@play
async def test_a_token_in_the_query_is_refused_before_the_upgrade(stage: Stage) -> None:
    with pytest.raises(InvalidStatus, match="401"):
        await connect(f"{stage.url.replace('http:', 'ws:')}/ws?access_token={signed()}").__aenter__()


@play
async def test_frames_are_bounded(stage: Stage) -> None:
    async with stage.open(signed()) as connection:
        await connection.send("x" * 34_603_008)
        assert (await ending(connection))[0] == 1009
    async with stage.open() as connection:
        await connection.send("x" * 70_000)
        assert (await ending(connection))[0] == 1009


@play
async def test_tools_of_mcp_servers_are_those_of_the_role(stage: Stage) -> None:
    admin, reader, guest = (signed(sub=role, role=role) for role in ("admin", "reader", "guest"))
    for token, names in (
        (admin, ["chat", "files_read_file", "files_write_file"]),
        (reader, ["chat", "files_read_file"]),
        (guest, []),
    ):
        async with stage.open(token) as connection:
            told = await ask(connection, {"op": "list_tools", "request_id": "l"})
            assert [one["name"] for one in told["tools"]] == names
            rpc = await ask(connection, {"jsonrpc": "2.0", "id": 3, "method": "tools/list"})
            assert [one["name"] for one in rpc["result"]["tools"]] == names
    read = {"tool": "files_read_file", "arguments": {"path": "a"}}
    status, told = stage.call(reader, read)
    assert (status, told["tool"], told["result"]["content"][0]["text"]) == (200, "files_read_file", "read_file")
    heard = stage.servers.calls("files")[-1]
    assert (heard.body["params"]["arguments"], reader in heard.authorization) == ({"path": "a"}, False)
    assert stage.call(reader, {"tool": "files_write_file"})[1]["error"]["code"] == "FORBIDDEN"
    assert stage.call(guest, CHAT)[0] == 403
    for name in ("files_none", "none"):
        status, told = stage.call(admin, {"tool": name})
        assert (status, told["error"]["code"]) == (404, "TOOL_NOT_FOUND")
    status, told = stage.call(admin, {"tool": "chat", "arguments": {"message": "a", "what": 1}})
    assert (status, told["error"]["details"]["member"]) == (400, "arguments")


@play
async def test_each_error_has_what_its_question_had(stage: Stage) -> None:
    cases: list[tuple[object, dict[str, object]]] = [
        ({"op": "what", "request_id": "1"}, {"op": "error", "request_id": "1"}),
        ({"op": "call_tool", "request_id": "2"}, {"op": "call_tool_res", "request_id": "2"}),
        ({"op": "tool_call", "tool": {"name": "none"}, "request_id": "3"}, {"op": "call_tool_res", "request_id": "3"}),
        ({"op": "tool_call", "tool": "chat", "arguments": [], "request_id": "4"}, {"op": "call_tool_res"}),
        ({"op": "rotate_token", "request_id": "5"}, {"op": "rotate_token_res", "request_id": "5"}),
        ({"op": "ping", "request_id": 6}, {"op": "pong"}),
        ({"jsonrpc": "2.0", "id": "7", "method": "tools/call", "params": {"name": "none"}}, {"id": "7"}),
        ({"jsonrpc": "2.0", "id": 8, "method": "resources/list"}, {"id": 8}),
        ({"jsonrpc": "1.0", "id": 9}, {"id": 9}),
        ({"jsonrpc": "2.0", "id": None, "method": "ping"}, {"jsonrpc": "2.0", "id": None}),
        ({"jsonrpc": "2.0", "id": True, "method": "ping"}, {"jsonrpc": "2.0", "id": None}),
        ({"request_id": "10"}, {"op": "error", "request_id": "10"}),
        ({"tool": 11, "request_id": "11"}, {"request_id": "11"}),
        ([], {"op": "error"}),
    ]
    async with stage.open(signed()) as connection:
        for frame, wanted in cases:
            told = await ask(connection, frame)
            assert told.items() >= wanted.items(), frame
            assert told["error"]["message"], frame
        unknown = await ask(connection, cases[6][0])
        assert unknown["error"]["data"]["code"] == "TOOL_NOT_FOUND"
        assert unknown["error"]["data"]["details"]["code"] == "request_malformed"
        assert (await ask(connection, {"op": "health", "request_id": "h"}))["status"] == "ok"
        started = await ask(connection, {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}})
        assert started["result"]["serverInfo"]["name"] == "exai-mcp"


def test_without_a_secret_it_starts_and_says_so() -> None:
    with running_gateway("", "--preset", "mcp-daemon", environment={"EXAI_WS_PORT": "0"}) as gateway:
        url = gateway.read_line_with("The preset mcp-daemon serves").split()[-1]
        health = httpx.get(url + "/health", timeout=WITHIN_S, trust_env=False)
        assert (health.status_code, "SUPABASE_JWT_SECRET" in health.text) == (200, True)
        assert httpx.get(url + "/health/ready", timeout=WITHIN_S, trust_env=False).status_code == 503
        assert httpx.post(url + "/validate", timeout=WITHIN_S, trust_env=False).status_code == 503
