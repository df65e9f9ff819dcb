"""What a call can use at most is told from its body, and the body that is sent keeps to it."""

import json

import pytest

from jotgate.core.calls import read_body
from jotgate.core.metered_bodies import COUNT_MAX, Measure, measure, metered_body
from jotgate.core.routes import MeteringRules
from jotgate.errors import RequestMalformed

RULES = MeteringRules(output_ceiling=100, output_step=10, image_tokens=1_000, audio_tokens=5_000)
CHAT = "chat.completions"


def measured(operation: str = CHAT, /, **members: object) -> Measure:
    return measure(read_body(json.dumps({"model": "m", **members}).encode()), operation, RULES)


def sent(operation: str = CHAT, /, *, each: int | None = 7, **members: object) -> dict[str, object]:
    body = read_body(json.dumps({"model": "m", **members}).encode())
    found = metered_body(body, operation, each, "max_completion_tokens")
    assert json.loads(found.compact) == {name: json.loads(bytes(raw)) for name, raw in found.members.items()}
    assert (found.model, found.stream) == (body.model, body.stream)
    told = json.loads(found.compact)
    assert isinstance(told, dict)
    return told


@pytest.mark.parametrize("text", ["hello", "é ü", "中文", 'a "quoted" \\ text\n', "😀"])
def test_no_text_has_more_tokens_than_bytes(text: str) -> None:
    found = measured(messages=[{"role": "user", "content": text}])
    assert found.input_tokens >= len(text.encode())


def parts(*content: object) -> int:
    """What these parts count for beside an empty list of them."""
    empty = measured(messages=[{"role": "user", "content": []}]).input_tokens
    return measured(messages=[{"role": "user", "content": list(content)}]).input_tokens - empty


def beside(part: dict[str, object], data: str) -> int:
    """The bytes of a part but for its data."""
    return len(json.dumps(part)) - len(json.dumps(data))


def test_the_data_of_images_and_sound_counts_for_its_cap_and_all_else_for_its_bytes() -> None:
    picture, noise = "data:image/png;base64," + "A" * 50_000, "A" * 50_000
    image: dict[str, object] = {"type": "image_url", "image_url": {"url": picture, "detail": "low"}}
    sound: dict[str, object] = {"type": "input_audio", "input_audio": {"data": noise, "format": "wav"}}
    assert parts(image) == 1_000 + beside(image, picture)
    assert parts(sound) == 5_000 + beside(sound, noise)
    assert parts(image, sound) == parts(image) + parts(sound) + len(", ")
    assert 10 <= parts({"type": "text", "text": "0123456789"}) <= 50


def test_an_image_by_its_address_counts_like_any_other() -> None:
    image: dict[str, object] = {"type": "image_url", "image_url": {"url": "https://h/x.png"}}
    assert parts(image) == 1_000 + beside(image, "https://h/x.png")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "image": 0},
        {"type": "text", "x_audio": 0},
        {"image_url": 1},
        {"type": "image_url", "image_url": {"url": "data:,"}},
        {"type": "input_audio", "input_audio": {"data": ""}},
        {"type": "image_url", "input_audio": {"data": "A"}},
    ],
)
def test_no_word_in_a_part_takes_its_text_out_of_the_count(part: dict[str, object]) -> None:
    text = "word " * 10_000
    assert parts({**part, "text": text}) >= len(text)


@pytest.mark.parametrize(
    "part",
    [
        b'{"type":"image_url","image_url":{"url":"data:,"},"image_url":{"url":"%b"}}',
        b'{"type":"image_url","image_url":{"url":"%b"},"image_url":{"url":"data:,"}}',
        b'{"type":"image_url","image_url":{"url":"%b","url":"data:,"}}',
    ],
)
def test_of_members_that_stand_twice_one_alone_is_data(part: bytes) -> None:
    body = read_body(b'{"model":"m","messages":[{"content":[%b,%b]}]}' % ((part % (b"A" * 9_000),) * 2))
    assert measure(body, CHAT, RULES).input_tokens >= 2_000


def test_each_thing_in_a_part_that_nobody_knows_counts_for_the_larger_cap() -> None:
    assert parts({"type": "image_url", "image_url": [{"url": "data:,"}] * 500}) > 500 * 5_000
    assert parts({"image_url": {"url": "https://h/x.png"}}) > 5_000
    assert parts({"type": "input_image", "file_id": "f"}) > 5_000


@pytest.mark.parametrize("part", [{"type": "file", "file": {"file_id": "f"}}, {"type": "video_url", "video_url": {}}])
def test_what_nobody_knows_counts_for_the_larger_cap_and_its_bytes(part: object) -> None:
    assert parts(part) > 5_000


def test_a_name_that_is_written_in_another_way_is_the_same_name() -> None:
    part = b'{"type":"\\u0069mage_url","\\u0069mage_url":{"url":"https://h"}}'
    body = read_body(b'{"model":"m","messages":[{"role":"user","content":[' + part + b"]}]}")
    assert measure(body, CHAT, RULES).input_tokens >= 1_000


