"""Bots, users and files of Coze's stand-in."""

from collections.abc import Iterator

import pytest

from jotgate.testing.coze import CozeServer, coze_in_thread
from jotgate.testing.coze_told import ACCOUNT_ID, BOT_ID, WORKSPACE_ID
from jotgate.testing.coze_values import Bot
from tests.coze_clients import Plain


@pytest.fixture
def server() -> Iterator[CozeServer]:
    with coze_in_thread() as running:
        running.bots["7300000000000000002"] = Bot(bot_id="7300000000000000002", name="Draft", published=False)
        yield running


@pytest.fixture
def plain(server: CozeServer) -> Plain:
    return Plain(server)


@pytest.mark.parametrize(
    ("status", "names"),
    [
        ("", ["Stand-in"]),
        ("&publish_status=all", ["Stand-in", "Draft"]),
        ("&publish_status=unpublished_draft", ["Draft"]),
        ("&publish_status=all&page_num=2&page_size=1", ["Draft"]),
    ],
)
def test_bots_are_listed_by_what_they_are(plain: Plain, status: str, names: list[str]) -> None:
    found = plain.get(f"/v1/bots?workspace_id={WORKSPACE_ID}{status}")[1]["data"]
    assert [bot["name"] for bot in found["items"]] == names


def test_the_older_list_has_published_bots_alone(plain: Plain) -> None:
    found = plain.get(f"/v1/space/published_bots_list?space_id={WORKSPACE_ID}")[1]["data"]
    assert ([bot["bot_name"] for bot in found["space_bots"]], found["total"]) == (["Stand-in"], 1)


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (f"/v1/bots/{BOT_ID}", 0),
        (f"/v1/bot/get_online_info?bot_id={BOT_ID}", 0),
        ("/v1/bots/7300000000000000002", 4015),
        ("/v1/bots/1", 4006),
        ("/v1/bots", 4000),
        ("/v1/files/retrieve?file_id=1", 4300),
        ("/v1/files/retrieve", 4000),
    ],
)
def test_one_that_is_asked_for_is_there_or_refused(plain: Plain, target: str, code: int) -> None:
    assert plain.get(target)[1]["code"] == code


def test_an_upload_without_a_file_is_refused(plain: Plain) -> None:
    assert plain.post("/v1/files/upload", name="x")[1]["code"] == 4000


def test_a_token_says_whose_it_is(plain: Plain) -> None:
    assert plain.get("/v1/users/me")[1]["data"]["user_id"] == ACCOUNT_ID
