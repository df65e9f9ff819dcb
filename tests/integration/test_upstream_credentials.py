"""What upstreams are shown, in real processes: tokens that control gets, and keys that change while jotgate runs."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from jotgate.testing.running import Gateway, run_command, running_gateway, short_directory, until
from jotgate.testing.threads import in_thread
from jotgate.testing.upstream import Gate
from tests.exposition import read_exposition
from tests.integration.exchanges import Caller, chat_body
from tests.token_servers import CLIENT_ID, TokenServer

_CALLERS: Final = 1_000
_WORKERS: Final = 2

_CONFIG: Final = """
[server]
workers = 2

[[upstreams]]
name = "tokens"
kind = "openai"
base_url = "{origin}/v1"
models = ["by-token"]

[upstreams.oauth]
grant = "jwt-bearer"
token_url = "{origin}/token"
client_id = "{client}"
private_key_env = "ASSERTION_KEY"
key_id = "first"
next_private_key_file = "{directory}/next.pem"
next_key_id = "next"

[[upstreams]]
name = "keys"
kind = "openai"
base_url = "{origin}/v1"
models = ["by-key"]
credential_file = "{directory}/key.txt"
other_credential_file = "{directory}/other-key.txt"
"""


class Scene:
    """The gateway, its upstream, and all that is secret."""

    def __init__(self, gateway: Gateway, server: TokenServer, pems: list[str], directory: Path) -> None:
        self.gateway = gateway
        self.directory = directory
        self.server = server
        self.pems = pems
        self.token = gateway.token()
        self.said = ""

    def call(self, model: str = "by-token") -> tuple[int, str]:
        """The status of one call, and the code of its error."""
        with closing(Caller(self.gateway, self.token)) as caller:
            answer = caller.chat(model)
            return answer.status, answer.code if answer.status >= 400 else ""

    def standing(self) -> dict[str, object]:
        """How control says that the tokens are doing."""
        (found,) = self.gateway.status()["upstream_tokens"]
        return dict(found)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """One gateway for all of these tests, with two workers."""
    with in_thread(TokenServer()) as server:
        pems = [server.add_key("first"), server.add_key("next")]
        # As in an environment file: the key in one line.
        environment = {"ASSERTION_KEY": pems[0].replace("\n", "\\n")}
        server.static_keys = {"key-one"}
        with short_directory() as directory:
            write_secrets(directory, pems[1])
            config = _CONFIG.format(origin=server.origin, client=CLIENT_ID, directory=directory)
            with running_gateway(config, environment=environment) as gateway:
                yield Scene(gateway, server, pems, directory)


def write_secrets(directory: Path, pem: str) -> None:
    """The files that the configuration names."""
    for name, text in (("next.pem", pem), ("key.txt", "key-one\n"), ("other-key.txt", "key-two\n")):
        path = directory / name
        path.touch(0o600)
        path.write_text(text)


async def crowd(scene: Scene, model: str, count: int) -> list[int]:
    """The statuses of so many calls at once, each on a connection of its own."""
    address = urlsplit(scene.gateway.url)
    body = json.dumps(chat_body(model)).encode()
    request = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {scene.token}\r\n"
        f"Content-Type: application/json\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    everybody_is_there = asyncio.Barrier(count)

    async def call() -> int:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        await everybody_is_there.wait()
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return int(answer.split(b" ", 2)[1])

    return await asyncio.gather(*(call() for _ in range(count)))


def test_a_thousand_callers_at_expiry_make_one_renewal_and_none_fails(scene: Scene) -> None:
    server = scene.server
    server.life_s = 7
    assert scene.call() == (200, "")
    ends_s = server.ends_s()
    server.life_s = 3_600
    before, assertions = server.exchanges, len(server.assertions)
    until(lambda: time.time() > ends_s - 5, "the token is in its last five seconds")
    gate = server.token_gate = Gate()

    async def all_of_them() -> list[int]:
        calling = asyncio.ensure_future(crowd(scene, "by-token", _CALLERS))
        await asyncio.to_thread(until, lambda: len(server.assertions) > assertions, "a token is asked for")
        gate.open()
        return await calling

    statuses = asyncio.run(all_of_them())
    server.token_gate = None
    assert statuses == [200] * _CALLERS
    assert server.exchanges == before + 1
    assert set(server.shown[-_CALLERS:]) == {server.tokens[-1]}


def test_a_thousand_callers_whose_token_is_refused_make_one_renewal_and_none_fails(scene: Scene) -> None:
    server = scene.server
    assert scene.call() == (200, "")
    before, old = server.exchanges, server.tokens[-1]
    server.revoke()
    statuses = asyncio.run(crowd(scene, "by-token", _CALLERS))
    assert statuses == [200] * _CALLERS
    assert server.exchanges == before + 1
    seen = len(server.shown)
    assert [scene.call() for _ in range(10)] == [(200, "")] * 10
    assert old not in server.shown[seen:]


def test_one_renewal_follows_a_401_and_then_the_401_is_told(scene: Scene) -> None:
    server = scene.server
    before, seen = server.exchanges, len(server.shown)
    server.deaf = True
    try:
        assert scene.call() == (502, "upstream_refused")
        assert server.exchanges == before + 1
        # Further ones do not go on asking, and say why; whatever was refused is sent by nobody again, once it is told.
        found = []
        for _ in range(4):
            until(lambda: scene.standing()["sessions"] == 0, "control has heard of the refusal")
            found.append(scene.call())
        assert found[1:] == [(502, "upstream_token_refused")] * 3
        assert server.exchanges <= before + 3
        assert len(set(server.shown[seen:])) == len(server.shown[seen:]) <= 4
    finally:
        server.deaf = False
    until(lambda: scene.call() == (200, ""), "a token is got again")


def test_control_that_is_killed_fails_no_call_while_tokens_are_good_nor_when_one_is_wanted(scene: Scene) -> None:
    server, gateway = scene.server, scene.gateway
    until(lambda: scene.call() == (200, ""), "a token is there")
    asyncio.run(crowd(scene, "by-token", 64))  # Both workers have it.
    before, control = server.exchanges, gateway.pids["control"]
    os.kill(control, signal.SIGKILL)
    assert [scene.call() for _ in range(10)] == [(200, "")] * 10
    assert server.exchanges == before
    until(lambda: gateway.pids.get("control", control) != control, "another control is there")
    until(lambda: gateway.status()["workers"] == _WORKERS, "the workers have found it")
    control = gateway.pids["control"]
    server.revoke()
    os.kill(control, signal.SIGKILL)
    assert scene.call() == (200, "")  # It waits for the next control process.
    assert server.exchanges == before + 1


def test_the_next_key_is_taken_when_the_first_is_gone_and_status_metrics_and_doctor_say_so(scene: Scene) -> None:
    server, gateway = scene.server, scene.gateway
    until(lambda: gateway.status()["workers"] == _WORKERS, "the workers have found control")
    server.drop_key("first")
    server.revoke()
    until(lambda: scene.call() == (200, ""), "a token is got with the other key")
    assert server.kids[-1] == "next"
    standing = scene.standing()
    assert (standing["upstream"], standing["key_id"], standing["second"]) == ("tokens", "next", True)
    shown = run_command("status", data=gateway.data).stdout
    assert "tokens: by jwt-bearer, of 1 session, key next, the next one" in shown
    environment = {"ASSERTION_KEY": scene.pems[0].replace("\n", "\\n")}
    doctor = run_command("doctor", "--config", str(gateway.config), data=gateway.data, environment=environment).stdout
    assert "the first one is not taken any more" in doctor
    with closing(Caller(gateway, gateway.token("--scope", "metrics"))) as caller:
        figures = read_exposition(caller("GET", "/metrics").body.decode())
    assert figures.value("jotgate_upstream_token_exchanges_total", upstream="tokens", outcome="obtained") >= 1
    assert figures.value("jotgate_upstream_token_sessions", upstream="tokens") == 1
    assert figures.value("jotgate_upstream_token_failing", upstream="tokens") == 0
    scene.said += shown + doctor


def test_a_static_key_is_replaced_while_jotgate_runs_and_two_are_good_at_once(scene: Scene) -> None:
    server, gateway = scene.server, scene.gateway
    pids = gateway.pids
    assert scene.call("by-key") == (200, "")
    server.static_keys = {"key-two"}  # The upstream takes the new one alone.
    assert [scene.call("by-key") for _ in range(4)] == [(200, "")] * 4
    server.static_keys = {"key-three"}
    assert scene.call("by-key") == (502, "upstream_refused")
    new = scene.directory / "new.txt"
    new.write_text("key-three\n")
    new.chmod(0o600)
    new.rename(scene.directory / "key.txt")
    until(lambda: scene.call("by-key") == (200, ""), "the new key is in use")
    assert gateway.pids == pids


def test_nothing_that_the_run_wrote_has_a_key_a_token_or_an_assertion_in_it(scene: Scene) -> None:
    gateway, server = scene.gateway, scene.server
    assert server.exchanges >= 4
    secrets = [*server.tokens, *filter(None, server.assertions), "key-one", "key-two", "key-three"]
    # A line of each key: what tells it from every other.
    secrets += [line for pem in scene.pems for line in pem.splitlines() if not line.startswith("-")][1:4]
    written = {path: path.read_bytes() for path in gateway.data.rglob("*") if path.is_file()}
    assert any(b"upstream.token_obtained" in content for content in written.values())
    written[Path("stderr")] = gateway.errors.encode()
    written[Path("said")] = (scene.said + gateway.first_lines + str(gateway.status())).encode()
    found = [(path, secret) for path, content in written.items() for secret in secrets if secret.encode() in content]
    assert found == []
