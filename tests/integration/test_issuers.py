"""A running gateway takes the tokens of other issuers, and of those that are put into its store while it runs."""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import jwt as pyjwt
import pytest

from jotgate.testing.running import Gateway, run_command, until
from tests.databases import postgres
from tests.integration.exchanges import Answer, Caller, chat_body

Start = Callable[..., Gateway]
Call = Callable[..., Caller]

SECRET: Final = secrets.token_hex(32)
THIRD: Final = secrets.token_hex(32)
OTHER: Final = secrets.token_hex(32)
CHAIN: Final = '[[issuers]]\nname = "chain"\nprofile = "prompt-chain"\n'
DAEMON: Final = 'name = "daemon"\nprofile = "mcp-daemon"\n'
GATEWAY: Final = '[[issuers]]\nname = "gateway"\nprofile = "api-gateway"\nsecret_env = "GATEWAY_SECRET"\n'
VARIABLES: Final = {"JWT_SECRET_KEY": SECRET, "GATEWAY_SECRET": THIRD, "SUPABASE_JWT_SECRET": OTHER}


def signed(secret: str, **claims: object) -> str:
    now_s = int(time.time())
    return pyjwt.encode({"sub": "client", "iat": now_s, **claims}, secret, "HS256")


def gateway_token(secret: str = THIRD) -> str:
    return signed(secret, iss="api-gateway", aud="openai-api", exp=int(time.time()) + 3600)


def daemon_token(secret: str = OTHER) -> str:
    return signed(secret, iss="exai-mcp-server", aud="exai-mcp-client", exp=int(time.time()) + 3600, role="user")


def ask(call: Call, gateway: Gateway, token: str) -> Answer:
    return call(gateway, token)("POST", "/v1/chat/completions", chat_body())


def issuers_of(gateway: Gateway) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = gateway.status()["issuers"]
    return found


def command(gateway: Gateway, *words: str, stdin: str = "") -> Any:
    return run_command("issuer", *words, data=gateway.data, stdin=stdin, environment=VARIABLES)


def test_tokens_of_the_issuers_in_the_file_are_taken_and_no_others(start_gateway: Start, call: Call) -> None:
    gateway = start_gateway(CHAIN + GATEWAY, environment=VARIABLES)
    assert ask(call, gateway, signed(SECRET)).status == 200
    assert ask(call, gateway, gateway_token()).status == 200
    assert ask(call, gateway, gateway.token()).status == 200
    for token in (signed(OTHER), gateway_token(OTHER), daemon_token(), signed(SECRET, iss="chain")):
        assert ask(call, gateway, token).status == 401
    # A token of the document's own does what its calls do, and no more.
    answer = call(gateway, signed(SECRET))("POST", "/v1/embeddings", {"model": "echo", "input": "x"})
    assert (answer.status, answer.code) == (403, "insufficient_scope")
    assert [(one["name"], one["issuer"], one["way"]) for one in issuers_of(gateway)] == [
        ("chain", "", "secret"),
        ("gateway", "api-gateway", "secret"),
    ]
    assert SECRET not in gateway.errors


def test_tokens_of_other_issuers_can_be_looked_at(start_gateway: Start) -> None:
    gateway = start_gateway(CHAIN + "[[issuers]]\n" + DAEMON, environment=VARIABLES)

    def verify(token: str) -> dict[str, str]:
        done = run_command("token", "verify", data=gateway.data, stdin=token)
        assert done.returncode == 0, done.stderr
        return {line.split()[0]: line.split(maxsplit=1)[1] for line in done.stdout.splitlines()[1:]}

    endless = verify(signed(SECRET))
    assert (endless["issuer"], endless["subject"], endless["expires"]) == ("chain", "client", "never")
    assert (endless["client"], len(endless["id"])) == ("none", 64)
    daemon = verify(daemon_token())
    assert (daemon["issuer"], daemon["roles"], daemon["scopes"]) == ("exai-mcp-server", "user", "ai")
    assert "(in 3" in daemon["expires"]


