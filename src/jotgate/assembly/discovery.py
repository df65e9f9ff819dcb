"""Finds upstreams that could be added: keys in the environment, model servers on this machine; and writes the line.

A key is never used and never shown: its variable's name is enough. A server is asked for its models without any
credential, and only on loopback.
"""

import json
import re
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import indent
from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from jotgate.core.config import ECHO, Config

_PATIENCE_S: Final = 0.5
_ANSWER_BYTES_MAX: Final = 1_048_576
_MODELS_SHOWN: Final = 8
_MODEL: Final = re.compile(r"[!-~]{1,256}", re.ASCII)
_TOKEN_START: Final = "eyJ"


class Candidate(Struct, frozen=True):
    """An upstream that could be added, and where it was found."""

    found: str
    name: str
    base_url: str
    models: tuple[str, ...]
    credential_env: str = ""


# The models are examples of what the key opens; their owner writes the ones that are wanted.
_BY_KEY: Final = (
    ("OPENAI_API_KEY", "openai", "https://api.openai.com/v1", "gpt-4o-mini"),
    ("ANTHROPIC_API_KEY", "anthropic", "https://api.anthropic.com/v1", "claude-sonnet-4-6"),
)
# The ports at which these listen unless told otherwise.
_BY_PORT: Final = ((11_434, "ollama", "Ollama"), (8_000, "vllm", "vLLM"), (8_080, "llamacpp", "llama.cpp"))


class _Model(Struct, frozen=True):
    id: str


class _Models(Struct, frozen=True):
    data: list[_Model]


def find_keys(environment: Mapping[str, str], config: Config) -> list[Candidate]:
    """Upstreams whose keys stand in the environment and which the configuration does not have."""
    named = {entry.credential_env for entry in config.upstreams}
    hosts = {urlsplit(entry.base_url).hostname for entry in config.upstreams}
    return [
        Candidate(f"the environment variable {variable}", name, base_url, (model,), variable)
        for variable, name, base_url, model in _BY_KEY
        if _is_key(environment.get(variable, "")) and variable not in named and urlsplit(base_url).hostname not in hosts
    ]


def find_servers(config: Config, own_port: int, ports: Iterable[tuple[int, str, str]] = _BY_PORT) -> list[Candidate]:
    """Model servers on this machine that answer at once and which the configuration does not have."""
    known = {urlsplit(entry.base_url).port for entry in config.upstreams}
    return [
        Candidate(f"{title} on port {port}", name, f"http://127.0.0.1:{port}/v1", models)
        for port, name, title in ports
        if port not in known and port != own_port and (models := _models_at(port))
    ]


def fit(candidates: Iterable[Candidate], config: Config) -> list[Candidate]:
    """The candidates under names and with models that are free; those of which no model is left are left out."""
    names = {ECHO, *(entry.name for entry in config.upstreams)}
    aliases = {ECHO, *(route.alias for route in config.routes)}
    aliases.update(alias for entry in config.upstreams for alias in entry.routes)
    found = []
    for one in candidates:
        models = tuple(model for model in one.models if model not in aliases)[:_MODELS_SHOWN]
        if models:
            choices = (one.name, *(f"{one.name}-{number}" for number in range(2, len(names) + 2)))
            name = next(choice for choice in choices if choice not in names)
            found.append(msgspec.structs.replace(one, name=name, models=models))
            names.add(name)
            aliases.update(models)
    return found


def suggest(candidates: Iterable[Candidate], config: Config, where: Path, origins: Mapping[str, str]) -> str:
    """What to write into the configuration at `where`, as TOML, and at which place in it.

    That is one line, unless the file has `[[upstreams]]`. `origins` are those of `Settings`.
    """
    tables = [", ".join(_members(one)) for one in candidates]
    if "upstreams" in origins and "upstreams[0]" not in origins:
        place, lines = "at the beginning of the list upstreams of", [" ".join(f"{{ {table} }}," for table in tables)]
    elif config.upstreams:
        place, lines = "at the end of", [line for one in candidates for line in ("[[upstreams]]", *_members(one))]
    else:
        place, lines = "as the first line of", [f"upstreams = [{', '.join(f'{{ {table} }}' for table in tables)}]"]
    return f"{place} {where}:\n{indent(chr(10).join(lines), '  ')}"


def _is_key(value: str) -> bool:
    """Whether it may be a provider's key: one of jotgate's own tokens stands there when a client uses jotgate."""
    return bool(value.strip()) and not value.startswith(_TOKEN_START)


def _members(one: Candidate) -> list[str]:
    pairs: list[tuple[str, object]] = [("name", one.name), ("kind", "openai"), ("base_url", one.base_url)]
    if one.credential_env:
        pairs.append(("credential_env", one.credential_env))
    pairs.append(("models", list(one.models)))
    # JSON's strings and lists of ASCII are TOML's too.
    return [f"{name} = {json.dumps(value)}" for name, value in pairs]


def _models_at(port: int) -> tuple[str, ...]:
    """The models that a server on this port of 127.0.0.1 names; none when it is no such server."""
    try:
        with socket.create_connection(("127.0.0.1", port), _PATIENCE_S) as connection:
            connection.sendall(
                b"GET /v1/models HTTP/1.0\r\nHost: 127.0.0.1:%d\r\nAccept: application/json\r\n\r\n" % port
            )
            answer = _read(connection)
        head, _, body = answer.partition(b"\r\n\r\n")
        if head.split(b" ", 2)[1:2] != [b"200"]:
            return ()
        models = msgspec.json.decode(body, type=_Models)
    except (OSError, msgspec.DecodeError):
        return ()
    return tuple(dict.fromkeys(model.id for model in models.data if _MODEL.fullmatch(model.id)))


def _read(connection: socket.socket) -> bytes:
    """What comes until the end, up to a limit of size and of time."""
    pieces = bytearray()
    end_s = time.monotonic() + _PATIENCE_S
    while len(pieces) < _ANSWER_BYTES_MAX and time.monotonic() < end_s:
        piece = connection.recv(65_536)
        if not piece:
            break
        pieces += piece
    return bytes(pieces)
