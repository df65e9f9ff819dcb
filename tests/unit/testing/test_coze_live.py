"""The comparison with the live service, with a second stand-in in its place."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jotgate.core.values import Secret
from jotgate.testing.coze import CozeServer, coze_in_thread
from jotgate.testing.coze_live import compare, main, missing, standin_account
from jotgate.testing.coze_probes import Account
from jotgate.testing.coze_shapes import differences
from jotgate.testing.coze_told import APP_ID, BOT_ID, PAT, WORKFLOW_ID, WORKSPACE_ID

_APP = {"COZE_JWT_APP_ID": APP_ID, "COZE_JWT_KEY_ID": "k", "COZE_JWT_PRIVATE_KEY": "p"}


@pytest.fixture
def live() -> Iterator[CozeServer]:
    with coze_in_thread() as running:
        yield running


@pytest.fixture
def server() -> Iterator[CozeServer]:
    with coze_in_thread() as running:
        yield running


def by_app(live: CozeServer) -> Account:
    """An account that has everything."""
    return Account(
        base_url=live.url,
        bot_id=BOT_ID,
        app_id=APP_ID,
        key_id=live.key_id,
        private_key=Secret(live.private_key_pem),
        workflow_id=WORKFLOW_ID,
        workspace_id=WORKSPACE_ID,
    )


def differing(live: CozeServer, server: CozeServer) -> dict[str, list[str]]:
    """Where the two differ, by the name of the request."""
    said: list[str] = []
    found = compare(by_app(live), server, said.append, pace_s=0.0)
    return {name: differences(*shapes) for name, shapes in found.items() if differences(*shapes)}


def test_two_that_are_the_same_do_not_differ(live: CozeServer, server: CozeServer) -> None:
    said: list[str] = []
    found = compare(by_app(live), server, said.append, pace_s=0.0)
    assert [name for name, shapes in found.items() if differences(*shapes)] == []
    given = [name for name, (shape, _) in found.items() if "JWT" in name and shape.status == 200]
    assert given == ["a token for a JWT"]
    assert live.running == server.running == 0
    assert live.conversations_of("live-coze") == ()


def twist_time(live: CozeServer) -> None:
    live.refuse_post_retrieve = False


def twist_spaces(live: CozeServer) -> None:
    live.spaces = True


def twist_plan(live: CozeServer) -> None:
    live.async_in_plan = False


def twist_app(live: CozeServer) -> None:
    live.deactivated = True


@pytest.mark.parametrize(
    ("twist", "name", "line"),
    [
        (twist_time, "a look by POST", "status: live 200, stand-in 401"),
        (twist_spaces, "a streamed chat", "space after the colon: live True, stand-in False"),
        (twist_plan, "a workflow in the background", "code: live '6003', stand-in '0'"),
        (twist_app, "a token for a JWT", "code: live 'access_deny', stand-in ''"),
    ],
)
def test_what_differs_is_said(
    live: CozeServer, server: CozeServer, twist: Callable[[CozeServer], None], name: str, line: str
) -> None:
    twist(live)
    assert line in differing(live, server)[name]


def environment(live: CozeServer, **changed: str) -> dict[str, str]:
    """The variables of an account with a token."""
    return {"COZE_BASE_URL": live.url, "COZE_BOT_ID": BOT_ID, "COZE_API_KEY": PAT, **changed}


def test_a_token_will_do_and_the_record_holds_shapes_alone(live: CozeServer, tmp_path: Path) -> None:
    said: list[str] = []
    file = tmp_path / "shapes.json"
    assert main(environment(live), ["--record", str(file)], said.append) == 0
    assert said[-1].endswith(" answers compared, 0 differ\n")
    written = file.read_text()
    record = json.loads(written)
    assert record["a streamed chat"]["live"] == record["a streamed chat"]["standin"]
    assert record["a chat"]["live"]["members"]["data.conversation_id"] == "text"
    assert "a token for a JWT" not in record
    everything = written + "".join(said)
    for value in (PAT, BOT_ID, live.chats[0].chat_id, live.chats[0].conversation_id, "Say hello", live.url):
        assert value not in everything


def test_an_app_goes_before_a_token_and_its_secrets_are_not_said(live: CozeServer, tmp_path: Path) -> None:
    said: list[str] = []
    file = tmp_path / "shapes.json"
    pem = live.private_key_pem.replace("\n", "\\n")
    app = {"COZE_JWT_APP_ID": APP_ID, "COZE_JWT_KEY_ID": live.key_id, "COZE_JWT_PRIVATE_KEY": pem}
    assert main(environment(live, **app), ["--record", str(file)], said.append) == 0
    assert live.exchanges_by_session == {"live-coze": 1}
    everything = file.read_text() + "".join(said)
    for value in (*live.valid_tokens, "czs_", "PRIVATE KEY", live.key_id, APP_ID):
        assert value not in everything


def test_a_difference_is_told_by_the_status(live: CozeServer) -> None:
    said: list[str] = []
    live.spaces = True
    assert main(environment(live), [], said.append) == 1
    assert "a streamed chat: differs (200 )\n" in said


@pytest.mark.parametrize(
    ("found", "lacking"),
    [
        ({}, ["COZE_BOT_ID", "COZE_API_KEY (or all of COZE_JWT_APP_ID, COZE_JWT_KEY_ID, COZE_JWT_PRIVATE_KEY)"]),
        ({"COZE_API_KEY": "x"}, ["COZE_BOT_ID"]),
        ({"COZE_BOT_ID": "1", "COZE_JWT_APP_ID": "2"}, ["COZE_JWT_KEY_ID", "COZE_JWT_PRIVATE_KEY"]),
        ({"COZE_BOT_ID": "1", **_APP}, []),
        ({"COZE_BOT_ID": "1", "COZE_API_KEY": "x", "COZE_JWT_APP_ID": "2"}, []),
    ],
)
def test_what_is_not_set_is_named(found: dict[str, str], lacking: list[str]) -> None:
    assert missing(found) == lacking
    if lacking:
        said: list[str] = []
        assert main(found, [], said.append) == 2
        assert f"Not set: {', '.join(lacking)}" in said[0]
        for name in ("COZE_BOT_ID", "COZE_API_KEY", *_APP, "COZE_BASE_URL", "COZE_WORKFLOW_ID", "COZE_SPACE_ID"):
            assert name in said[0]


def test_a_service_that_is_not_there_and_a_key_that_is_none_are_said(live: CozeServer) -> None:
    said: list[str] = []
    assert main(environment(live, COZE_BASE_URL="http://127.0.0.1:1"), [], said.append) == 3
    assert main(environment(live, **_APP), [], said.append) == 3
    assert said[0].startswith("live-coze: ConnectError")
    assert said[1].startswith("live-coze: KeyRefused")


def test_the_stand_in_gets_what_the_account_has(live: CozeServer, server: CozeServer) -> None:
    plain = standin_account(server, Account(base_url="https://api.coze.com", bot_id="7", token=Secret("pat_x")))
    assert (plain.app_id, plain.workflow_id, plain.workspace_id) == ("", "", "")
    assert "7" in server.bots
    assert standin_account(server, by_app(live)).key_id == server.key_id