def test_a_token_that_never_expires_is_warned_about_and_can_be_found_and_ended(
    start_gateway: Start, call: Call
) -> None:
    gateway = start_gateway(CHAIN, environment=VARIABLES)
    token, ending = signed(SECRET, sub="ann"), signed(SECRET, sub="bob", exp=int(time.time()) + 3600)
    begun_s = int(time.time())
    assert [ask(call, gateway, one).status for one in (token, ending)] == [200, 200]
    note = run_command("token", "verify", data=gateway.data, stdin=token).stderr
    assert "it never expires" in note

    def listed(*words: str) -> list[dict[str, Any]]:
        done = run_command("token", "list", "--never-expires", "--json", *words, data=gateway.data)
        assert done.returncode == 0, done.stderr
        found = [json.loads(line) for line in done.stdout.splitlines()]
        assert found.pop() == {"count": len(found)}
        return found

    until(lambda: bool(listed()), "the token is listed")
    (one,) = listed()
    assert (one["issuer"], one["subject"], one["revoked"]) == ("chain", "ann", False)
    assert begun_s <= one["first_seen_at_s"] <= one["last_seen_at_s"] <= int(time.time())
    assert "a token that never expires is used for the first time" in gateway.errors
    events = run_command("audit", "tail", "--json", "-n", "50", data=gateway.data).stdout
    (event,) = [json.loads(line) for line in events.splitlines() if "token.endless_seen" in line]
    assert (event["subject"], event["details"]["jti"]) == ("ann", one["token_id"])
    revoked = run_command("token", "revoke", one["token_id"], "--issuer", "chain", "--yes", data=gateway.data)
    assert revoked.returncode == 0, revoked.stderr
    assert ask(call, gateway, token).status == 401
    assert ([state["revoked"] for state in listed()], listed("--live"), listed("--subject", "bob")) == ([True], [], [])
    wrong = run_command("token", "list", "--never-expires", "--client", "ci", data=gateway.data)
    assert (wrong.returncode, "--subject" in wrong.stderr) == (2, True)
    gateway.stop()
    # Without a running jotgate too, and in words.
    words = run_command("token", "list", "--never-expires", data=gateway.data, environment=VARIABLES).stdout
    assert words.split("\t")[0] == "revoked"
    assert words.rstrip("\n").split("\t")[3:] == ["chain", "ann", one["token_id"]]
    assert token not in gateway.errors + events + words


def test_an_issuer_of_the_store_counts_from_when_it_is_added_until_it_is_disabled(
    start_gateway: Start, call: Call
) -> None:
    gateway = start_gateway(CHAIN, environment=VARIABLES)
    token = daemon_token()
    assert ask(call, gateway, token).status == 401
    added = command(gateway, "add", stdin=DAEMON)
    assert added.returncode == 0, added.stderr
    assert [line.split()[0] for line in added.stdout.splitlines()] == ["chain", "daemon"]
    until(lambda: ask(call, gateway, token).status == 200, "the token is taken")
    again = command(gateway, "add", stdin=DAEMON)
    assert (again.returncode, "has an issuer 'daemon' already" in again.stderr) == (1, True)
    assert command(gateway, "disable", "daemon").stdout.splitlines()[1].endswith("disabled")
    until(lambda: ask(call, gateway, token).status == 401, "the token is refused")
    assert command(gateway, "enable", "daemon").returncode == 0
    until(lambda: ask(call, gateway, token).status == 200, "the token is taken again")
    assert command(gateway, "remove", "daemon").returncode == 0
    until(lambda: ask(call, gateway, token).status == 401, "the token is refused for good")
    gone = command(gateway, "remove", "daemon")
    assert (gone.returncode, "the store has no issuer 'daemon'" in gone.stderr) == (1, True)
    assert gateway.status()["pid"] == gateway.pids["control"]
    assert OTHER not in gateway.errors


