"""F18: who cannot know what was revoked lets nothing through after a stated time, and goes on by itself when it can."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final

import pytest

from jotgate.errors import Code
from jotgate.jose.jwt import peek_unverified
from jotgate.testing.running import Gateway, run_command, until
from tests.databases import postgres
from tests.integration.exchanges import Caller
from tests.wires import Wire, wire_in_thread

_STALE_AFTER_S: Final = 5.0
_PATIENCE_S: Final = 10.0
_CALLS: Final = 12
_MASTER: Final = {"JOTGATE_MASTER_KEY": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"}
_SETTINGS: Final = """\
[server]
public_url = "https://gate.example"
workers = 2
[limits]
max_staleness_s = 5
[store]
url = "{url}"
[keys]
master_key_env = "JOTGATE_MASTER_KEY"
"""

StartGateway = Callable[..., Gateway]


@pytest.fixture
def wire() -> Iterator[tuple[str, Wire]]:
    """The URL of a database, and a wire to it."""
    with postgres() as server:
        url = server.make_database().url
        with wire_in_thread(url) as made:
            yield url, made


def answers(gateway: Gateway, token: str) -> set[tuple[int, str]]:
    """What calls with a token end in, on connections enough for every worker."""
    found: set[tuple[int, str]] = set()
    for _ in range(_CALLS):
        with closing(Caller(gateway, token)) as caller:
            answer = caller.chat()
            found.add((answer.status, "" if answer.status == 200 else answer.code))
            if answer.status == 503:
                assert answer.all("retry-after") == ["1"]
    return found


def revoke(gateway: Gateway, token: str) -> None:
    """Revoke a token."""
    jti = str(peek_unverified(token.encode())[1]["jti"])
    done = run_command("token", "revoke", "--yes", "--", jti, data=gateway.data)
    assert done.returncode == 0, done.stderr


def test_F18_a_machine_that_cannot_ask_the_store_serves_nothing_and_never_what_was_revoked_meanwhile(
    start_gateway: StartGateway, wire: tuple[str, Wire]
) -> None:
    url, line = wire
    here = start_gateway(_SETTINGS.format(url=url), environment=_MASTER)
    there = start_gateway(_SETTINGS.format(url=line.url), environment=_MASTER)
    token, other = here.token(), here.token()
    for gateway in (here, there):
        assert answers(gateway, token) == answers(gateway, other) == {(200, "")}
    line.cut()
    revoke(here, token)
    assert answers(here, token) == {(401, Code.TOKEN_REVOKED)}
    stale = {(503, Code.CONTROL_STALE)}
    until(lambda: answers(there, other) == stale, "nothing is served", _STALE_AFTER_S + _PATIENCE_S)
    assert answers(there, token) == stale
    assert answers(here, other) == {(200, "")}
    line.mend()
    seen: set[tuple[int, str]] = set()

    def recovered() -> bool:
        seen.update(answers(there, token))
        return answers(there, other) == {(200, "")}

    until(recovered, "it goes on by itself", _PATIENCE_S)
    assert answers(there, token) == {(401, Code.TOKEN_REVOKED)}
    assert (200, "") not in seen, "the revoked token was taken in between"


def test_F18_revocations_that_cannot_be_read_are_not_passed_over(start_gateway: StartGateway) -> None:
    gateway = start_gateway(f"[server]\nworkers = 2\n[limits]\nmax_staleness_s = {_STALE_AFTER_S}\n")
    token, other = gateway.token(), gateway.token()
    assert answers(gateway, token) == {(200, "")}
    jti = str(peek_unverified(token.encode())[1]["jti"])
    row = (1, "no kind", f"{gateway.url} {jti}", 1, None, None, "", "")
    with closing(sqlite3.connect(gateway.data / "store.db")) as database, database:
        database.execute("INSERT INTO jotgate_revocations VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        database.execute("UPDATE jotgate_counters SET value = 1 WHERE name = 'revocations'")
    stale = {(503, Code.CONTROL_STALE)}
    until(lambda: answers(gateway, other) == stale, "nothing is served", _STALE_AFTER_S + _PATIENCE_S)
    with closing(sqlite3.connect(gateway.data / "store.db")) as database, database:
        database.execute("UPDATE jotgate_revocations SET kind = 'token'")
    until(lambda: answers(gateway, other) == {(200, "")}, "it goes on by itself", _PATIENCE_S)
    assert answers(gateway, token) == {(401, Code.TOKEN_REVOKED)}
