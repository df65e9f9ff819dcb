"""What is charged where an upstream does not say: bytes are tokens, images and sound what their route says."""

import json
from typing import Any

import pytest

from jotgate.core.realtime import read_client, read_server
from jotgate.core.responses_socket import read_client as read_responses_client
from jotgate.core.routes import MeteringRules
from jotgate.core.socket_counts import SocketCount

RULES = MeteringRules(image_tokens=100, audio_tokens=1_000)
DONE = read_server(b'{"type":"response.done","response":{"id":"a"}}')
MOST = 1_000


def said(**members: Any) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode()


def counted(*events: bytes, most: int = MOST) -> tuple[int, int]:
    count = SocketCount(RULES)
    for one in events:
        kind = json.loads(one)["type"]
        if kind.startswith("response.") and kind != "response.create":
            count.say(read_server(one))
        else:
            count.ask(read_client(one))
    return count.end(DONE, most)


def test_text_is_its_bytes_and_begins_anew_with_each_response() -> None:
    asked = said(type="conversation.item.create", item={"content": [{"type": "input_text", "text": "é" * 10}]})
    count = SocketCount(RULES)
    count.ask(read_client(asked))
    count.say(read_server(b'{"type":"response.output_text.delta","delta":"four"}'))
    count.say(read_server(b'{"type":"response.function_call_arguments.delta","delta":"{}"}'))
    count.say(read_server(b'{"type":"rate_limits.updated","rate_limits":[]}'))
    assert count.end(DONE, MOST) == (len(asked), 6)
    assert count.end(DONE, MOST) == (0, 0)


@pytest.mark.parametrize(
    ("part", "tokens", "data"),
    [
        ({"type": "input_image", "image_url": "data:" + "A" * 5_000}, 100, 5_005),
        ({"type": "input_audio", "audio": "A" * 9_000}, 1_000, 9_000),
        ({"type": "input_audio", "input_audio": {"data": "A" * 70, "format": "wav"}}, 1_000, 70),
        ({"type": "input_audio"}, 1_000, 0),
    ],
)
def test_images_and_sound_count_for_what_their_route_says(part: dict[str, Any], tokens: int, data: int) -> None:
    item = said(type="conversation.item.create", item={"content": [part]})
    assert counted(item) == (len(item) - data + tokens, 0)
    whole = said(type="response.create", input=[{"role": "user", "content": [part, part]}])
    count = SocketCount(RULES)
    count.ask(read_responses_client(whole))
    assert count.end(DONE, MOST)[0] == len(whole) + 2 * (tokens - data)


def test_sound_that_comes_in_pieces_is_one_until_it_is_committed_or_answered() -> None:
    piece, commit = said(type="input_audio_buffer.append", audio="A" * 500), said(type="input_audio_buffer.commit")
    assert counted(piece, piece, piece) == (1_000, 0)
    assert counted(piece, commit, piece, piece, commit, commit) == (2_000, 0)
    assert counted(piece, said(type="input_audio_buffer.clear"))[0] == 0


def test_output_is_bounded_by_its_ceiling_as_far_as_it_can_be() -> None:
    text, sound = (said(type=f"response.{kind}.delta", delta="A" * 2_000) for kind in ("output_text", "output_audio"))
    transcript = said(type="response.output_audio_transcript.delta", delta="A" * 20)
    assert counted(text, most=100) == (0, 500)
    assert counted(text, most=10_000) == (0, 2_000)
    assert counted(sound, transcript, most=100) == (0, 100)


def test_a_response_that_was_said_at_once_is_its_output() -> None:
    output = [{"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}]
    done = read_server(said(type="response.completed", response={"id": "a", "output": output}))
    assert SocketCount(RULES).end(done, MOST) == (0, len(said(output=output)) - len('{"output":}'))


@pytest.mark.parametrize("usage", [b"7", b'{"input_tokens":"many"}', b'{"output_tokens":1.5}', b"null"])
def test_usage_that_nobody_can_read_is_none(usage: bytes) -> None:
    event = read_server(b'{"type":"response.done","response":{"id":"a","usage":%b}}' % usage)
    assert (event.type, event.used) == ("response.done", None)