def test_what_is_added_is_held_to_the_rules_of_the_file(start_gateway: Start) -> None:
    gateway = start_gateway(CHAIN, environment=VARIABLES)
    for entry, words in (
        ('name = "x"\nissuer = "http://idp.example"', "is http"),
        ('name = "x"\nissuer = "https://idp.example"\ncolour = 1', "colour: is not a setting"),
        ('name = "x"\nprofile = "mcp-daemon"\nsecret = "hunter2hunter2"', "is a secret"),
        ('name = "x"\nsecret_env = "NOBODY_HAS_SET_THIS"\naudiences = []\nissuer = "urn:x"', "is set neither"),
        ('name = "x"\nissuer = "urn:x"\nsecret_file = "secret.txt"', "must be the whole path"),
        ('name = "chain"\nissuer = "https://idp.example"', "is 'chain' as in the configuration"),
        ('name = "x"\nsecret_env = "JWT_SECRET_KEY"\naudiences = []', "one issuer alone may name none"),
        (f'name = "x"\nissuer = "{gateway.url}"', "as of this installation"),
        ('issuer = "https://idp.example"', "the entry has no name"),
    ):
        refused = command(gateway, "add", stdin=entry)
        assert refused.returncode == 1, entry
        assert words in refused.stderr, (entry, refused.stderr)
        assert "hunter2" not in refused.stderr
    for entry, words in (("", "is empty"), ("name =", "is not TOML"), (CHAIN + GATEWAY, "there are 2 entries")):
        refused = command(gateway, "add", stdin=entry)
        assert (refused.returncode, words in refused.stderr) == (2, True)
    assert [one["name"] for one in issuers_of(gateway)] == ["chain"]


def test_without_a_running_jotgate_the_store_is_changed_all_the_same(directory: Path) -> None:
    data = directory / "data"

    def offline(*words: str, stdin: str = "") -> Any:
        return run_command("issuer", *words, data=data, stdin=stdin, environment=VARIABLES)

    assert offline("list").stdout == "no issuers beside this installation\n"
    assert offline("add", stdin="[[issuers]]\n" + DAEMON).returncode == 0
    (one,) = json.loads(offline("list", "--json").stdout)["issuers"]
    assert (one["name"], one["issuer"], one["origin"], one["way"], one["faults"]) == (
        *("daemon", "exai-mcp-server", "store"),
        *("secret", []),
    )
    assert offline("disable", "daemon").stdout.rstrip().endswith("disabled")


def test_an_issuer_of_the_store_that_compiles_no_more_gets_503_and_is_told(start_gateway: Start, call: Call) -> None:
    gateway = start_gateway(environment=VARIABLES)
    assert command(gateway, "add", stdin=DAEMON).returncode == 0
    until(lambda: ask(call, gateway, daemon_token()).status == 200, "the token is taken")
    assert gateway.stop() == 0
    crippled = Gateway(gateway.data, ("--config", str(gateway.config)), {})
    crippled.start()
    try:
        answer = ask(call, crippled, daemon_token())
        assert (answer.status, answer.code) == (503, "issuer_unavailable")
        assert ask(call, crippled, crippled.token()).status == 200
        (one,) = issuers_of(crippled)
        assert "SUPABASE_JWT_SECRET" in one["faults"][0]
        assert "the issuer 'daemon' of the store does not count" in crippled.errors
        listed = run_command("issuer", "list", data=crippled.data)
        assert "does not count" in listed.stdout
    finally:
        crippled.stop()


def test_what_one_machine_adds_counts_on_the_other(start_gateway: Start, call: Call) -> None:
    with postgres() as server:
        settings = f'[server]\npublic_url = "https://gate.example"\n[store]\nurl = "{server.make_database().url}"\n'
        settings += '[keys]\nmaster_key_env = "JOTGATE_MASTER_KEY"\n'
        variables = {**VARIABLES, "JOTGATE_MASTER_KEY": secrets.token_urlsafe(32)}
        one, other = (start_gateway(settings, environment=variables) for _ in range(2))
        token = daemon_token()
        assert [ask(call, gateway, token).status for gateway in (one, other)] == [401, 401]
        assert command(one, "add", stdin=DAEMON).returncode == 0
        for gateway in (one, other):
            until(lambda gateway=gateway: ask(call, gateway, token).status == 200, "it is taken")  # type: ignore[misc]
        assert command(other, "disable", "daemon").returncode == 0
        for gateway in (one, other):
            until(lambda gateway=gateway: ask(call, gateway, token).status == 401, "it is refused")  # type: ignore[misc]
        assert "disabled" in command(one, "list").stdout


