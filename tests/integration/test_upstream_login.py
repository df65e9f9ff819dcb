"""`jotgate upstream`: logging in at a stand-in of Coze, calls by what came of it, and nothing secret left behind."""

import json
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from jotgate.testing.coze import CozeServer, coze_in_thread
from jotgate.testing.coze_told import APP_ID, BOT_ID
from jotgate.testing.running import Gateway, clean_environment, run_command
from tests.integration.exchanges import Answer, Caller, chat_body

SECRETS: Final = ("device_code", "code", "code_verifier", "refresh_token")
_PATIENCE_S: Final = 20.0


@pytest.fixture
def coze() -> Iterator[CozeServer]:
    with coze_in_thread() as server:
        server.device_interval_s = 1
        yield server


def config_of(coze: CozeServer) -> str:
    return (
        '[[upstreams]]\nname = "coze"\nkind = "coze"\n'
        f'base_url = "{coze.url}"\nmodels = {{ assistant = "bot:{BOT_ID}" }}\n'
        f'[upstreams.oauth]\ngrant = "refresh-token"\nclient_id = "{APP_ID}"\n'
    )


class LoggingIn:
    """A `jotgate upstream login` under way, whose stderr is read as it comes. Mutable: what it has said."""

    def __init__(self, data: Path, config: Path, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "jotgate", "upstream", "login", "coze", "--config", str(config), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment({"JOTGATE_DATA": str(data)}),
        )
        # Whatever goes wrong, nobody waits for ever for a line that does not come.
        self._watch = threading.Timer(_PATIENCE_S, self._process.kill)
        self._watch.start()
        self.errors = ""

    def shown(self, what: str) -> str:
        """The page, or the code, that it shows (`open` or `code`)."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.errors += line
            if line.startswith(f"  {what}  "):
                return line.split()[1]
        raise AssertionError(self.errors)

    def finish(self) -> tuple[int, str]:
        """Wait for its end: exit code and stdout; stderr is in `errors`."""
        out, errors = self._process.communicate()
        self._watch.cancel()
        self.errors += errors
        return self._process.returncode, out


def log_in(coze: CozeServer, data: Path, config: Path) -> str:
    """Log in on a device, as somebody does who agrees. Returns all that was said."""
    login = LoggingIn(data, config)
    coze.approve(login.shown("code"))
    code, out = login.finish()
    assert (code, out.startswith("logged in for the upstream 'coze'")) == (0, True), login.errors
    return out + login.errors


def chat(caller: Caller) -> Answer:
    """Ask the bot something."""
    return caller("POST", "/v1/chat/completions", chat_body("assistant"))


def secrets_of(coze: CozeServer) -> set[str]:
    """The device codes, codes, verifiers, refresh tokens and access tokens that the stand-in was shown."""
    found = set()
    for request in coze.requests:
        if request.body.startswith(b"{"):
            body = json.loads(request.body)
            found |= {str(body[name]) for name in SECRETS if name in body}
        found |= {one.decode() for one in re.findall(rb"czu_[\w-]+", request.head)}
    return found


def test_somebody_logs_in_calls_by_it_before_and_behind_a_start_and_logs_out(
    coze: CozeServer, start_gateway: Callable[..., Gateway], call: Callable[..., Caller]
) -> None:
    gateway = start_gateway(config_of(coze))
    data, config = gateway.data, gateway.config
    token = gateway.token()
    lacking = chat(call(gateway, token))
    assert (lacking.status, lacking.code) == (503, "upstream_token_unconfigured")
    assert b"jotgate upstream login coze" in lacking.body
    told = run_command("upstream", "status", "coze", "--config", str(config), data=data)
    assert (told.returncode, "nobody has logged in" in told.stdout) == (1, True)
    looked = run_command("doctor", "--config", str(config), data=data)
    assert (looked.returncode, "fix  Log in: jotgate upstream login coze" in looked.stdout) == (1, True), looked.stdout

    said = log_in(coze, data, config)
    answer = chat(call(gateway, token))
    assert (answer.status, answer.json["choices"][0]["message"]["content"]) == (200, "You said: hello")

    gateway.stop()
    gateway.start()
    assert chat(call(gateway, token)).status == 200, "the successor of the refresh token was kept"
    shown = run_command("upstream", "status", "coze", "--json", "--config", str(config), data=data)
    assert shown.returncode == 0, shown.stdout
    (view,) = json.loads(shown.stdout)["upstreams"]
    assert (view["credential"], view["tokens"]["is_valid"]) == ("refresh-token", True)
    assert (view["login"]["configured"], view["login"]["under_way_s"], view["login"]["fault"]) == (False, None, "")

    out = run_command("upstream", "logout", "coze", "--yes", "--config", str(config), data=data)
    assert (out.returncode, "logged out of the upstream 'coze'" in out.stdout) == (0, True), out.stderr
    assert chat(call(gateway, token)).code == "upstream_token_unconfigured"
    gateway.stop()

    secrets = secrets_of(coze)
    assert len(secrets) >= 5
    texts = [said, shown.stdout, told.stdout, out.stdout, out.stderr, gateway.errors]
    files = [path.read_bytes() for path in data.rglob("*") if path.is_file()]
    assert [one for one in secrets if any(one in text for text in texts)] == []
    assert [one for one in secrets if any(one.encode() in content for content in files)] == []


def test_a_browser_comes_back_to_a_command_alone(coze: CozeServer, directory: Path) -> None:
    config = directory / "jotgate.toml"
    config.write_text(config_of(coze))
    (redirect,) = coze.redirect_uris
    login = LoggingIn(directory / "data", config, "--pkce", "--redirect", redirect)
    with urllib.request.urlopen(login.shown("open"), timeout=_PATIENCE_S) as page:
        assert b"You are logged in." in page.read()
    code, out = login.finish()
    assert (code, out.startswith("logged in for the upstream 'coze'")) == (0, True), login.errors
    listed = run_command("upstream", "list", "--config", str(config), data=directory / "data")
    assert listed.stdout.split("\t")[:3] == ["coze", "coze", "refresh-token"]
    assert listed.stdout.endswith("\tgood\n")
    assert [one for one in secrets_of(coze) if one in out + login.errors + listed.stdout] == []
