"""Coze's stand-in behind two workers: a token for each caller's session, renewed once for all who want it."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import pytest

from jotgate.testing.coze import CozeServer, coze_in_thread
from jotgate.testing.coze_told import APP_ID, BOT_ID
from jotgate.testing.running import Gateway, running_gateway
from tests.integration.exchanges import chat_body

_SUBJECTS: Final = ("ann", "bob", "cem", "dee")
_CALLERS: Final = 50
_CONFIG: Final = """
[server]
workers = 2

[[upstreams]]
name = "coze"
kind = "coze"
base_url = "{url}"
models = {{ assistant = "bot:{bot}" }}

[upstreams.oauth]
grant = "coze"
client_id = "{app}"
private_key_env = "COZE_KEY"
key_id = "{key_id}"
"""


@pytest.fixture(scope="module")
def coze() -> Iterator[CozeServer]:
    with coze_in_thread() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(coze: CozeServer) -> Iterator[Gateway]:
    """A gateway whose key is in one line, as in an environment file."""
    config = _CONFIG.format(url=coze.url, bot=BOT_ID, app=APP_ID, key_id=coze.key_id)
    environment = {"COZE_KEY": coze.private_key_pem.replace("\n", "\\n")}
    with running_gateway(config, environment=environment) as running:
        yield running


async def crowd(gateway: Gateway, tokens: list[str]) -> list[int]:
    """The statuses of a call of each of these tokens, all at once."""
    address = urlsplit(gateway.url)
    body = json.dumps(chat_body("assistant")).encode()
    everybody_is_there = asyncio.Barrier(len(tokens))

    async def call(token: str) -> int:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        await everybody_is_there.wait()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = await reader.read()
        writer.close()
        return int(answer.split(b" ", 2)[1])

    return await asyncio.gather(*map(call, tokens))


def test_each_caller_has_a_session_and_each_session_one_renewal(coze: CozeServer, gateway: Gateway) -> None:
    tokens = [gateway.token(subject=subject) for subject in _SUBJECTS]
    for rounds in (1, 2):
        assert set(asyncio.run(crowd(gateway, tokens * _CALLERS))) == {200}
        sessions = Counter(one.session for one in coze.exchanges)
        assert len(sessions) == len(_SUBJECTS)
        assert set(sessions.values()) == {rounds}
        assert {one.error for one in coze.exchanges} == {""}
        coze.expire_tokens()
    assert len({one.session for one in coze.chats}) == len(_SUBJECTS)
    (standing,) = gateway.status()["upstream_tokens"]
    assert (standing["sessions"], standing["obtained"], standing["failed"]) == (len(_SUBJECTS), 2 * len(_SUBJECTS), 0)


def test_nothing_that_the_run_wrote_has_a_key_or_a_token_of_coze_in_it(coze: CozeServer, gateway: Gateway) -> None:
    assert coze.exchanges
    line = coze.private_key_pem.splitlines()[2].encode()
    written = [path.read_bytes() for path in gateway.data.rglob("*") if path.is_file()]
    written += [gateway.errors.encode(), gateway.first_lines.encode(), json.dumps(gateway.status()).encode()]
    assert any(b"upstream.token_obtained" in content for content in written)
    assert not any(sign in content for content in written for sign in (b"czs_", line, b"eyJhbGciOiJSUzI1NiI"))
