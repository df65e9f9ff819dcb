"""Keys that are replaced and revoked while it runs: on SQLite, on PostgreSQL, on two machines, through crashes."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from jotgate.jose.jwt import peek_unverified
from jotgate.jose.keys import generate, signing_key_to_pem
from jotgate.testing.running import Gateway, NeverCameTrue, run_command, running_gateway, short_directory, until
from tests.databases import Postgres, postgres
from tests.integration.exchanges import Caller

_IMPATIENT: Final = "[limits]\nmax_staleness_s = 5\n"
_MASTER: Final = {"JOTGATE_MASTER_KEY": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"}

StartGateway = Callable[..., Gateway]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A PostgreSQL server."""
    with postgres() as found:
        yield found


def on_postgresql(url: str) -> str:
    """The settings of a machine that shares a store, with keys sealed in it."""
    return (
        f'{_IMPATIENT}[server]\npublic_url = "https://gate.example"\nworkers = 2\n[store]\nurl = "{url}"\n'
        '[keys]\nmaster_key_env = "JOTGATE_MASTER_KEY"\n'
    )


def key(gateway: Gateway, *arguments: str, stdin: str = "") -> str:
    """What `jotgate key` says on stdout; it must succeed."""
    done = run_command("key", *arguments, data=gateway.data, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout


def keys(gateway: Gateway) -> dict[str, dict[str, Any]]:
    """All keys by kid."""
    return {one["kid"]: one for one in json.loads(key(gateway, "list", "--json"))["keys"]}


def active(gateway: Gateway) -> str:
    """The kid of the key that signs."""
    (kid,) = [kid for kid, one in keys(gateway).items() if one["state"] == "active"]
    return kid


def kid_of(token: str) -> object:
    """The kid in a token's header."""
    return peek_unverified(token.encode())[0]["kid"]


def published(gateway: Gateway) -> set[str]:
    """The kids in the key set."""
    with closing(Caller(gateway)) as caller:
        return {one["kid"] for one in caller("GET", "/.well-known/jwks.json").json["keys"]}


def status_of(gateway: Gateway, token: str) -> list[int]:
    """The statuses of calls with a token, each on a connection of its own, so that several workers get some."""
    found: list[int] = []
    for _ in range(8):
        with closing(Caller(gateway, token)) as caller:
            found.append(caller.chat().status)
    return found


@contextmanager
def load(gateway: Gateway, count: int = 4) -> Iterator[list[tuple[int, bytes]]]:
    """Callers without a pause, each with the newest token that was made; what was not 200 is in the list, none left."""
    refused: list[tuple[int, bytes]] = []
    calls: list[int] = []
    enough = threading.Event()
    newest = [gateway.token()]

    def call() -> None:
        while not enough.is_set():
            with closing(Caller(gateway, newest[-1])) as caller:
                answers = [caller.chat() for _ in range(20)]
            calls.extend(answer.status for answer in answers)
            refused.extend((answer.status, answer.body) for answer in answers if answer.status != 200)

    def make_tokens() -> None:
        while not enough.is_set():
            newest.append(gateway.token())

    threads = [threading.Thread(target=work) for work in (*[call] * count, make_tokens)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(calls) > 50, "the callers call")
        yield refused
        assert len(newest) > 2, "tokens were made all the while"
    finally:
        enough.set()
        for thread in threads:
            thread.join()


def test_rotations_under_load_cost_no_call_on_sqlite(start_gateway: StartGateway) -> None:
    gateway = start_gateway(_IMPATIENT, "--workers", "2")
    signed = {active(gateway)}
    with load(gateway) as refused:
        for _ in range(5):
            before = active(gateway)
            said = key(gateway, "rotate")
            assert active(gateway) != before
            assert f"{before} verifies until" in said
            signed.add(active(gateway))
    assert refused == []
    assert len(signed) == 6
    assert published(gateway) == signed
    assert status_of(gateway, gateway.token()) == [200] * 8


def test_two_machines_on_one_postgresql_rotate_under_load(server: Postgres) -> None:
    settings = on_postgresql(server.make_database().url)
    with ExitStack() as stack:
        one = stack.enter_context(running_gateway(settings, environment=_MASTER))
        other = stack.enter_context(running_gateway(settings, environment=_MASTER))
        first = active(one)
        assert active(other) == first
        old = other.token()
        with load(one, 2) as refused_here, load(other, 2) as refused_there:
            key(one, "rotate")
            second = active(one)
            until(lambda: kid_of(other.token()) == second, "the other machine signs with it")
        assert (refused_here, refused_there) == ([], [])
        assert first != second
        assert published(one) == published(other) == {first, second}
        for token in (old, other.token(), one.token()):
            assert status_of(one, token) == status_of(other, token) == [200] * 8
        key(one, "revoke", second, "--yes")
        late = one.token()
        until(lambda: set(status_of(other, late)) == {200}, "the other machine knows the key that took its place")
        assert second not in published(other)
        assert kid_of(other.token()) == active(one)


def test_a_machine_that_differs_does_not_join(server: Postgres, start_gateway: StartGateway) -> None:
    url = server.make_database().url
    start_gateway(on_postgresql(url), environment=_MASTER)
    with pytest.raises(NeverCameTrue, match=r"keys\.master_key_env leads to another master key"):
        start_gateway(on_postgresql(url), environment={"JOTGATE_MASTER_KEY": "z" + _MASTER["JOTGATE_MASTER_KEY"][1:]})
    with pytest.raises(NeverCameTrue, match=r"keys\.master_key_env is missing, and the keys in the store are sealed"):
        start_gateway(on_postgresql(url).partition("[keys]")[0])
    with pytest.raises(NeverCameTrue, match=r"server.public_url is 'https://else.example', but this installation is"):
        start_gateway(on_postgresql(url).replace("gate.example", "else.example"), environment=_MASTER)


def test_a_machine_without_the_private_part_says_which_file_it_lacks(
    server: Postgres, start_gateway: StartGateway
) -> None:
    settings = on_postgresql(server.make_database().url).partition("[keys]")[0]
    gateway = start_gateway(settings)
    with pytest.raises(NeverCameTrue, match=rf"Copy 'keys/ES256\.{active(gateway)}\.pem'"):
        start_gateway(settings)


def test_what_a_revoked_key_signed_is_refused_when_the_command_is_done(start_gateway: StartGateway) -> None:
    gateway = start_gateway(_IMPATIENT, "--workers", "2")
    token, bad = gateway.token(), active(gateway)
    assert status_of(gateway, token) == [200] * 8
    refused = run_command("key", "revoke", bad, data=gateway.data)
    assert refused.returncode == 2
    assert "1 tokens that are known to live would be refused, and a new key would sign" in refused.stderr
    assert status_of(gateway, token) == [200] * 8, "nothing was done"
    key(gateway, "revoke", bad, "--yes")
    assert status_of(gateway, token) == [401] * 8
    assert status_of(gateway, gateway.token()) == [200] * 8
    assert published(gateway) == {active(gateway)}
    assert [path.name for path in (gateway.data / "keys").iterdir()] == [f"ES256.{active(gateway)}.pem"]


def test_a_rotation_in_whose_middle_control_is_killed_is_completed(start_gateway: StartGateway) -> None:
    gateway = start_gateway(_IMPATIENT)
    token, before = gateway.token(), active(gateway)
    os.kill(gateway.pids["worker 0"], signal.SIGSTOP)  # It cannot confirm, so that the new key has to wait.
    key(gateway, "rotate", "--ahead", "1s")
    (pending,) = set(keys(gateway)) - {before}
    until(lambda: (keys(gateway)[pending]["signs_from_s"] or 0) <= time.time(), "its time has come")
    assert keys(gateway)[pending]["state"] == "pending", "a worker does not know it yet"
    control = gateway.pids["control"]
    os.kill(control, signal.SIGKILL)
    until(lambda: gateway.pids.get("control", control) != control, "another control is there")
    os.kill(gateway.pids["worker 0"], signal.SIGCONT)
    until(lambda: keys(gateway)[pending]["state"] == "active", "the next control completes it")
    assert keys(gateway)[before]["state"] == "retired"
    assert len(keys(gateway)) == 2
    assert status_of(gateway, token) == status_of(gateway, gateway.token()) == [200] * 8


def test_the_key_set_is_told_with_a_validator_and_is_what_workers_take(gateway: Gateway) -> None:
    with closing(Caller(gateway)) as caller:
        whole = caller("GET", "/.well-known/jwks.json")
        fields = dict(whole.fields)
        assert fields["cache-control"] == "public, max-age=300"
        assert fields["content-type"] == "application/jwk-set+json"
        assert fields["etag"].startswith('"')
        (entry,) = whole.json["keys"]
        assert (entry["kid"], entry["alg"], entry["use"]) == (active(gateway), "ES256", "sig")
        head = caller("HEAD", "/.well-known/jwks.json")
        assert (head.status, head.body, dict(head.fields)["etag"]) == (200, b"", fields["etag"])
        assert dict(head.fields)["content-length"] == str(len(whole.body))
        same = caller("GET", "/.well-known/jwks.json", headers={"If-None-Match": fields["etag"]})
        assert (same.status, same.body, dict(same.fields)["etag"]) == (304, b"", fields["etag"])
        key(gateway, "rotate", "--ahead", "100s")
        changed = caller("GET", "/.well-known/jwks.json", headers={"If-None-Match": fields["etag"]})
        assert changed.status == 200
        age_s = int(dict(changed.fields)["cache-control"].removeprefix("public, max-age="))
        assert 80 <= age_s <= 100, "nobody keeps it past the time when the new key signs"
        assert len(changed.json["keys"]) == 2


def test_an_installation_from_before_the_store_goes_on_with_its_key(directory: Path) -> None:
    old = generate("ES256")
    data = directory / "data"
    (data / "keys").mkdir(parents=True)
    data.chmod(0o700)
    (data / "keys").chmod(0o700)
    for name, content in {
        "installation.json": b'{"issuer":"https://old.example"}\n',
        f"keys/ES256.{old.kid}.pem": signing_key_to_pem(old),
        "keys/active": f"{old.kid}\n".encode(),
    }.items():
        (data / name).write_bytes(content)
        (data / name).chmod(0o600)
    gateway = Gateway(data)
    try:
        gateway.start()
        token = gateway.token()
        assert kid_of(token) == active(gateway) == old.kid
        assert peek_unverified(token.encode())[1]["iss"] == "https://old.example"
        assert status_of(gateway, token) == [200] * 8
        assert not (data / "keys" / "active").exists()
        assert gateway.stop() == 0
        sealed = Gateway(data, environment={**_MASTER, "JOTGATE_KEYS__MASTER_KEY_ENV": "JOTGATE_MASTER_KEY"})
        try:
            sealed.start()
            assert "1 of the files in" in sealed.errors, "a private part that lies about is told"
            (data / "keys" / f"ES256.{old.kid}.pem").unlink()
            assert keys(sealed)[old.kid]["private"], "it is in the store now"
            assert status_of(sealed, token) == [200] * 8
            assert kid_of(sealed.token()) == old.kid
        finally:
            sealed.kill()
    finally:
        gateway.kill()


def test_a_store_out_of_reach_is_told_and_nothing_is_served_from_what_may_be_old(
    server: Postgres, start_gateway: StartGateway
) -> None:
    url = server.make_database().url
    name = url.partition("@/")[2].partition("?")[0]
    gateway = start_gateway(on_postgresql(url), environment=_MASTER)
    token = gateway.token()
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        assert status_of(gateway, token) == [200] * 8, "for a while what is known is good"
        until(lambda: set(status_of(gateway, token)) == {503}, "no worker goes on for ever")
        with closing(Caller(gateway, token)) as caller:
            assert caller.chat().code == "control_stale"
        os.kill(gateway.pids["control"], signal.SIGKILL)  # The next one cannot open the store, and is tried again.
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
    until(lambda: set(status_of(gateway, token)) == {200}, "it comes back by itself", 20)
    assert "the store" in gateway.errors


def test_a_first_start_without_the_store_says_why(start_gateway: StartGateway) -> None:
    with short_directory() as nowhere, pytest.raises(NeverCameTrue, match="error store_unavailable"):
        start_gateway(f'[store]\nurl = "postgresql://jotgate@/jotgate?host={nowhere}"\n')


def test_keys_come_from_elsewhere_and_go_there(gateway: Gateway, directory: Path) -> None:
    own = generate("RS256")
    while own.kid.startswith("-"):  # One in 64, which a command line takes for an option.
        own = generate("RS256")
    pem = signing_key_to_pem(own).decode()
    ambiguous = run_command("key", "import", data=gateway.data, stdin=pem)
    assert ambiguous.returncode == 1
    assert "RS256, RS384" in ambiguous.stderr
    assert key(gateway, "import", "--algorithm", "RS256", stdin=pem) == f"{own.kid}\n"
    assert keys(gateway)[own.kid]["state"] == "pending"
    key(gateway, "promote", own.kid)
    token = gateway.token()
    assert kid_of(token) == own.kid
    assert status_of(gateway, token) == [200] * 8
    out = directory / "own.pem"
    assert run_command("key", "export", own.kid, "--private", data=gateway.data).returncode == 2
    assert key(gateway, "export", own.kid, "--private", "--out", str(out)) == ""
    assert (out.read_text(), out.stat().st_mode & 0o777) == (pem, 0o600)
    assert run_command("key", "export", own.kid, "--out", str(out), data=gateway.data).returncode == 1, "it is there"
    assert json.loads(key(gateway, "export", own.kid))["kid"] == own.kid
    events = [
        json.loads(line) for line in run_command("audit", "tail", "--json", data=gateway.data).stdout.splitlines()
    ]
    told = {event["event"] for event in events if event.get("details", {}).get("kid") == own.kid}
    assert told >= {"key.imported", "key.activated", "key.exported"}
    assert "PRIVATE" not in "".join(json.dumps(event) for event in events)


def test_without_a_running_jotgate_the_same_is_done_at_once(directory: Path) -> None:
    data = directory / "data"
    missing = run_command("key", "list", data=data)
    assert (missing.returncode, "there is no jotgate installation" in missing.stderr) == (1, True)
    token = run_command("token", "create", "--subject", "me", data=data).stdout.strip()
    done = run_command("key", "rotate", data=data)
    assert done.returncode == 0, done.stderr
    signs, verifies = (line.partition(" ")[0] for line in done.stdout.splitlines())
    assert verifies == kid_of(token)
    later = run_command("token", "create", "--subject", "me", data=data).stdout.strip()
    assert kid_of(later) == signs
    assert run_command("token", "verify", data=data, stdin=token).returncode == 0
    assert run_command("key", "retire", signs, data=data).returncode == 1
    assert run_command("key", "revoke", verifies, "--yes", data=data).returncode == 0
    refused = run_command("token", "verify", data=data, stdin=token)
    assert (refused.returncode, "error key_unknown" in refused.stderr) == (1, True)
