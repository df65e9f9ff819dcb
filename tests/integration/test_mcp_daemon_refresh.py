"""Refreshes at the MCP daemon with real processes: what a new token may, what becomes of the old one, who gets none."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx
import jwt as pyjwt
import pytest
from websockets.asyncio.client import connect

from jotgate.sdk.legacy import TokenManager
from jotgate.testing.running import Gateway, run_command, running_gateway
from tests.daemon_stage import ask, ending
from tests.daemons import SECRET, WITHIN_S, signed

_SETTINGS: Final = '[tokens]\nrefresh_grace = "4s"\n[mcp_daemon]\nmodel = "echo"\n'
_CHAT: Final = {"tool": "chat", "arguments": {"message": "hello"}}


class Stage:
    """A daemon where a token that was renewed is good for four seconds yet."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.url = gateway.read_line_with("The preset mcp-daemon serves").split()[-1]

    def post(self, path: str, token: str = "", body: object = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        found = httpx.post(self.url + path, headers=headers, json=body, timeout=WITHIN_S, trust_env=False)
        return found.status_code, found.json()

    def refresh(self, token: str = "", refresh_token: str = "") -> Any:
        status, told = self.post("/refresh", token, {"refresh_token": refresh_token} if refresh_token else None)
        assert status == 200, told
        return told

    def refused(self, token: str = "", refresh_token: str = "") -> tuple[int, str]:
        status, told = self.post("/refresh", token, {"refresh_token": refresh_token} if refresh_token else None)
        assert told["error"]["code"] == "UNAUTHORIZED"
        return status, told["error"]["message"]

    def said(self, token: str) -> str:
        """Why it is not good; empty: it is."""
        return str(self.post("/validate", token)[1].get("error", ""))

    def open(self, token: str) -> Any:
        return connect(self.url.replace("http:", "ws:"), additional_headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    environment = {"EXAI_WS_PORT": "0", "SUPABASE_JWT_SECRET": SECRET}
    with running_gateway(_SETTINGS, "--preset", "mcp-daemon", "--workers", "1", environment=environment) as gateway:
        yield Stage(gateway)


def claims_of(token: str) -> dict[str, Any]:
    return pyjwt.decode(token, SECRET, ["HS256"], audience="exai-mcp-client", issuer="exai-mcp-server")


def test_a_new_token_says_of_its_bearer_what_the_old_one_said_and_the_document_s_check_takes_it(stage: Stage) -> None:
    old = signed(sub="keeps", role="user", name="Keeper", quota=7)
    told = stage.refresh(old)
    assert told.keys() == {"access_token", "token_type", "expires_in", "expires_at", "refresh_token"}
    before, after = claims_of(old), claims_of(told["access_token"])
    kept = ("sub", "name", "role", "quota", "iss", "aud")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert after["exp"] - after["iat"] == 86_400
    assert (after["exp"], told["token_type"]) == (told["expires_at"], "Bearer")
    assert stage.post("/call", told["access_token"], _CHAT)[1]["result"]["content"][0]["text"] == "hello"
    manager = TokenManager(SECRET, "managed")
    assert stage.said(stage.refresh(manager.get_valid_token())["access_token"]) == ""


def test_F08_a_token_that_has_expired_is_renewed_by_nothing(stage: Stage) -> None:
    late = signed(iat=1_600_000_000, exp=1_600_086_400)
    assert stage.refused(late) == (401, "Token has expired")
    assert stage.refused(signed("f" * 64)) == (401, "Invalid signature")
    assert stage.refused(signed(aud="others")) == (401, "Audience mismatch")
    assert stage.refused(signed(iss="others")) == (401, "Issuer mismatch")
    assert stage.refused()[0] == 401
    refresh_token = stage.refresh(signed(sub="mixed"))["refresh_token"]
    assert stage.said(refresh_token).startswith("Invalid token"), "no refresh token is an access token"
    assert stage.refused(refresh_token)[0] == 401
    assert stage.refused(refresh_token=late)[0] == 401, "and no access token a refresh token"
    assert stage.refresh(late, refresh_token)["refresh_token"] != refresh_token, "what is sent along counts for nothing"


def test_a_refresh_buys_no_call_however_often_and_at_once_it_is_asked_for(stage: Stage) -> None:
    old = signed(sub="poor", quota=4)
    assert stage.post("/call", old, _CHAT)[0] == 200
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: stage.refresh(old), range(6)))
    assert len({one["access_token"] for one in answers}) == 1, "one answer, which is given again"
    assert len({one["refresh_token"] for one in answers}) == 1
    new = answers[0]["access_token"]
    assert stage.post("/validate", new)[1]["quota_remaining"] == 3
    third = stage.refresh(refresh_token=answers[0]["refresh_token"])["access_token"]
    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(lambda one: stage.post("/call", one, _CHAT)[0], [old, new, third] * 4))
    assert sorted(statuses) == [200] * 3 + [429] * 9
    assert stage.said(third) == stage.said(stage.refresh(third)["access_token"]) == "Token quota exceeded"


