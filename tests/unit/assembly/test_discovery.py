"""Finding upstreams that could be added: what is found, what is left alone, and that the line works as pasted."""

import json
import socket
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jotgate.assembly.discovery import Candidate, find_keys, find_servers, suggest
from jotgate.core.config import Config, UpstreamEntry
from jotgate.core.config_reader import read

KEY = "sk-canary-0123456789"
EMPTY = Config()


def config(*, base_url: str = "http://h/v1", credential_env: str = "") -> Config:
    """A configuration with one upstream."""
    entry = UpstreamEntry(name="a", kind="openai", base_url=base_url, credential_env=credential_env, models=("m",))
    return Config(upstreams=(entry,))


@contextmanager
def server(answer: bytes) -> Iterator[int]:
    """A server that gives one answer to whatever it is asked; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                asked = connection.recv(65_536)
                assert b"uthorization" not in asked
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def models(*names: str) -> bytes:
    """The answer of a model server."""
    body = json.dumps({"object": "list", "data": [{"id": name} for name in names]}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: application/json\r\n\r\n%b" % (len(body), body)


def test_keys_in_the_environment_are_found_and_stay_unseen() -> None:
    found = find_keys({"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY, "OTHER_API_KEY": KEY}, EMPTY)
    assert [one.credential_env for one in found] == ["OPENAI_API_KEY", "ANTHROPIC_API_KEY"]
    assert "canary" not in suggest(found, EMPTY)


def test_the_line_is_sound_configuration() -> None:
    found = find_keys({"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY}, EMPTY)
    line = suggest([*found, Candidate("x", "local", "http://127.0.0.1:8000/v1", ('a"b', "c"))], EMPTY)
    assert "\n" not in line
    reading = read(tomllib.loads(line))
    assert not reading.faults
    assert reading.config is not None
    assert [one.name for one in reading.config.upstreams] == ["openai", "anthropic", "local"]
    assert reading.config.upstreams[1].base_url == "https://api.anthropic.com/v1"


def test_tables_are_written_for_a_file_that_has_some() -> None:
    before = '[[upstreams]]\nname = "a"\nkind = "openai"\nbase_url = "http://h/v1"\nmodels = ["m"]\n'
    found = find_keys({"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY}, config())
    reading = read(tomllib.loads(before + suggest(found, config())))
    assert reading.config is not None
    assert len(reading.config.upstreams) == 3


@pytest.mark.parametrize("value", ["", "  ", "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"])
def test_what_is_no_providers_key_is_left_alone(value: str) -> None:
    """The first lines of jotgate tell its users to put a token there."""
    assert find_keys({"OPENAI_API_KEY": value}, EMPTY) == []


@pytest.mark.parametrize("known", [{"credential_env": "OPENAI_API_KEY"}, {"base_url": "https://api.openai.com/v1"}])
def test_what_the_configuration_has_is_not_suggested(known: dict[str, str]) -> None:
    assert find_keys({"OPENAI_API_KEY": KEY}, config(**known)) == []


def test_a_model_server_is_found_with_its_models() -> None:
    with server(models("llama3.2", "has space", "qwen:7b", "llama3.2")) as port:
        (found,) = find_servers(EMPTY, 0, [(port, "ollama", "Ollama")])
    assert (found.name, found.base_url) == ("ollama", f"http://127.0.0.1:{port}/v1")
    assert found.models == ("llama3.2", "qwen:7b")
    assert found.found == f"Ollama on port {port}"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"not HTTP",
        b"HTTP/1.1 404 Not Found\r\n\r\n" + models("m").partition(b"\r\n\r\n")[2],
        b"HTTP/1.1 200 OK\r\n\r\n<html>",
        b'HTTP/1.1 200 OK\r\n\r\n{"data":[]}',
        b'HTTP/1.1 200 OK\r\n\r\n{"data":{"id":"m"}}',
    ],
)
def test_what_is_no_model_server_is_not_suggested(answer: bytes) -> None:
    with server(answer) as port:
        assert find_servers(EMPTY, 0, [(port, "vllm", "vLLM")]) == []


def test_jotgate_does_not_find_itself_nor_what_it_has() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert find_servers(EMPTY, port, [(port, "llamacpp", "llama.cpp")]) == []
        assert find_servers(config(base_url=f"http://127.0.0.1:{port}/v1"), 0, [(port, "vllm", "vLLM")]) == []
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
