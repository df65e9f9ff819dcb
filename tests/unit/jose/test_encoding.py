"""The strict decoders: what they take, what they refuse, and that the shortcut decides nothing by itself."""

import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from jotgate.errors import TokenMalformed
from jotgate.jose.encoding import (
    DEPTH_MAX,
    INTEGER_DIGITS_MAX,
    MEMBERS_MAX,
    b64url_decode,
    b64url_encode,
    encode_object,
    parse_object,
)


def fault(raw: bytes) -> str:
    """Why these bytes are no strict JSON object."""
    with pytest.raises(TokenMalformed) as caught:
        parse_object(raw, "thing")
    assert caught.value.message.startswith("the thing ")
    return caught.value.message.removeprefix("the thing ")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", b""),
        (b"\0", b"AA"),
        (b"\xfb\xff", b"-_8"),
        (b"\xff\xff\xff", b"____"),
        (b"any carnal pleas", b"YW55IGNhcm5hbCBwbGVhcw"),
    ],
)
def test_base64url_has_no_padding_and_two_characters_of_its_own(raw: bytes, text: bytes) -> None:
    assert b64url_encode(raw) == text
    assert b64url_decode(text) == raw


@pytest.mark.parametrize(
    "text", [b"A", b"AAAAA", b"AB", b"AAB", b"AA==", b"AAA=", b"+_8", b"-/8", b"A A", b"AA\n", b"\xff\xff"]
)
def test_base64url_with_a_second_form_is_refused(text: bytes) -> None:
    with pytest.raises(TokenMalformed):
        b64url_decode(text)


@pytest.mark.parametrize("place", range(5))
def test_base64url_has_64_characters_and_no_byte_beside_them_is_taken(place: int) -> None:
    taken = 0
    for byte in range(256):
        text = b"AAAAAA"[:place] + bytes((byte,)) + b"AAAAAA"[place + 1 :]
        try:
            assert b64url_encode(b64url_decode(text)) == text
        except TokenMalformed:
            continue
        taken += 1
    assert taken == 64


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"{}{}", "is not JSON"),
        (b"{}\0", "is not JSON"),
        (b"{'a':1}", "is not JSON"),
        (b'{"a":1,}', "is not JSON"),
        (b'{"a":01}', "is not JSON"),
        (b'{"a":+1}', "is not JSON"),
        (b'{"a":.5}', "is not JSON"),
        (b'{"a":"\t"}', "is not JSON"),
        (b'{"a":"\\x"}', "is not JSON"),
        (b'{"a":tru}', "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b'"a"', "is not a JSON object"),
        (b"1", "is not a JSON object"),
        (b"null", "is not a JSON object"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        (b'{"a":"\xff"}', "is not UTF-8 text"),
        (b'{"\xff":1}', "is not UTF-8 text"),
        (b'{"a":"\xed\xa0\x80"}', "is not UTF-8 text"),
        (b'{"a":"\xc0\xaf"}', "is not UTF-8 text"),
        ('{"a":1}'.encode("utf-16-le"), "is not JSON"),
        (b'{"a":"\\ud800"}', "is not UTF-8 text"),
        (b'{"\\udc00":1}', "is not UTF-8 text"),
        (b'{"a":[{"b":"\\udc00\\ud800"}]}', "is not UTF-8 text"),
        (b'{"a":1,"a":1}', "has a repeated member name"),
        (b'{"a":1,"\\u0061":2}', "has a repeated member name"),
        (b'{"a":{"b":[{"c":1,"c":2}]}}', "has a repeated member name"),
        (b'{"a":NaN}', "has a number that is not finite"),
        (b'{"a":[Infinity]}', "has a number that is not finite"),
        (b'{"a":-Infinity}', "has a number that is not finite"),
        (b'{"a":1e999}', "has a number that is not finite"),
        (b'{"a":{"b":-1e999}}', "has a number that is not finite"),
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(raw: bytes, reason: str) -> None:
    assert fault(raw) == reason


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b' \r\n\t{ "a" : 1 } ',
        b'{"a":[],"b":{},"c":null,"d":true,"e":false,"f":-0,"g":1.5,"h":1E5,"i":"\\u00e9\\n\\/"}',
        '{"é":"✓","emoji":"\\ud83d\\ude00"}'.encode(),
        b'{"a":5e-324,"b":1e-999,"c":18446744073709551615,"d":-9223372036854775808,"e":9007199254740993}',
        b'{"a":{"b":[{"c":[1,2,"{[{["]}]}}',
        b'{"exp":1790000000,"aud":["a","b"],"sub":"a\x7f"}',
    ],
)
def test_strict_json_is_read_as_everybody_reads_it(raw: bytes) -> None:
    assert parse_object(raw, "thing") == json.loads(raw)


