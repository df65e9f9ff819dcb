"""What README.md tells its reader to type, typed: only the address and the data directory are others."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from jotgate.core.config import Server
from jotgate.testing.running import Gateway, clean_environment, running_gateway
from tests.architecture.sources import ROOT
from tests.docs.pages import Page, pages

_WRITTEN_ADDRESS: Final = "127.0.0.1:8080"


@pytest.fixture
def place(directory: Path) -> Path:
    """A directory in which `.venv` is the environment of these tests, as it is beside the Makefile."""
    (directory / ".venv").symlink_to(sys.prefix)
    return directory


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    """A gateway on a free port."""
    with running_gateway() as running:
        yield running


@pytest.fixture(scope="module")
def readme() -> Page:
    """README.md."""
    return pages()["README.md"]


def type_in(script: str, gateway: Gateway, place: Path) -> str:
    """Run lines of the README in a shell there, and return what they print."""
    address = urlsplit(gateway.url).netloc
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    shell = subprocess.run(
        ["/bin/sh", "-e", "-c", script.replace(_WRITTEN_ADDRESS, address)],
        cwd=place,
        env=clean_environment({"JOTGATE_DATA": str(gateway.data), **environment}),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert shell.returncode == 0, shell.stderr
    return shell.stdout


@pytest.mark.parametrize("program", ["curl", "stand_in_curl"])
def test_the_curl_line(
    readme: Page, gateway: Gateway, place: Path, request: pytest.FixtureRequest, program: str
) -> None:
    request.getfixturevalue(program)
    (line,) = (block for block in readme.blocks("sh") if block.startswith("curl "))
    assert line.count("\n") == 1  # One line, to be pasted.
    answer = json.loads(type_in(line, gateway, place))
    assert answer["choices"][0]["message"]["content"] == "hello"


def test_the_sdk_program(readme: Page, gateway: Gateway, place: Path) -> None:
    (program,) = readme.blocks("python")
    (script,) = (block for block in readme.blocks("sh") if "OPENAI_BASE_URL" in block)
    (place / "my_program.py").write_text(program)
    assert type_in(script, gateway, place) == "hello"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("jotgate token create --subject me | jotgate token verify", "the token is good"),
        ("jotgate audit tail ", "token.issued"),
        ("jotgate audit verify ", "every chain holds"),
    ],
)
def test_a_command(readme: Page, gateway: Gateway, place: Path, line: str, said: str) -> None:
    (commands,) = (block for block in readme.blocks("sh") if "jotgate up" in block)
    assert line in commands
    assert gateway.token()  # So that there is something to tell of.
    assert said in type_in(f'PATH=".venv/bin:$PATH"\n{line}', gateway, place)


def test_the_lines_that_are_printed_are_those_of_the_readme(readme: Page, gateway: Gateway) -> None:
    """Both show the same request; only how the token is made differs with the place that jotgate was started from."""
    (written,) = (block for block in readme.blocks("sh") if block.startswith("curl "))
    printed = next(line for line in gateway.first_lines.splitlines() if line.startswith("  curl "))
    address = urlsplit(gateway.url).netloc

    def around_the_token(line: str) -> tuple[str, str]:
        before, _, rest = line.strip().partition("$(")
        return before, rest.partition(")")[2]

    assert around_the_token(written.replace(_WRITTEN_ADDRESS, address)) == around_the_token(printed)


def test_make_serve_starts_what_the_readme_asks() -> None:
    plan = subprocess.run(
        ["make", "--dry-run", "--always-make", "serve"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert ".venv/bin/jotgate up" in plan.stdout, plan.stderr
    assert f"{Server().host}:{Server().port}" == _WRITTEN_ADDRESS