def test_a_connection_goes_on_with_the_new_token_and_one_that_does_not_is_closed(stage: Stage) -> None:
    old = signed(sub="talks")

    async def run() -> None:
        async with stage.open(old) as stays, stage.open(old) as ends:
            told = await asyncio.to_thread(stage.refresh, old)
            new = told["access_token"]
            assert "result" in await ask(ends, _CHAT), "what runs is not broken off"
            said = await ask(stays, {"op": "rotate_token", "old": old, "new": new, "request_id": "r"})
            assert said == {"op": "rotate_token_res", "request_id": "r", "ok": True, "expires_at": told["expires_at"]}
            other = signed(sub="else")
            refused = await ask(stays, {"op": "rotate_token", "old": new, "new": other, "request_id": "s"})
            assert refused["error"]["code"] == "UNAUTHORIZED"
            code, reason, _ = await ending(ends)
            assert (code, reason) == (4003, "Invalid token: the token was revoked")
            assert "result" in await ask(stays, _CHAT)
            assert await asyncio.to_thread(stage.said, old) == "Invalid token: the token was revoked"
            assert await asyncio.to_thread(stage.refused, old) == (401, "Invalid token: the token was revoked")

    asyncio.run(asyncio.wait_for(run(), WITHIN_S))


def test_a_refresh_token_that_is_used_again_ends_the_chain(stage: Stage) -> None:
    first = stage.refresh(signed(sub="robbed"))
    second = stage.refresh(refresh_token=first["refresh_token"])
    again = [stage.refresh(refresh_token=first["refresh_token"]) for _ in range(3)]
    assert {(one["access_token"], one["refresh_token"]) for one in again} == {
        (second["access_token"], second["refresh_token"])
    }, "an answer may get lost"

    async def run() -> None:
        async with stage.open(first["access_token"]) as before, stage.open(second["access_token"]) as after:
            assert (await ending(before))[0] == 4003, "the grace is over"
            status, message = await asyncio.to_thread(stage.refused, "", first["refresh_token"])
            assert (status, message.startswith("Invalid token: the refresh token was used before")) == (401, True)
            assert (await ending(after))[0] == 4003

    asyncio.run(asyncio.wait_for(run(), WITHIN_S))
    assert stage.refused(refresh_token=second["refresh_token"])[0] == 401
    assert stage.refused(second["access_token"])[0] == 401


@pytest.mark.parametrize("words", [("--issuer", "mcp-daemon"), ()])
def test_whoever_is_revoked_has_no_chain_left(stage: Stage, words: tuple[str, ...]) -> None:
    name = f"gone-{len(words)}"
    told = stage.refresh(signed(sub=name, iat=int(time.time()) - 60))
    done = run_command("token", "revoke", "--subject", name, *words, "--yes", data=stage.gateway.data)
    assert done.returncode == 0, done.stderr
    deadline_s = time.monotonic() + WITHIN_S
    while not stage.said(told["access_token"]) and time.monotonic() < deadline_s:
        pass
    assert stage.refused(told["access_token"])[0] == 401
    assert stage.refused(refresh_token=told["refresh_token"])[0] == 401


@pytest.mark.parametrize(
    ("hello", "error"),
    [
        ({}, "jwt_required"),
        ({"token": "whatever"}, "jwt_required"),
        ({"token": ""}, "jwt_required"),
        ({"jwt": "good"}, ""),
        ({"jwt": "good", "token": "whatever"}, ""),
        ({"jwt": "late", "token": "whatever"}, "unauthorized"),
    ],
)
def test_out_of_grace_and_without_an_older_token_the_jwt_alone_counts(
    stage: Stage, hello: dict[str, str], error: str
) -> None:
    tokens = {"good": signed(), "late": signed(iat=1_600_000_000, exp=1_600_086_400)}
    told = {**hello, "jwt": tokens[hello["jwt"]]} if "jwt" in hello else hello

    async def run() -> None:
        async with connect(stage.url.replace("http:", "ws:")) as connection:
            said = await ask(connection, {"op": "hello", **told})
            assert (said["op"], said["ok"], said.get("error", "")) == ("hello_ack", not error, error)
            if error:
                assert (await ending(connection))[0] == 4003
            else:
                assert "result" in await ask(connection, _CHAT)

    asyncio.run(asyncio.wait_for(run(), WITHIN_S))