@pytest.mark.parametrize("sign", [b"", b"-"])
def test_integers_have_a_bounded_number_of_digits(sign: bytes) -> None:
    longest = sign + b"9" * (INTEGER_DIGITS_MAX - len(sign))
    assert parse_object(b'{"a":' + longest + b"}", "thing") == {"a": int(longest)}
    for digits in (longest + b"9", longest + b"9" * 10_000):
        assert fault(b'{"a":' + digits + b"}") == "has an integer of more than 20 digits"
        assert fault(b'{"a":[{"b":' + digits + b"}]}") == "has an integer of more than 20 digits"


@pytest.mark.parametrize("value", [b"0", b'"x"', b"[1]"])
def test_an_object_has_a_bounded_number_of_members(value: bytes) -> None:
    names = [b'"%d":%s' % (number, value) for number in range(MEMBERS_MAX + 1)]
    assert len(parse_object(b"{" + b",".join(names[:-1]) + b"}", "thing")) == MEMBERS_MAX
    assert fault(b"{" + b",".join(names) + b"}") == "has more than 256 members in one object"


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_is_bounded_and_never_recurses_too_far(opening: bytes, closing: bytes) -> None:
    def nested(depth: int) -> bytes:
        return b'{"a":' + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}"

    parse_object(nested(DEPTH_MAX), "thing")
    parse_object(nested(DEPTH_MAX)[:-1] + b',"b":[],"c":{}}', "thing")  # more brackets, and no deeper
    for depth in (DEPTH_MAX + 1, sys.getrecursionlimit(), 100_000):
        assert fault(nested(depth)) == "is nested deeper than 32"
    assert fault(b'{"a":' + opening * 100_000) == "is nested deeper than 32"


@pytest.mark.parametrize("text", ["[" * 100, "{" * 100, '\\"[' * 100, "\\\\", '\\\\\\"{['])
def test_brackets_in_strings_do_not_nest(text: str) -> None:
    raw = b'{"a":"' + text.encode() + b'","b":[' + b",".join([b"{}"] * 50) + b"]}"
    assert parse_object(raw, "thing") == json.loads(raw)


def test_a_string_without_an_end_is_read_in_linear_time() -> None:
    for raw in (b'{"a":"' + b'\\"' * 100_000 + b"[" * 40, b'{"a":"' + b"\\" * 200_001 + b"[" * 40):
        assert fault(raw) in {"is not JSON", "is nested deeper than 32"}


@pytest.mark.parametrize(
    "members",
    [
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": "\ud800"},
        {"a": b"bytes"},
        {"a": ...},
        {"a": 10**20},
        {"a": [{1}]},
        {"a": datetime(2026, 1, 1, tzinfo=UTC)},
        {"a": Decimal(1)},
        {"a": UUID(int=1)},
    ],
    ids=str,
)
def test_what_has_no_strict_form_is_not_written(members: dict[str, object]) -> None:
    with pytest.raises(TokenMalformed, match="the thing "):
        encode_object(members, "thing")


def test_what_refers_to_itself_is_not_written() -> None:
    circle: dict[str, object] = {}
    circle["a"] = circle
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    for members in (circle, {"a": deep}):
        with pytest.raises(TokenMalformed):
            encode_object(members, "thing")


def test_what_is_written_is_compact_utf8() -> None:
    assert encode_object({"a": [1, "é"], "b": None}, "thing") == '{"a":[1,"é"],"b":null}'.encode()


def test_messages_repeat_nothing_of_the_input() -> None:
    for raw in (
        b'{"secret":secret}',
        b'{"secret":1,"secret":1}',
        b'"secret"',
        b'{"secret":"\xff"}',
        b'{"secret":1e999}',
    ):
        assert "secret" not in fault(raw)
    with pytest.raises(TokenMalformed) as caught:
        b64url_decode(b"secret!")
    assert "secret" not in caught.value.message
    assert caught.value.__cause__ is None
