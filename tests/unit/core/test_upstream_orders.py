"""What is ordered and told of upstreams' credentials: what lacks, and nothing secret."""

from typing import Final

import msgspec
import pytest

from jotgate.core.config import UpstreamEntry
from jotgate.core.oauth_entries import OAuthEntry
from jotgate.core.upstream_orders import (
    CredentialKind,
    LoginView,
    TokensView,
    UpstreamAnswer,
    UpstreamOrder,
    UpstreamView,
    credential_of,
    is_configured,
    names_of,
)
from jotgate.errors import CommandError

LOGIN: Final = LoginView("app", "https://t.example", False, 1, 2, 3, None)
TOKENS: Final = TokensView(sessions=1, is_valid=True, expires_in_s=60, obtained=2, failed=0)


def entry(**given: object) -> UpstreamEntry:
    base = {"name": "a", "kind": "openai", "base_url": "https://u.example/v1", "models": ["m"]}
    return msgspec.convert(base | given, UpstreamEntry)


def logging_in(**given: object) -> dict[str, object]:
    return {"grant": "refresh-token", "client_id": "app", **given}


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, "none"),
        ({"credential_env": "KEY"}, "key"),
        ({"credential_file": "key"}, "key"),
        ({"credential_env": "KEY", "other_credential_env": "OTHER"}, "two keys"),
        ({"oauth": {"grant": "coze", "client_id": "app"}}, "coze"),
        ({"oauth": logging_in()}, "refresh-token"),
    ],
)
def test_the_kind_of_a_credential_is_what_the_settings_say(given: dict[str, object], kind: CredentialKind) -> None:
    assert credential_of(entry(**given)) == kind


def test_somebody_logs_in_where_the_settings_name_no_refresh_token() -> None:
    entries = [
        entry(name="a", oauth=logging_in()),
        entry(name="b", oauth=logging_in(refresh_token_env="R")),
        entry(name="c", oauth=logging_in(refresh_token_file="r")),
        entry(name="d", oauth={"grant": "coze", "client_id": "app"}),
        entry(name="e"),
    ]
    assert names_of(entries) == ["a"]
    assert [is_configured(one) for one in entries] == [False, True, True, False, False]


def test_an_order_does_not_show_its_token_and_has_one_only_to_log_in() -> None:
    order = UpstreamOrder(action="log-in", upstream="a", refresh_token="very-secret")
    assert repr(order) == "UpstreamOrder(log-in)"
    for wrong in (
        {"action": "log-in"},
        {"action": "list", "refresh_token": "x"},
        {"action": "log-in", "refresh_token": "two words"},
        {"action": "log-in", "refresh_token": "line\n"},
        {"action": "log-in", "refresh_token": "x" * 8_193},
        {"action": "log-in", "refresh_token": "\u2603"},
    ):
        with pytest.raises((CommandError, msgspec.ValidationError)):
            msgspec.convert(wrong, UpstreamOrder)
    assert OAuthEntry.__struct_fields__, "what an order names is that table's"


def test_what_lacks_is_told() -> None:
    bare = UpstreamView(name="a", credential="refresh-token")
    assert bare.lack == "nobody has logged in"
    replace = msgspec.structs.replace
    assert replace(bare, login=LOGIN).lack == ""
    assert replace(bare, login=replace(LOGIN, fault="it has ended")).lack == "it has ended"
    assert replace(bare, login=replace(LOGIN, configured=True)).lack == "nobody has logged in"
    assert replace(bare, configured=True).lack == ""
    for credential in ("none", "key", "two keys", "coze"):
        assert replace(bare, credential=credential).lack == ""
    failing = replace(TOKENS, fault="refused")
    assert replace(bare, credential="coze", tokens=failing).lack == "", "its token is good still"
    assert replace(bare, credential="coze", tokens=replace(failing, is_valid=False)).lack == "refused"


def test_an_answer_finds_by_name() -> None:
    answer = UpstreamAnswer([UpstreamView(name="a"), UpstreamView(name="b")])
    assert answer.find("b") == UpstreamView(name="b")
    assert answer.find("c") is None
