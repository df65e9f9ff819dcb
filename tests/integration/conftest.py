"""Real gateways for the integration tests."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from jotgate.testing.running import Gateway, running_gateway, short_directory
from jotgate.testing.upstream import UpstreamServer, upstream_in_thread
from tests.integration.exchanges import Caller
from tests.stand_in_curl import install


@pytest.fixture
def start_gateway() -> Iterator[Callable[..., Gateway]]:
    """Start gateways, each with its own configuration text, options and DATA; all are ended after the test."""
    with ExitStack() as stack:
        yield lambda config="", *arguments, **options: stack.enter_context(
            running_gateway(config, *arguments, **options)
        )


@pytest.fixture
def stand_in_curl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever calls curl calls the one in Python."""
    monkeypatch.setenv("PATH", f"{install(tmp_path)}:{os.environ['PATH']}")


@pytest.fixture
def curl(request: pytest.FixtureRequest) -> None:
    """Whoever calls curl finds one: the machine's, or where there is none the one in Python."""
    if shutil.which("curl") is None:
        request.getfixturevalue("stand_in_curl")


@pytest.fixture
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway without configuration."""
    return start_gateway()


@pytest.fixture
def directory() -> Iterator[Path]:
    """A private directory with a short path."""
    with short_directory() as path:
        yield path


@pytest.fixture(scope="session")
def shared_gateway() -> Iterator[Gateway]:
    """One gateway for the whole session, which judges every wrong token that it is sent; use `steady_gateway`."""
    with running_gateway("[limits]\nfailed_attempts = 0\n") as running:
        yield running


@pytest.fixture
def steady_gateway(shared_gateway: Gateway) -> Iterator[Gateway]:
    """The shared gateway, which must be as it was when the test is over: same processes, nothing on stderr."""
    before = shared_gateway.pids
    yield shared_gateway
    assert shared_gateway.pids == before
    assert shared_gateway.errors == ""


@pytest.fixture(scope="session")
def token(shared_gateway: Gateway) -> str:
    """A good token of the shared gateway."""
    return shared_gateway.token()


@pytest.fixture
def good(gateway: Gateway, token: str) -> Iterator[Caller]:
    """A caller in good faith."""
    caller = Caller(gateway, token)
    yield caller
    caller.close()


@pytest.fixture
def call() -> Iterator[Callable[..., Caller]]:
    """Callers, whose connections are closed after the test."""
    with ExitStack() as stack:

        def make(gateway: Gateway, token: str = "") -> Caller:
            caller = Caller(gateway, token)
            stack.callback(caller.close)
            return caller

        yield make


@pytest.fixture
def upstream() -> Iterator[UpstreamServer]:
    """An upstream whose first answer streams until its gate opens; the gate is in its script."""
    with upstream_in_thread() as server:
        yield server