def test_the_file_goes_before_the_store(start_gateway: Start, call: Call) -> None:
    gateway = start_gateway(environment=VARIABLES)
    assert command(gateway, "add", stdin=DAEMON).returncode == 0
    gateway.config.write_text(
        "[[issuers]]\n" + DAEMON.replace('"daemon"', '"ours"') + 'secret_env = "JWT_SECRET_KEY"\n'
    )
    until(lambda: len(issuers_of(gateway)) == 2, "the file is read")
    until(lambda: ask(call, gateway, daemon_token(SECRET)).status == 200, "the file's secret counts")
    assert ask(call, gateway, daemon_token(OTHER)).status == 401
    faults = {one["name"]: one["faults"] for one in issuers_of(gateway)}
    assert faults["ours"] == []
    assert "as of the configuration, which goes before the store" in faults["daemon"][0]


def test_a_secret_is_changed_while_the_gateway_runs(directory: Path, call: Call) -> None:
    """Generate a new one, update .env, and old tokens are invalid from a stated time on."""
    config = directory / "jotgate.toml"
    config.write_text(CHAIN)
    dotenv = directory / ".env"

    def write(**variables: str) -> None:
        new = directory / "new"
        new.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
        new.chmod(0o600)
        new.rename(dotenv)

    write(JWT_SECRET_KEY=SECRET)
    gateway = Gateway(directory / "data", ("--config", str(config)), cwd=directory).start()
    try:
        old, new = signed(SECRET), signed(OTHER)
        assert [ask(call, gateway, token).status for token in (old, new)] == [200, 401]
        ends_s = int(time.time()) + 6
        until_text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends_s))
        write(JWT_SECRET_KEY=OTHER, JWT_SECRET_KEY_PREVIOUS=SECRET, JWT_SECRET_KEY_PREVIOUS_UNTIL=until_text)
        until(lambda: ask(call, gateway, new).status == 200, "the new secret counts")
        assert ask(call, gateway, old).status == 200 or time.time() >= ends_s
        until(lambda: ask(call, gateway, old).status == 401, "the old secret counts no more")
        assert time.time() >= ends_s
        assert ask(call, gateway, new).status == 200
    finally:
        assert gateway.stop() == 0


@pytest.mark.parametrize("where", ["environment", "file"])
def test_a_weak_secret_is_taken_on_this_machine_alone(
    start_gateway: Start, call: Call, directory: Path, where: str
) -> None:
    weak = "your_64_character_hex_secret_here"
    path = directory / "secret"
    path.write_text(weak + "\n")
    path.chmod(0o600)
    entry = '[[issuers]]\nname = "daemon"\nprofile = "mcp-daemon"\n' + (
        "" if where == "environment" else f'secret_file = "{path}"\n'
    )
    variables = {"SUPABASE_JWT_SECRET": weak}
    gateway = start_gateway(entry, environment=variables)
    assert ask(call, gateway, daemon_token(weak)).status == 200
    assert "is good on this machine alone" in gateway.errors
    assert weak not in gateway.errors
    outside = '[server]\nbehind_proxy = true\ntrusted_proxies = ["10.0.0.1"]\npublic_url = "https://g.example"\n'
    config = directory / "outside.toml"
    config.write_text(outside + entry)
    checked = run_command("check", "--config", str(config), data=directory / "other", environment=variables)
    assert checked.returncode == 1
    assert "can be guessed" in checked.stderr or "is printed in a document" in checked.stderr
    assert weak not in checked.stderr
