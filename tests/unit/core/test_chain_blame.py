"""An upstream's refusal of a step is the caller's fault where it names what the caller sent, and else is not."""

import json

import pytest

from jotgate.core.chain_blame import blamed

PASSED_ON = ("temperature", "tools", "seed")


def said(**members: object) -> bytes:
    return json.dumps({"error": {"message": "no", "type": "invalid_request_error", **members}}).encode()


@pytest.mark.parametrize(
    ("refusal", "name"),
    [
        (said(param="temperature"), "temperature"),
        (said(param="tools[0].function.name"), "tools"),
        (said(param="tools.0.function"), "tools"),
        (said(param="max_tokens"), ""),
        (said(param="model"), ""),
        (said(param="top_p", message="temperature and top_p do not go together"), ""),
        (said(param=None, message="temperature must be non-negative, got -1"), "temperature"),
        (said(message="Input tag 'x' in tools: expected function"), "tools"),
        (said(message="the temperatures are wrong"), ""),
        (said(param=7), ""),
        (said(param="messages"), "messages"),
        (said(param="messages[0].content"), ""),
        (said(param="messages[1].content"), "messages"),
        (said(param="messages.[3].content"), "messages"),
        (said(param="messages[4]"), ""),
        (b"", ""),
        (b"no json about temperature", ""),
        (b'{"error":"temperature"}', ""),
        (b"\xff", ""),
    ],
)
def test_who_is_to_blame(refusal: bytes, name: str) -> None:
    assert blamed(refusal, PASSED_ON, 3) == name


def test_without_members_of_the_caller_its_messages_alone_can_be_at_fault() -> None:
    assert blamed(said(param="temperature"), (), 1) == ""
    assert blamed(said(message="temperature"), (), 1) == ""
    assert blamed(said(param="messages[1].role"), (), 1) == "messages"
