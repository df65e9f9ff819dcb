"""The browser that comes back from a login: taken once, from this machine, with what the login was begun with."""

import asyncio
from typing import Final

import pytest

from jotgate.control.loopback import LoopbackListener
from jotgate.core.coze_login import Code, Proof, Redirect, read_return
from jotgate.core.login_answers import Refused
from jotgate.core.values import Secret
from jotgate.errors import CommandError
from tests.loops import on_loop

BACK: Final = Redirect(0, "/callback")
PROOF: Final = Proof("state", Secret("verifier"))
GOOD: Final = "/callback?code=the-code&state=state"


class Coming:
    """A listener, and those who come to it."""

    def __init__(self) -> None:
        self.listener = LoopbackListener()
        self.port = 0

    async def open(self, patience_s: float = 15.0) -> "asyncio.Task[Code | Refused | None]":
        self.port = await self.listener.open(0)
        waiting = self.listener.wait(lambda target: read_return(target, BACK, PROOF), patience_s)
        return asyncio.create_task(waiting)

    async def send(self, raw: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(raw)
        try:
            return await reader.read()
        except ConnectionResetError:  # It was closed before all of this was read.
            return b""
        finally:
            writer.close()

    async def get(self, target: str, method: str = "GET", host: str = "") -> bytes:
        host = host or f"127.0.0.1:{self.port}"
        return await self.send(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())


@on_loop
async def test_a_browser_with_the_code_is_taken_and_told_that_it_is_done() -> None:
    coming = Coming()
    waiting = await coming.open()
    answer = await coming.get(GOOD)
    assert await waiting == Code(Secret("the-code"))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"You are logged in." in answer
    assert b"Cache-Control: no-store" in answer
    assert b"the-code" not in answer


@on_loop
async def test_nobody_else_is_taken_and_nobody_ends_the_wait() -> None:
    coming = Coming()
    waiting = await coming.open()
    for target in ("/favicon.ico", "/callback?code=x&state=wrong", "/callback?code=x", "/callback?error=access_denied"):
        assert (await coming.get(target)).startswith(b"HTTP/1.1 404 ")
    for answer in (
        await coming.get(GOOD, method="POST"),
        await coming.get(GOOD, host="evil.example"),
        await coming.get(GOOD, host=f"localhost:{coming.port}"),
        await coming.send(f"GET {GOOD} HTTP/1.1\r\n\r\n".encode()),
        await coming.send(f"GET {GOOD} HTTP/1.1\r\nHost: 127.0.0.1:{coming.port}\r\nHost: a\r\n\r\n".encode()),
        await coming.send(f"GET {GOOD}\r\n\r\n".encode()),
        await coming.send(b"\xff\r\n\r\n"),
    ):
        assert answer.startswith(b"HTTP/1.1 400 ")
    assert await coming.send(b"GET /" + b"x" * 20_000) == b""
    await coming.get(GOOD)
    assert await waiting == Code(Secret("the-code"))


@on_loop
async def test_a_no_of_the_user_is_told() -> None:
    coming = Coming()
    waiting = await coming.open()
    answer = await coming.get("/callback?error=access_denied&state=state")
    assert b"The login was refused." in answer
    assert await waiting == Refused("access_denied")


@on_loop
async def test_it_listens_once() -> None:
    coming = Coming()
    waiting = await coming.open()
    await coming.get(GOOD)
    await waiting
    with pytest.raises(ConnectionRefusedError):
        await coming.get(GOOD)


@on_loop
async def test_it_waits_for_no_longer_than_it_was_told() -> None:
    coming = Coming()
    assert await (await coming.open(patience_s=0.0)) is None
    with pytest.raises(ConnectionRefusedError):
        await coming.get(GOOD)


@on_loop
async def test_those_who_say_nothing_keep_nobody_else_out_for_ever() -> None:
    coming = Coming()
    waiting = await coming.open()
    silent = [await asyncio.open_connection("127.0.0.1", coming.port) for _ in range(15)]
    assert (await coming.get(GOOD)).startswith(b"HTTP/1.1 200 ")
    assert await waiting == Code(Secret("the-code"))
    for _, writer in silent:
        writer.close()


@on_loop
async def test_a_port_in_use_is_told() -> None:
    coming = Coming()
    waiting = await coming.open()
    with pytest.raises(CommandError, match=f"nothing can listen on 127.0.0.1:{coming.port}") as caught:
        await LoopbackListener().open(coming.port)
    assert "--redirect" in caught.value.hint
    waiting.cancel()
    coming.listener.close()
