"""What is written down of calls of tools: their beginnings, and nothing that looks like a secret."""

import json

import pytest

from jotgate.core.payloads import PAYLOAD_CHARS_MAX, Payload, harmless

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "said",
    [
        {"password": "canary", "path": "/x"},
        {"path": "/x", "nested": [{"API-Key": ["canary", "canary"]}]},
        {"path": "/x", "headers": {"Authorization": "canary", "Set-Cookie": {"a": "canary"}}},
        {"path": "/x", "text": f"look: {JWT}"},
        {"path": "/x", "text": "curl -H 'Authorization: Bearer canary-0123'"},
        {"path": "/x", "content": [{"text": json.dumps({"client_secret": "canary", "more": 1})}]},
    ],
)
@pytest.mark.parametrize("size", [0, 20_000])
def test_secrets_are_left_out_of_what_is_whole_and_of_what_was_cut(said: object, size: int) -> None:
    raw = json.dumps([said, "x" * size]).encode()
    for text in (raw, b"event: message\ndata: " + raw + b"\n\n"):
        kept = harmless(text)
        assert "canary" not in kept
        assert "eyJ" not in kept
        assert len(kept) <= PAYLOAD_CHARS_MAX
    assert "/x" in harmless(raw) or '"password"' in harmless(raw)


def test_what_is_no_secret_is_kept_up_to_its_bound() -> None:
    assert harmless(b'{"path": "/a", "count": 3}') == '{"path":"/a","count":3}'
    assert harmless(b"") == ""
    assert harmless(b"\xff[") == "\ufffd["
    long = harmless(json.dumps({"text": "ä" * 5_000}).encode())
    assert (len(long), long[-1]) == (PAYLOAD_CHARS_MAX, "…")
    assert harmless(b"[" * 100_000).startswith("[[[")


def test_an_answer_is_kept_as_it_comes() -> None:
    payload = Payload(b'{"path":"/a"}')
    for piece in (b'{"result":', b'{"token":"cana', b'ry"}}', *[b"x" * 5_000] * 9):
        payload.feed(piece)
    assert payload.arguments == '{"path":"/a"}'
    assert payload.result.startswith('{"result":{"token":"(secret)"')
    assert len(payload.result) == PAYLOAD_CHARS_MAX
