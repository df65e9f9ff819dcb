"""Two presets beside the native gateway, in one `jotgate up`: each on a listener of its own, with nothing in common."""

import json
import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from jotgate.testing.running import Gateway, clean_environment, run_command, short_directory, until

_BOTH: Final = ("--preset", "prompt-chain", "--preset", "api-gateway")
_SETTINGS: Final = """\
CHAIN_ANALYZE_MODEL=echo
CHAIN_PROCESS_MODEL=echo
CHAIN_SYNTHESIZE_MODEL=echo
API_PORT=0
PORT=0
"""


def write(gateway: Gateway, secret: str) -> None:
    """Put the variables into `.env`, as an editor does."""
    new = gateway.data.with_name(".env.new")
    new.write_text(f"JWT_SECRET_KEY={secret}\n{_SETTINGS}")
    new.chmod(0o600)
    new.rename(gateway.data.with_name(".env"))


class Presets:
    """A gateway with both presets, and the URLs of their faces."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.secret = secrets.token_urlsafe(48)
        write(gateway, self.secret)
        gateway.start()
        self.chain = self._url("prompt-chain")
        self.guard = self._url("api-gateway")
        self.lines = gateway.first_lines

    def _url(self, preset: str) -> str:
        return self.gateway.read_line_with(f"The preset {preset} serves ").split()[-1]

    def get(self, url: str, token: str = "") -> "tuple[int, Any]":
        """The status of an answer, and its JSON."""
        found = httpx.get(url, headers={"Authorization": f"Bearer {token}"} if token else {})
        return found.status_code, found.json()

    def token(self) -> str:
        """A token of the prompt-chaining API, as its script makes it."""
        return self.shell(
            next(line for line in self.lines.split("$(") if "generate_jwt" in line).partition(")")[0]
        ).strip()

    def shell(self, line: str) -> str:
        """What a line prints that is pasted into a shell in the directory of `.env`."""
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.gateway.data.parent,
            env=clean_environment({}),
            capture_output=True,
            text=True,
            check=False,
            timeout=40,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def presets() -> Iterator[Presets]:
    with short_directory() as directory:
        gateway = Gateway(directory / "data", _BOTH, cwd=directory)
        try:
            yield Presets(gateway)
        finally:
            gateway.kill()


def test_each_listener_serves_its_own_paths_and_says_no_in_its_own_words(presets: Presets) -> None:
    native = presets.gateway.url
    assert presets.get(f"{presets.chain}/health/") == (200, {"status": "healthy"})
    assert presets.get(f"{presets.guard}/health")[0] == 200
    assert presets.get(f"{native}/health")[0] == 200
    refusals = [presets.get(f"{url}/v1/models")[1] for url in (native, presets.chain, presets.guard)]
    assert refusals[0]["error"]["code"] == "token_missing"
    assert refusals[1] == {"detail": "Not authenticated"}
    assert refusals[2]["code"] == "MISSING_TOKEN"


def test_a_token_of_one_listener_is_refused_by_the_others(presets: Presets) -> None:
    native, chain = presets.gateway.token(), presets.token()
    answers = {
        (name, whose): presets.get(f"{url}/v1/models", token)[0]
        for name, url in (("native", presets.gateway.url), ("chain", presets.chain), ("guard", presets.guard))
        for whose, token in (("native", native), ("chain", chain))
    }
    assert {place for place, status in answers.items() if status == 200} == {("native", "native"), ("chain", "chain")}
    assert set(answers.values()) == {200, 401, 403}


def test_the_models_of_a_preset_are_its_face_s(presets: Presets) -> None:
    status, listed = presets.get(f"{presets.chain}/v1/models", presets.token())
    assert (status, [one["id"] for one in listed["data"]]) == (200, ["prompt-chaining"])
    _, native = presets.get(f"{presets.gateway.url}/v1/models", presets.gateway.token())
    assert [one["id"] for one in native["data"]] == ["echo"]


@pytest.mark.usefixtures("curl")
def test_the_line_of_each_preset_works_as_pasted(presets: Presets) -> None:
    commands = [line for line in presets.lines.splitlines() if line.startswith("  curl ")]
    (chain,) = [line for line in commands if presets.chain in line]
    keys, login = [line for line in commands if presets.guard in line]
    assert "data" in presets.shell(chain) or "choices" in presets.shell(chain)
    assert json.loads(presets.shell(keys)).keys() == {"keys"}
    for _ in range(2):  # A second time, too.
        assert json.loads(presets.shell(login)).keys() == {"access_token", "refresh_token", "token_type", "expires_in"}


def test_a_worker_that_dies_is_replaced_on_all_its_listeners(presets: Presets) -> None:
    worker = presets.gateway.pids["worker 0"]
    os.kill(worker, signal.SIGKILL)
    until(lambda: presets.gateway.pids.get("worker 0", worker) != worker, "another worker is there")
    for url in (f"{presets.chain}/health/", f"{presets.guard}/health", f"{presets.gateway.url}/health"):
        assert presets.get(url)[0] == 200


def test_a_reload_that_breaks_the_secret_keeps_what_is_in_effect_and_a_sound_one_takes_effect(presets: Presets) -> None:
    gateway, old = presets.gateway, presets.token()
    before = gateway.status()["snapshot"]
    write(gateway, "tell-nobody-of-it")
    until(lambda: "JWT_SECRET_KEY" in gateway.errors, "the fault is told")
    assert gateway.status()["snapshot"] == before
    assert presets.get(f"{presets.chain}/v1/models", old)[0] == 200
    assert "tell-nobody-of-it" not in gateway.errors
    write(gateway, secrets.token_urlsafe(48))
    until(lambda: gateway.settled_on(before + 1), "the new secret is in effect")
    assert presets.get(f"{presets.chain}/v1/models", old)[0] == 403
    assert presets.get(f"{presets.chain}/v1/models", presets.token())[0] == 200


@pytest.mark.parametrize("command", ["up", "check"])
def test_a_port_that_two_presets_share_is_refused_with_both_names(command: str, presets: Presets) -> None:
    environment = {"JWT_SECRET_KEY": presets.secret, "API_PORT": "3999", "PORT": "3999"}
    with short_directory() as directory:
        done = run_command(command, *_BOTH, data=directory / "data", environment=environment)
    assert done.returncode == 1
    for said in ("'prompt-chain'", "'api-gateway'", "3999", "PORT, or API_PORT"):
        assert said in done.stderr


def test_a_port_of_a_face_that_is_taken_is_told_with_what_decides_it() -> None:
    with short_directory() as directory, socket.create_server(("127.0.0.1", 0)) as taken:
        environment = {"PORT": str(taken.getsockname()[1])}
        done = run_command(
            "up", "--port", "0", "--preset", "api-gateway", data=directory / "data", environment=environment
        )
    assert done.returncode == 1
    assert "the preset 'api-gateway' cannot be served" in done.stderr
    assert "HOST and PORT" in done.stderr


def test_check_names_the_presets_in_what_comes_next(presets: Presets) -> None:
    with short_directory() as directory:
        done = run_command(
            "check", "--preset", "prompt-chain", data=directory, environment={"JWT_SECRET_KEY": presets.secret}
        )
    assert done.returncode == 0, done.stderr
    assert "--preset prompt-chain" in done.stderr
    assert "ANTHROPIC_API_KEY" in done.stderr


def test_check_says_of_presets_in_json_where_they_listen_and_what_they_lack(presets: Presets) -> None:
    with short_directory() as directory:
        done = run_command("check", *_BOTH, "--json", data=directory, environment={"JWT_SECRET_KEY": presets.secret})
    chain, guard = json.loads(done.stdout)["presets"]
    assert (chain["name"], chain["host"], chain["port"]) == ("prompt-chain", "127.0.0.1", 8000)
    assert any("ANTHROPIC_API_KEY" in one for one in chain["missing"])
    assert (guard["name"], guard["port"], guard["missing"]) == ("api-gateway", 3000, [])
