"""A body is sent on exactly as it was authorised, or refused."""

import json

import pytest

from jotgate.core.calls import BODY_DEPTH_MAX, read_body, write_body
from jotgate.errors import RequestMalformed


def refusal_of(raw: bytes) -> RequestMalformed:
    with pytest.raises(RequestMalformed) as caught:
        read_body(raw)
    assert caught.value.status == 400
    return caught.value


def test_the_members_that_decide_are_read() -> None:
    body = read_body(b'{"model":"m","stream":true,"messages":[]}')
    assert (body.model, body.stream) == ("m", True)
    assert list(body.members) == ["model", "stream", "messages"]


@pytest.mark.parametrize("stream", [b"", b',"stream":false', b',"stream":null'])
def test_a_body_without_the_stream_flag_asks_for_a_unary_answer(stream: bytes) -> None:
    assert read_body(b'{"model":"m"%b}' % stream).stream is False


@pytest.mark.parametrize("value", [b"1", b'"true"', b"[]", b"{}", b"0"])
def test_a_stream_flag_of_another_type_is_refused(value: bytes) -> None:
    assert refusal_of(b'{"model":"m","stream":%b}' % value).param == "stream"


@pytest.mark.parametrize("member", [b"", b'"model":null,', b'"model":"",', b'"model":7,', b'"model":["m"],'])
def test_a_body_names_its_model_in_a_string(member: bytes) -> None:
    assert refusal_of(b'{%b"x":1}' % member).param == "model"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b'"model"',
        b"{",
        b'{"model":"m"',
        b'{"model":"m"}}',
        b'{"model":"m"} x',
        b'{"model":"m",}',
        b"{'model':'m'}",
        b'{model:"m"}',
        b'{"model":"m","x":NaN}',
        b'{"model":"m","x":Infinity}',
        b'{"model":"m","x":01}',
        b'{"model":"m","x":1.}',
        b'{"model":"m","x":+1}',
        b'{"model":"m","x":[1,]}',
        b'{"model":"m","x":{1:2}}',
        b'{"model":"m","x":"\\q"}',
        b'{"model":"m","x":"a\nb"}',
        b'{"model":"m","x":"\\ud800"}',
        b'{"model":"m"/**/}',
        b'\xef\xbb\xbf{"model":"m"}',
        '{"model":"m"}'.encode("utf-16"),
    ],
)
def test_what_is_not_one_strict_json_object_is_refused(raw: bytes) -> None:
    assert "not a JSON object" in refusal_of(raw).message


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model":"\xff"}',
        b'{"model":"m","x":"\xc3("}',
        b'{"model":"m","x":["\xed\xa0\x80"]}',
        b'{"model":"m","\xc0\xaf":1}',
        b'{"model":"m","x":{"y":"\xf4\x90\x80\x80"}}',
    ],
)
def test_bytes_that_are_not_utf8_are_refused_wherever_they_stand(raw: bytes) -> None:
    assert "UTF-8" in refusal_of(raw).message


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model":"a","model":"a"}',
        b'{"model":"a","model":"b"}',
        b'{"model":"a","x":1,"model":"b"}',
        b'{"x":1,"model":"a","x":1}',
        b'{"model":"a","x":12,"x":1}',
        b'{"model":"a","x":1,"x":12}',
        b'{"x":12,"model":"a","x":1}',
        b'{"model":"a", "x":1 ,"x":\t1}',
        b'{"model":"a","\\u006dodel":"b"}',
        b'{"\\u006dodel":"a","model":"b"}',
        b'{"\\u006d\\u006fdel":"a","x":[{}],"mode\\u006c":"b"}',
        b'{"model":"a","/":1,"\\/":2}',
        b'{"model":"a","x":{"model":"b"},"x":{"model":"b"}}',
        b'{"model":"a","":1,"":2}',
        b'{"model":"a","x":"}","x":"}"}',
        b' {"model":"a","stream":false,"stream":true} ',
    ],
)
def test_a_member_that_stands_twice_is_refused_however_it_is_written(raw: bytes) -> None:
    assert "twice" in refusal_of(raw).message


def test_a_nested_member_that_stands_twice_decides_nothing_and_is_passed_on_as_it_is() -> None:
    raw = b'{"model":"m","tools":[{"a":1,"a":2}]}'
    assert read_body(raw).compact == raw


@pytest.mark.parametrize(
    ("raw", "compact"),
    [
        (b'{"model":"m"}', b'{"model":"m"}'),
        (b'\t\r\n {"model":"m"}\n', b'{"model":"m"}'),
        (b'{ "model" : "m" , "x" : [ 1 , 2 ] }', b'{"model":"m","x":[ 1 , 2 ]}'),
        (b'{"\\u006dodel":"\\u006d"}', b'{"model":"\\u006d"}'),
        (b'{"model":"m","\\/":"\\/"}', b'{"model":"m","/":"\\/"}'),
        (b'{"model":"m","x":1.50,"y":1E+2,"z":-0}', b'{"model":"m","x":1.50,"y":1E+2,"z":-0}'),
        ('{"model":"m","é":"ü"}'.encode(), '{"model":"m","é":"ü"}'.encode()),
        (b'{"model":"m","":{}}', b'{"model":"m","":{}}'),
    ],
)
def test_the_top_level_is_written_anew_and_the_values_stay_as_they_were(raw: bytes, compact: bytes) -> None:
    body = read_body(raw)
    assert body.compact == compact
    assert json.loads(body.compact) == json.loads(raw)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_a_body_may_be_64_levels_deep_and_no_deeper(opening: bytes, closing: bytes) -> None:
    def nested(levels: int) -> bytes:
        inner = levels - 1  # the body's own object is the first level
        return b'{"model":"m","x":' + opening * inner + b"0" + closing * inner + b',"y":[[],[]]}'

    assert read_body(nested(BODY_DEPTH_MAX)).model == "m"
    assert "64" in refusal_of(nested(BODY_DEPTH_MAX + 1)).message


def test_depth_is_not_breadth_and_not_what_stands_in_strings() -> None:
    wide = b'{"model":"m","x":[' + b"[[]]," * 500 + b"{}]}"
    quoted = b'{"model":"m","x":"' + b'[{\\"' * 500 + b'"}'
    assert read_body(wide).compact == wide
    assert read_body(quoted).compact == quoted


def test_a_body_too_deep_for_the_decoder_itself_is_refused() -> None:
    refusal_of(b'{"model":"m","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def test_an_upstreams_own_name_takes_the_place_of_the_alias() -> None:
    body = read_body(b'{"messages":[], "model":"alias", "n":1}')
    assert write_body(body, 'its "own" name/7') == b'{"messages":[],"model":"its \\"own\\" name/7","n":1}'


def test_a_body_is_sent_in_its_compact_form_when_nothing_changes() -> None:
    body = read_body(b'{"model": "m", "n": 1}')
    assert write_body(body, "m") == b'{"model":"m","n":1}'


@pytest.mark.parametrize("value", [b"true", b"false", b"null", b'"yes"', b"{}"])
@pytest.mark.parametrize("model", ["m", "other"])
def test_store_is_forced_to_false(value: bytes, model: str) -> None:
    body = read_body(b'{"store":%b,"model":"m"}' % value)
    assert json.loads(write_body(body, model)) == {"store": False, "model": model}


def test_store_is_not_added_to_a_body_that_does_not_speak_of_it() -> None:
    assert b"store" not in write_body(read_body(b'{"model":"m"}'), "other")
