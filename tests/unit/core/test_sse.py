"""Usage is read out of an answer while it passes, and whatever the answer is, the call goes on."""

import pytest

from jotgate.core.sse import UNKNOWN, StreamTap, UnaryTap, Usage, read_usage

_LINE_MAX = 65_536


def stream_usage(*pieces: bytes) -> Usage:
    tap = StreamTap()
    for piece in pieces:
        tap.feed(piece)
    return tap.usage()


def unary_usage(*pieces: bytes) -> Usage:
    tap = UnaryTap()
    for piece in pieces:
        tap.feed(piece)
    return tap.usage()


def event(text: bytes, end: bytes = b"\n\n") -> bytes:
    return b"data: " + text + end


def counted(prompt: int, completion: int) -> bytes:
    return b'{"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":9}}' % (prompt, completion)


def test_a_unary_answer_tells_its_usage_in_one_piece_or_several() -> None:
    text = counted(3, 5)
    assert unary_usage(text) == unary_usage(text[:20], text[20:21], b"", text[21:]) == Usage(3, 5)


def test_embeddings_tell_prompt_tokens_only() -> None:
    assert unary_usage(b'{"usage":{"prompt_tokens":8,"total_tokens":8}}') == Usage(8, None)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b'{"usage":null}',
        b'{"usage":7}',
        b'{"usage":{"prompt_tokens":"3"}}',
        b'{"usage":{"prompt_tokens":-3}}',
        b'{"usage":{"prompt_tokens":1.5}}',
        b'{"usage":{"prompt_tokens":true}}',
        b'{"usage":{"prompt_tokens":3}',
        b'["usage"]',
        b'"usage"',
        b'{"x":' + b"[" * 100_000 + b',"usage":',
        b"<html>usage</html>",
    ],
)
def test_an_answer_that_says_nothing_of_use_leaves_usage_unknown(text: bytes) -> None:
    assert read_usage(text) is UNKNOWN
    assert unary_usage(text) is UNKNOWN
    assert stream_usage(event(text)) is UNKNOWN


def test_a_number_of_any_length_cannot_fail_the_call() -> None:
    for digits in (20, 400, 5_000):
        read_usage(b'{"usage":{"prompt_tokens":' + b"9" * digits + b"}}")


def test_a_unary_answer_beyond_the_bound_is_not_kept() -> None:
    tap = UnaryTap()
    tap.feed(counted(3, 5))
    for _ in range(17):
        tap.feed(b" " * 1024 * 1024)
    tap.feed(counted(3, 5))
    assert tap.usage() is UNKNOWN
    assert tap._pieces == []


def test_a_stream_tells_its_usage_in_a_late_event() -> None:
    pieces = [event(b'{"choices":[{"delta":{"content":"a"}}],"usage":null}'), event(counted(3, 5)), event(b"[DONE]")]
    assert stream_usage(*pieces) == stream_usage(b"".join(pieces)) == Usage(3, 5)


def test_the_last_usage_of_a_stream_counts() -> None:
    assert stream_usage(event(counted(1, 1)), event(b'{"usage":null}'), event(counted(1, 2))) == Usage(1, 2)


def test_usage_is_known_as_soon_as_its_line_has_ended() -> None:
    tap = StreamTap()
    tap.feed(event(counted(3, 5), end=b""))
    assert tap.usage() is UNKNOWN
    tap.feed(b"\n")
    assert tap.usage() == Usage(3, 5)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_both_line_ends_in_use_are_understood(end: bytes) -> None:
    assert stream_usage(event(counted(3, 5), end)) == Usage(3, 5)


def test_no_space_is_needed_behind_the_colon() -> None:
    assert stream_usage(b"data:" + counted(3, 5) + b"\n") == Usage(3, 5)


@pytest.mark.parametrize("line", [b": %b\n", b"event: %b\n", b"xdata: %b\n", b" data: %b\n", b"%b\n"])
def test_only_data_lines_are_read(line: bytes) -> None:
    assert stream_usage(line % counted(3, 5)) is UNKNOWN


@pytest.mark.parametrize("length", [_LINE_MAX - 1, _LINE_MAX, _LINE_MAX + 1, _LINE_MAX + 100])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_very_long_line_is_read_or_not_whatever_its_pieces(length: int, end: bytes) -> None:
    text = counted(3, 5)
    carriage = len(end) - 1
    line = b"data: " + text + b" " * (length - 6 - len(text) - carriage) + end
    expected = Usage(3, 5) if length <= _LINE_MAX else UNKNOWN
    for cut in (0, 1, 100, _LINE_MAX - 1, _LINE_MAX, len(line) - 2, len(line) - 1, len(line)):
        assert stream_usage(line[:cut], line[cut:]) == expected, cut


def test_a_line_without_end_is_not_kept_and_the_next_line_is_read() -> None:
    tap = StreamTap()
    for _ in range(100):
        tap.feed(b"data: " + b"x" * _LINE_MAX)
        assert len(tap._open_line) <= _LINE_MAX
    tap.feed(b'"usage"\n' + event(counted(3, 5)))
    assert tap.usage() == Usage(3, 5)


def test_a_count_that_not_every_reader_of_json_can_hold_is_no_count() -> None:
    assert read_usage(b'{"usage":{"prompt_tokens":9007199254740992}}').prompt_tokens == 2**53
    assert read_usage(b'{"usage":{"prompt_tokens":9007199254740993}}') is UNKNOWN
