"""`jotgate upstream`: what is printed of credentials, and what it refuses before anybody logs in."""

import json
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from jotgate.cli import main, upstream
from jotgate.core.coze_login import REDIRECT
from jotgate.core.device_login import DeviceCode
from jotgate.core.upstream_orders import LoginView, TokensView, UpstreamAnswer, UpstreamView
from jotgate.core.values import Secret

LOGIN: Final = LoginView("app", "https://api.coze.com/token", False, 1_700_000_000, 1_700_000_900, 1_702_592_900, None)
TOKENS: Final = TokensView(
    sessions=1, is_valid=True, expires_in_s=600, obtained=3, failed=0, last_obtained_s=1_700_000_900
)
COZE: Final = UpstreamView(
    name="coze",
    kind="coze",
    url="https://api.coze.com",
    credential="refresh-token",
    client_id="app",
    token_url="https://api.coze.com/token",
    login=LOGIN,
    tokens=TOKENS,
)
SETTINGS: Final = """
[[upstreams]]
name = "coze"
kind = "coze"
base_url = "https://api.coze.com"
models = { assistant = "bot:7300000000000000001" }
[upstreams.oauth]
grant = "refresh-token"
client_id = "app"

[[upstreams]]
name = "other"
kind = "openai"
base_url = "https://other.example/v1"
models = ["m"]
credential_env = "NOT_SET_HERE"
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Runner":
    monkeypatch.delenv("JOTGATE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jotgate.toml").write_text(SETTINGS)
    return Runner(tmp_path / "data")


class Runner:
    """Runs the command in this process, where no jotgate runs."""

    def __init__(self, data: Path) -> None:
        self._data = data

    def __call__(self, *arguments: str) -> int:
        return main(["upstream", *arguments, "--data", str(self._data)])


def test_upstreams_are_listed_by_name_and_no_credential_is_looked_for(
    run: Runner, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("list") == 0
    assert capsys.readouterr().out == (
        "coze\tcoze\trefresh-token\t-\t-\tnobody has logged in\nother\topenai\tkey\t-\t-\tgood\n"
    )
    assert run("list", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["login"], one["tokens"]) for one in found["upstreams"]] == [
        ("coze", None, None),
        ("other", None, None),
    ]
    assert found["running"] is False


def test_status_says_what_mends_it_and_its_exit_code_says_that_something_lacks(
    run: Runner, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("status", "other") == 0
    assert "coze" not in capsys.readouterr().out
    for arguments in (("status",), ("status", "coze"), ("status", "coze", "--json")):
        assert run(*arguments) == 1
        told = capsys.readouterr()
        assert ("nobody has logged in" in told.out) is ("--json" not in arguments)
        assert ("jotgate upstream login coze --data" in told.err) is ("--json" not in arguments)
    assert run("status", "nowhere") == 1
    assert "the settings name no upstream 'nowhere'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("login", "nowhere"), 1, "the settings name no upstream 'nowhere'"),
        (("login", "other"), 1, "nobody logs in for the upstream 'other': its credential is 'key'"),
        (("login", "coze", "--redirect", "http://127.0.0.1:1/"), 2, "--redirect is for a browser that comes back"),
        (("login", "coze", "--pkce", "--redirect", "http://localhost:1/"), 2, "not an address of this machine"),
        (("login", "coze", "--workspace", "mine"), 2, "the workspace is not a number"),
        (("logout", "coze", "--yes"), 1, "no refresh token is kept for an upstream 'coze'"),
        (("logout", "nowhere"), 1, "no refresh token is kept for an upstream 'nowhere'"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anybody_is_asked(
    run: Runner, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, said: str
) -> None:
    assert run(*arguments) == code
    told = capsys.readouterr()
    assert (told.out, said in told.err) == ("", True), told.err
    assert "  fix  " in told.err


def test_what_the_running_jotgate_has_of_a_preset_is_not_called_unknown() -> None:
    of_preset = replace(COZE, credential="coze", login=None)
    refusal = upstream._refusal_of(UpstreamAnswer([of_preset], running=True), "coze")
    assert refusal is not None
    assert refusal.message == "nobody logs in for the upstream 'coze': its credential is 'coze'"
    assert "in place of a preset's" in refusal.hint
    beside = UpstreamAnswer([of_preset, replace(COZE, name="other")], running=True)
    refusal = upstream._refusal_of(beside, "coze")
    assert refusal is not None
    assert refusal.hint == "Name one of: other"
    refusal = upstream._refusal_of(beside, "other")
    assert refusal is not None
    assert "other settings" in refusal.message
    assert upstream._refusal_of(beside, "nowhere") is None
    assert upstream._refusal_of(UpstreamAnswer([UpstreamView(name="coze")]), "coze") is None, "it is named by nobody"
    assert upstream._refusal_of(UpstreamAnswer([replace(COZE, configured=True)]), "coze") is None


def test_the_help_names_the_redirect_that_is_taken() -> None:
    assert upstream._REDIRECT == REDIRECT


def test_all_that_is_known_is_told_and_nothing_that_moves_a_cursor() -> None:
    told = upstream._describe(COZE, running=True)
    assert told.startswith("coze  coze  https://api.coze.com\n")
    for line in (
        "  credential  refresh-token\n",
        "  client      app\n",
        "  endpoint    https://api.coze.com/token\n",
        "  refresh     of a login, since 2023-11-14T22:13:20Z\n",
        "this one since 2023-11-14T22:28:20Z, good until about 2023-12-14T22:28:20Z unless it is used\n",
        "  exchanges   3 done, last 2023-11-14T22:28:20Z, 0 failed\n",
        "  state       good\n",
    ):
        assert line in told
    failing = replace(TOKENS, is_valid=False, fault="no\x1b[2J", failing_since_s=1_700_000_000, failed=2, sessions=5)
    evil = replace(
        COZE, name="a\x1b[2J", credential="coze", login=None, tokens=replace(failing, key_id="k2", second=True)
    )
    told = upstream._describe(evil, running=True)
    assert "\x1b" not in told
    for part in (
        "  sessions    5\n",
        "  key         k2, the second one\n",
        "  fault       since 2023-11-14T22:13:20Z: 'no",
    ):
        assert part in told
    alone = upstream._describe(replace(COZE, tokens=None), running=False)
    assert "  token       unknown: no jotgate runs here\n" in alone
    sent = upstream._describe(replace(COZE, login=replace(LOGIN, under_way_s=1_700_001_000)), running=True)
    assert "sent 2023-11-14T22:30:00Z, and nothing has come of it yet" in sent


def test_a_line_says_when_the_credential_ends_and_since_when_it_fails() -> None:
    assert upstream._row(COZE)[2:] == [
        "refresh-token",
        "2023-12-14T22:28:20Z",
        "2023-11-14T22:28:20Z",
        "good",
    ]
    failing = replace(TOKENS, fault="refused", failing_since_s=1_700_000_000)
    assert upstream._row(replace(COZE, tokens=failing))[4:] == [
        "failing since 2023-11-14T22:13:20Z",
        "good still; refused",
    ]
    assert upstream._row(UpstreamView(name="echo", kind="openai"))[2:] == ["none", "-", "-", "no credential"]


def test_a_device_login_shows_the_page_and_the_user_code_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    code = DeviceCode(
        device_code=Secret("device-secret"),
        user_code="ABCD-EFGH",
        page="https://www.coze.com/device",
        whole_page="https://www.coze.com/device?user_code=ABCD-EFGH",
        lives_s=300,
        interval_s=5,
    )
    upstream._tell_code(code, opens=False)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("  open  https://www.coze.com/device\n  code  ABCD-EFGH\n  note  it counts for 5 min")
    assert "device-secret" not in told.err


def test_a_browser_is_opened_only_when_that_was_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """BROWSER names what the standard library starts in place of a browser."""
    seen = tmp_path / "seen"
    stand_in = tmp_path / "browser"
    stand_in.write_text(f'#!/bin/sh\nprintf %s "$1" > {seen}\n')
    stand_in.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{stand_in} %s")
    upstream._tell_page("https://www.coze.com/authorize?state=x", opens=False)
    assert not seen.exists()
    upstream._tell_page("https://www.coze.com/authorize?state=x", opens=True)
    assert seen.read_text() == "https://www.coze.com/authorize?state=x"