@pytest.mark.parametrize("messages", ["no list", [1, 2], [{"content": [1, "a", [2]]}], {"content": 1}])
def test_what_no_upstream_takes_counts_for_its_bytes(messages: object) -> None:
    body = read_body(json.dumps({"model": "m", "messages": messages}).encode())
    assert measured(messages=messages).input_tokens == len(body.compact)


def test_a_unary_call_has_the_ceiling_of_its_route_unless_it_says_its_own() -> None:
    assert measured().output_tokens == 100
    assert measured(max_tokens=5).output_tokens == 5
    assert measured(max_completion_tokens=500).output_tokens == 500
    assert measured(max_tokens=5, max_completion_tokens=7).output_tokens == 7
    assert measured(max_tokens=None).output_tokens == 100
    assert measured(max_tokens=-1).output_tokens == 100


def test_each_answer_has_the_ceiling() -> None:
    assert measured(n=3).output_tokens == 300
    assert measured(n=3, max_tokens=5).output_tokens == 15
    assert measured("completions", n=2, best_of=4, max_tokens=5).output_tokens == 20
    assert measured("completions", prompt=["a", "b", "c"], n=2, max_tokens=5).output_tokens == 30
    assert measured("completions", prompt=[[1, 2], [3]], max_tokens=5).output_tokens == 10
    assert measured("completions", prompt=[1, 2, 3], max_tokens=5).output_tokens == 5
    assert measured(n=10**9, max_tokens=10**30).output_tokens == COUNT_MAX


def test_a_completion_that_says_nothing_has_what_the_api_gives_it() -> None:
    assert measured("completions", prompt="a").output_tokens == 16
    assert sent("completions", each=16, prompt="a")["max_tokens"] == 16


def test_a_stream_has_no_ceiling_but_its_callers() -> None:
    assert measured(stream=True).output_tokens is None
    assert measured(stream=True, max_tokens=5, n=2).output_tokens == 10


def test_embeddings_make_no_output() -> None:
    found = measured("embeddings", input=[[1, 2, 3], [4]])
    assert (found.answers, found.output_tokens) == (0, 0)
    assert sent("embeddings", each=None, input="a") == {"model": "m", "input": "a"}


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "n"])
@pytest.mark.parametrize("value", ["5", [5], True, 1.5, {}])
def test_what_bounds_a_call_has_to_be_a_number(name: str, value: object) -> None:
    with pytest.raises(RequestMalformed, match=name) as refusal:
        measured(**{name: value})
    assert refusal.value.param == name


@pytest.mark.parametrize("options", ["x", [], {"include_usage": "yes"}])
def test_options_of_a_stream_that_cannot_be_read_are_refused(options: object) -> None:
    with pytest.raises(RequestMalformed, match="stream_options"):
        measured(stream=True, stream_options=options)


def test_the_ceiling_is_written_where_the_caller_has_none() -> None:
    assert sent() == {"model": "m", "max_completion_tokens": 7}
    assert sent(max_tokens=None) == {"model": "m", "max_tokens": None, "max_completion_tokens": 7}
    body = read_body(b'{"model":"m"}')
    assert json.loads(metered_body(body, CHAT, 7, "max_tokens").compact) == {"model": "m", "max_tokens": 7}


def test_the_callers_own_ceiling_stays_where_it_is_and_is_lowered_where_less_is_left() -> None:
    assert sent(max_tokens=5) == {"model": "m", "max_tokens": 5}
    assert sent(max_tokens=50) == {"model": "m", "max_tokens": 7}
    assert sent(max_tokens=50, max_completion_tokens=6) == {"model": "m", "max_tokens": 7, "max_completion_tokens": 6}
    assert sent("completions", max_tokens=50) == {"model": "m", "max_tokens": 7}


def test_a_ceiling_below_zero_is_not_sent_as_some_servers_take_it_for_none() -> None:
    assert sent(max_tokens=10, max_completion_tokens=-1) == {"model": "m", "max_tokens": 7}
    assert sent(max_tokens=-1) == {"model": "m", "max_completion_tokens": 7}
    assert sent(each=None, max_tokens=10, max_completion_tokens=-1) == {"model": "m", "max_tokens": 10}
    assert sent(each=None, max_tokens=-(10**30)) == {"model": "m"}


@pytest.mark.parametrize(
    ("options", "told", "asked"),
    [
        ({}, False, {"include_usage": True}),
        ({"stream_options": None}, False, {"include_usage": True}),
        ({"stream_options": {"include_usage": False, "x": 1}}, False, {"include_usage": True, "x": 1}),
        ({"stream_options": {"include_usage": True, "x": 1}}, True, {"include_usage": True, "x": 1}),
    ],
)
def test_a_stream_is_asked_for_its_usage(options: dict[str, object], told: bool, asked: object) -> None:
    assert measured(stream=True, **options).tells_usage is told
    assert sent(each=None, stream=True, **options) == {"model": "m", "stream": True, "stream_options": asked}


def test_a_body_that_needs_no_change_is_the_same_one() -> None:
    body = read_body(b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}')
    assert metered_body(body, CHAT, None, "max_tokens") is body
    assert metered_body(body, "embeddings", None, "max_tokens") is body
