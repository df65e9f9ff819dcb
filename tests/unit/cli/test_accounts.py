"""`jotgate client`, `principal`, `tenant` and `admin` by themselves: what they say, and what their exit codes mean."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jotgate.cli import main
from jotgate.core.accounts import PrincipalRecord
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.directory import DataDirectory
from jotgate.stores.opening import open_store

Run = Callable[..., tuple[int, str, str]]
CREATE = ("client", "create", "ci", "--grant", "client_credentials")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """DATA, which is not there yet; nothing else is configured."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JOTGATE_CONFIG", raising=False)
    monkeypatch.setenv("JOTGATE_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def run(data: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on DATA, on which no jotgate runs: exit code, stdout, stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_what_cannot_be_is_said_with_what_to_do(run: Run) -> None:
    assert run(*CREATE, "--scope", "ai")[0] == 0
    for code, words, wanted in (
        (1, (*CREATE, "--scope", "ai"), "there is a client of this name already"),
        (1, ("principal", "create", "ci"), "there is a client of this name already"),
        (2, ("client", "create", "b", "--grant", "password", "--scope", "ai"), "'password' is no grant"),
        (2, ("client", "create", "b", "--grant", "client_credentials"), "'ai' is every AI operation"),
        (2, ("client", "set", "ci", "--auth", "none"), "may not use client_credentials"),
        (2, ("client", "set", "ci", "--auth", "password"), "invalid choice"),
        (2, ("client", "create", "b", "--scope", "ai"), "--grant"),
        (2, ("client", "set", "ci", "--tool", "files"), "tools are scopes, such as mcp:files:read_file"),
        (2, ("principal", "create", "bob", "--limit", "5"), "are set with 'jotgate quota set'"),
        (2, ("tenant", "create", "acme", "--limit", "5"), "are set with 'jotgate quota set'"),
        (2, ("tenant", "create", "acme", "--tool", "files"), "tools are scopes, such as mcp:files:read_file"),
        (
            2,
            ("pat", "create", "--subject", "a", "--name", "n", "--tool", "x"),
            "tools are scopes, such as mcp:files:read_file",
        ),
        (2, ("pat", "create", "--subject", "a", "--name", "n", "--limit", "1"), "'1' is no limit"),
        (2, ("pat", "roll", "--name", "ci", "--subject", "a"), "NAME stands alone, as in 'jotgate pat roll NAME'"),
        (2, (*CREATE, "--scope", "nonsense"), "introspect, admin:*"),
        (2, ("clients", "list"), "did you mean 'client'?"),
        (2, ("client", "lst"), "did you mean 'list'?"),
        (2, ("client", "frobnicate"), "choose from"),
        (1, ("principal", "create", "bob", "--tenant", "nowhere"), "there is no tenant of this name"),
        (2, ("client", "set", "ci", "--access-ttl", "2d"), "from 1 s to 24 h"),
        (2, ("client", "set", "ci", "--access-ttl", "soon"), "is not a duration"),
        (2, ("client", "set", "ci", "--model", "a", "--every-model"), "say different things"),
        (2, ("client", "rotate-secret", "ci", "--overlap", "5w"), "at most 30 days"),
        (2, ("client", "delete", "ci"), "the client ci would be deleted, which invalidates 0 live tokens"),
        (2, ("client", "disable", "ci"), "the client ci would be disabled, which invalidates 0 live tokens"),
        (1, ("principal", "disable", "nobody"), "there is no principal of this name"),
        (1, ("tenant", "disable", "nowhere", "--yes"), "there is no tenant of this name"),
        (1, ("client", "show", "nobody"), "there is no client of this name"),
        (2, ("tenant", "role", "default", "r", "--scope", "x", "--drop"), "neither scopes nor models"),
        (1, ("tenant", "role", "default", "r", "--drop"), "the tenant has no role of this name"),
        (2, ("tenant", "role", "default", "r", "--scope", "x"), "roles.r.scopes: 'x' is unknown"),
        (2, ("admin", "token", "--scope", "ai"), "none of the admin API"),
        (2, ("admin", "token", "--scope", ""), "names no scope"),
        (2, ("admin", "token", "--ttl", "2d"), "at most 24h"),
        (2, ("admin", "token", "--ttl", "forever"), "is not a duration"),
    ):
        found, out, said = run(*words)
        assert (found, out) == (code, ""), (words, said)
        assert wanted in said, (words, said)
    assert [one["name"] for one in json.loads(run("client", "list", "--json")[1])["clients"]] == ["ci"]
    assert json.loads(run("principal", "list", "--json")[1]) == {"principals": []}


def test_a_directory_in_which_nothing_was_started_is_left_as_it_is(run: Run, data: Path) -> None:
    for words in (("client", "list"), ("principal", "show", "ann"), ("tenant", "delete", "acme", "--yes")):
        code, _, said = run(*words)
        assert (code, "there is no jotgate installation" in said) == (1, True)
    assert not data.exists()


def test_each_success_says_what_to_do_next(run: Run) -> None:
    for words, then in (
        ((*CREATE, "--scope", "ai"), "jotgate up"),
        (("client", "set", "ci", "--title", "CI"), "jotgate client show ci"),
        (("principal", "create", "Ann Miller"), "jotgate principal list"),
        (("principal", "list", "--tenant", "acme"), "jotgate principal create NAME"),
        (("tenant", "create", "acme"), "jotgate tenant show acme"),
        (("client", "delete", "ci", "--yes"), "jotgate client list"),
        (("admin", "token"), "jotgate up"),
    ):
        code, _, said = run(*words)
        assert code == 0, said
        assert f"  next  {then}\n" in said


def test_what_would_end_with_an_account_is_told_before_it_is_disabled(run: Run) -> None:
    run("principal", "create", "ann", "--scope", "ai")
    run("pat", "create", "--subject", "ann", "--name", "editor")
    assert run("token", "create", "--subject", "ann")[0] == 0
    code, out, said = run("principal", "disable", "ann")
    assert (code, out) == (2, "")
    assert "which invalidates 1 live token; how many tokens others made" in said
    assert "1 personal token would be refused until it is enabled" in said
    assert "--yes" in said
    code, _, said = run("tenant", "disable", "default")
    assert code == 2
    assert "which invalidates 1 live token; 1 personal token would be refused until it is enabled" in said
    assert "yes" in run("principal", "show", "ann")[1], "nothing was done"
    assert run("principal", "disable", "ann", "--yes")[:2] == (0, "principal ann is disabled\n")
    assert run("principal", "enable", "ann")[:2] == (0, "principal ann is enabled\n")
    assert "invalidates 0 live tokens" in run("principal", "disable", "ann")[2]


@pytest.mark.parametrize("action", ["disable", "delete"])
def test_whose_tokens_another_issuer_goes_on_making_is_told(run: Run, data: Path, action: str) -> None:
    keys = data.parent / "keys.json"
    keys.write_text('{"keys":[]}')
    text = f'[[issuers]]\nname = "idp"\nissuer = "https://idp.example"\njwks_file = "{keys}"\n'
    (data.parent / "jotgate.toml").write_text(text)
    for name in ("idp/ann", "else/ann", "ann"):
        run("principal", "create", name, "--scope", "ai")
    code, _, said = run("principal", action, "idp/ann", "--yes")
    assert code == 0, said
    assert "what idp gives 'ann' from now on is taken still" in said
    assert 'denies issuers = ["https://idp.example"], subjects = ["ann"]' in said
    for name in ("else/ann", "ann"):
        assert "taken still" not in run("principal", action, name, "--yes")[2]


def test_a_name_is_made_and_grants_may_have_their_names_on_the_wire(run: Run) -> None:
    grant = "urn:ietf:params:oauth:grant-type:token-exchange"
    _, out, _ = run("client", "create", "--grant", grant, "--scope", "ai", "--auth", "none", "--json")
    found = json.loads(out)
    assert found["client_id"].startswith("client-")
    assert (found["client"]["grants"], "client_secret" in found) == (["token_exchange"], False)


def test_a_client_in_words(run: Run) -> None:
    run("tenant", "role", "default", "reader", "--scope", "models", "--model", "echo", "--model", "gpt")
    files = "https://files.example"
    run(*CREATE, "--scope", f"ai {files}/read", "--role", "reader", "--audience", files, "--model", "echo")
    _, out, _ = run("client", "show", "ci")
    rows = dict(line.split("  ", 1) for line in out.splitlines())
    found = {name.strip(): value.strip() for name, value in rows.items()}
    assert {name: found[name] for name in ("scopes", "roles", "models", "audiences", "enabled", "live tokens")} == {
        "scopes": f"ai {files}/read",
        "roles": "reader",
        "models": "echo",
        "audiences": files,
        "enabled": "yes",
        "live tokens": "0",
    }
    assert found["secrets"].startswith("made 20")
    assert "reader: models, models echo gpt" in run("tenant", "show", "default")[1]
    run("tenant", "role", "default", "writer", "--scope", "ai")
    assert "writer: ai, every model" in run("tenant", "show", "default")[1]


def test_lists_are_set_as_a_whole_and_emptied_by_an_empty_text(run: Run) -> None:
    def principal(*words: str) -> dict[str, Any]:
        code, out, said = run("principal", *words, "--json")
        assert code == 0, said
        found: dict[str, Any] = json.loads(out)["principal"]
        return found

    made = principal("create", "ann", "--scope", "ai", "--scope", "metrics", "--model", "echo")
    assert (made["scopes"], made["models"]) == (["ai", "metrics"], ["echo"])
    none = principal("set", "ann", "--scope", "", "--model", "")
    assert (none["scopes"], none["models"]) == ([], [])
    every = principal("set", "ann", "--scope", "models", "--every-model")
    assert (every["scopes"], every["models"]) == (["models"], None)
    assert principal("set", "ann", "--title", "Ann")["scopes"] == ["models"]


def test_names_from_elsewhere_do_not_drive_a_terminal(run: Run) -> None:
    code, _, said = run("principal", "create", "a\x1b[2Jb")
    assert (code, "\x1b" in said) == (2, False)
    assert "\x1b" not in run("principal", "show", "a\x1b[2Jb")[2]


def test_a_list_of_a_thousand_comes_whole(run: Run, data: Path) -> None:
    run("principal", "create", "ann")
    store = open_store(StoreAddress(file=DataDirectory(data).store))
    for number in range(1_001):
        store.put_account(PrincipalRecord(name=f"p{number:04}"))
    store.close()
    _, out, _ = run("principal", "list")
    assert [line.split("\t")[0] for line in out.splitlines()] == ["ann", *(f"p{n:04}" for n in range(1_001))]


def test_a_client_that_must_bind_is_made_and_changed_by_options(run: Run) -> None:
    made = run(*CREATE, "--scope", "ai", "--binding", "required-dpop", "--json")
    client = json.loads(made[1])["client"]
    assert (made[0], client["binding"], client["authentication"]) == (0, "required-dpop", "client_secret_basic")
    changed = run("client", "set", "ci", "--tls-san-uri", "spiffe://example/ci", "--binding", "required-mtls", "--json")
    client = json.loads(changed[1])["client"]
    assert (client["authentication"], client["tls_san_uri"]) == ("tls_client_auth", "spiffe://example/ci")
    assert (client["binding"], client["secrets"]) == ("required-mtls", [])
    assert json.loads(run("client", "set", "ci", "--binding", "none", "--json")[1])["client"]["binding"] == ""
    code, _, said = run("client", "create", "robot", "--grant", "client_credentials", "--tls-subject-dn", "robot")
    assert code == 2
    assert "RFC 4514" in said
