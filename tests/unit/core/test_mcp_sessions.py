"""Sealed sessions: of use to the caller alone who began them, at that server."""

import pytest
from msgspec import Raw
from msgspec.structs import replace

from jotgate.core.lineage import Actor
from jotgate.core.mcp_sessions import SESSION_CHARS_MAX, Session, open_session, seal_session
from jotgate.core.principals import NOBODY
from jotgate.core.values import Secret
from jotgate.errors import Code, McpMalformed, McpSessionUnknown

_KEY = Secret("11" * 32)
_NONCE = bytes(range(12))
_ANN = replace(NOBODY, issuer="https://gw", subject="ann", client_id="app", token_id="1")
_SESSION = Session("2025-11-25", "theirs", Raw(b'{"name":"c"}'), Raw(b"{}"))
_TEXT = seal_session(_SESSION, _KEY, _NONCE, _ANN, "files")


def test_its_caller_opens_it_also_with_another_token() -> None:
    assert open_session(_TEXT, _KEY, _ANN, "files") == _SESSION
    assert open_session(_TEXT, _KEY, replace(_ANN, token_id="2"), "files") == _SESSION


@pytest.mark.parametrize(
    "changed",
    [
        {"subject": "bob"},
        {"issuer": "https://other"},
        {"client_id": "another"},
        {"subject": "annapp", "client_id": ""},
        {"actors": (Actor("agent"),)},
    ],
)
def test_nobody_else_opens_it(changed: dict[str, object]) -> None:
    with pytest.raises(McpSessionUnknown) as refused:
        open_session(_TEXT, _KEY, replace(_ANN, **changed), "files")
    assert (refused.value.code, refused.value.status) == (Code.MCP_SESSION_UNKNOWN, 404)


@pytest.mark.parametrize("text", [b"", b"x", b"a" * 40, _TEXT[:-2], _TEXT + b"A", _TEXT[:20] + b"AA" + _TEXT[22:]])
def test_what_was_changed_is_none(text: bytes) -> None:
    with pytest.raises(McpSessionUnknown):
        open_session(text, _KEY, _ANN, "files")


def test_it_is_of_one_server_and_one_installation() -> None:
    for key, server in ((_KEY, "other"), (_KEY, ""), (Secret("22" * 32), "files")):
        with pytest.raises(McpSessionUnknown):
            open_session(_TEXT, key, _ANN, server)


def test_it_shows_nothing_of_what_it_holds_and_stays_short() -> None:
    assert b"theirs" not in _TEXT
    with pytest.raises(McpMalformed):
        seal_session(replace(_SESSION, client=Raw(b'"' + b"x" * SESSION_CHARS_MAX + b'"')), _KEY, _NONCE, _ANN, "files")
