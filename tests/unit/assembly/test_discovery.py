"""Finding upstreams that could be added: what is found, what is left alone, and that the line works as pasted."""

import json
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jotgate.assembly.discovery import Candidate, find_keys, find_servers, fit, suggest
from jotgate.core.config import AttemptEntry, Config, RouteEntry, UpstreamEntry
from jotgate.stores.settings import Sources, load_settings

KEY = "sk-canary-0123456789"
EMPTY = Config()


def config(*, base_url: str = "http://h/v1", credential_env: str = "") -> Config:
    """A configuration with one upstream."""
    entry = UpstreamEntry(name="a", kind="openai", base_url=base_url, credential_env=credential_env, models=("m",))
    return Config(upstreams=(entry,))


def written(candidates: Iterable[Candidate], file: Path) -> Config:
    """The configuration after its owner did to the file what is suggested; it must be sound."""
    before = load_settings(Sources(file=file), secrets=False)
    place, _, lines = suggest(candidates, before.require(), file, before.origins).partition(f" {file}:\n")
    text = file.read_text()
    match place:
        case "as the first line of":
            file.write_text(f"{lines}\n{text}")
        case "at the end of":
            file.write_text(f"{text}\n{lines}\n")
        case "at the beginning of the list upstreams of":
            file.write_text(text.replace("upstreams = [", f"upstreams = [\n{lines}\n", 1))
    return load_settings(Sources(file=file), secrets=False).require()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An empty configuration."""
    path = tmp_path / "jotgate.toml"
    path.touch()
    return path


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
    assert "canary" not in suggest(found, EMPTY, Path("f"), {})


def test_the_line_is_sound_configuration(file: Path) -> None:
    file.write_text("[server]\nport = 1\n")
    found = find_keys({"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY}, EMPTY)
    found.append(Candidate("x", "local", "http://127.0.0.1:8000/v1", ('a"b', "c")))
    assert suggest(found, EMPTY, file, {}).count("\n") == 1
    upstreams = written(found, file).upstreams
    assert [one.name for one in upstreams] == ["openai", "anthropic", "local"]
    assert upstreams[1].base_url == "https://api.anthropic.com/v1"


def test_tables_are_written_for_a_file_that_has_some(file: Path) -> None:
    file.write_text('[[upstreams]]\nname = "a"\nkind = "openai"\nbase_url = "http://h/v1"\nmodels = ["m"]')
    found = find_keys({"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY}, config())
    assert len(written(found, file).upstreams) == 3


@pytest.mark.parametrize("before", ["[]", '[{ name = "a", kind = "openai", base_url = "http://h", models = ["m"] }]'])
def test_a_list_is_made_longer_for_a_file_that_has_one(file: Path, before: str) -> None:
    """As is one that was pasted before."""
    file.write_text(f"upstreams = {before}\n")
    found = find_keys({"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY}, EMPTY)
    assert [one.name for one in written(found, file).upstreams][:2] == ["openai", "anthropic"]


def test_what_is_suggested_takes_nothing_that_is_taken() -> None:
    entry = UpstreamEntry(name="openai", kind="openai", base_url="http://h", models={"known": "m"})
    route = RouteEntry(alias="routed", attempts=(AttemptEntry(upstream="openai"),))
    candidates = [
        Candidate("a", "openai", "http://a", ("echo", "known", "routed", "new", "newer")),
        Candidate("b", "openai", "http://b", ("new", "newest")),
        Candidate("c", "local", "http://c", ("echo", "newest")),
    ]
    found = fit(candidates, Config(upstreams=(entry,), routes=(route,)))
    assert [(one.found, one.name, one.models) for one in found] == [
        ("a", "openai-2", ("new", "newer")),
        ("b", "openai-3", ("newest",)),
    ]


def test_of_many_models_some_are_written() -> None:
    (found,) = fit([Candidate("a", "a", "http://a", ("echo", *(f"m{number}" for number in range(20))))], EMPTY)
    assert found.models == tuple(f"m{number}" for number in range(8))


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
