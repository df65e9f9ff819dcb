"""The words, the framing and the chain of audit records, and what may not get into them."""

import base64
import hashlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.audit import (
    RECORD_BYTES_MAX,
    START_DIGEST,
    CallRecord,
    Charge,
    CloseRecord,
    EventRecord,
    Link,
    OpenRecord,
    StepUse,
    check_lines,
    digest_text,
    encode,
    encode_lines,
    frame,
    prefix,
    read_head,
    stated_digest,
)
from jotgate.core.opaque import OPAQUE_BYTES, Mark, make_opaque
from jotgate.core.values import Secret
from jotgate.errors import Evidence
from tests.audit_logs import START_US, call, close_line, full_call, full_event, open_line

TOKEN = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJlLWJ5dGVz"

# What stands in files that exist. A name may be added at an end; none may go, be renamed or change its meaning.
FINAL_FIELDS = {
    CallRecord: (
        "at worker row operation status outcome duration_us request_id peer model upstream subject client_id "
        "issuer token kid code stream tokens_in tokens_out bytes_in bytes_out refused policy charged actor steps face "
        "tool rule arguments result"
    ),
    EventRecord: "at event actor subject details",
    OpenRecord: "at format instance segment previous",
    CloseRecord: "at records reason",
    Charge: "tokens_in tokens_out cost overrun forgiven uncounted",
    StepUse: "step upstream model tokens_in tokens_out cost duration_us tries estimated repaired",
    Link: "file digest",
    Evidence: (
        "digest now_s size place alg kid typ iss exp nbf iat claim fault wanted got rules leeway_s keys kids "
        "jti ancestors actors"
    ),
}


@pytest.mark.parametrize("struct", FINAL_FIELDS, ids=lambda struct: struct.__name__)
def test_field_names_are_final(struct: type[msgspec.Struct]) -> None:
    final = FINAL_FIELDS[struct].split()
    assert struct.__struct_encode_fields__[: len(final)] == tuple(final)


@pytest.mark.parametrize(
    "struct", [CallRecord, Charge, StepUse, EventRecord, Evidence], ids=lambda struct: struct.__name__
)
def test_no_field_can_hold_a_secret(struct: type[msgspec.Struct]) -> None:
    """Plain text and numbers only, under names that a reader of this list has approved."""
    assert set(struct.__struct_fields__) <= set(FINAL_FIELDS[struct].split())
    assert not {"authorization", "credential", "key", "jwt", "secret", "password"} & set(struct.__struct_fields__)


def test_only_what_is_always_there_stands_in_a_short_row() -> None:
    assert encode(call(7)) == (
        b'{"kind":"call","at":%d,"worker":"aaaaaaaaaaaa","row":7,'
        b'"operation":"chat.completions","status":200,"outcome":"complete"}' % (START_US + 7)
    )


def test_every_field_of_a_row_comes_back() -> None:
    found = json.loads(encode(full_call()))
    assert found.pop("kind") == "call"
    assert found == {
        name: getattr(full_call(), name)
        for name in FINAL_FIELDS[CallRecord].split()
        if name not in ("refused", "charged", "actor", "steps", "face", "tool", "rule", "arguments", "result")
    }


def test_who_acts_comes_back() -> None:
    assert json.loads(encode(msgspec.structs.replace(call(1), actor="robot7")))["actor"] == "robot7"


def test_the_face_that_a_request_came_in_by_comes_back() -> None:
    assert json.loads(encode(msgspec.structs.replace(call(1), face="coze-proxy")))["face"] == "coze-proxy"


def test_the_tool_that_was_called_and_what_let_it_come_back() -> None:
    row = msgspec.structs.replace(call(1), tool="files:read_file", rule="mcp:files:read")
    assert json.loads(encode(row))["tool"] == "files:read_file"
    assert json.loads(encode(row))["rule"] == "mcp:files:read"


def test_the_steps_of_a_chain_come_back_in_order() -> None:
    steps = (StepUse("a", "up", "m", 1, 2, cost=0, duration_us=5), StepUse("b", tries=2, estimated=True))
    assert json.loads(encode(msgspec.structs.replace(call(1), steps=steps)))["steps"] == [
        {"step": "a", "upstream": "up", "model": "m", "tokens_in": 1, "tokens_out": 2, "cost": 0, "duration_us": 5},
        {"step": "b", "tries": 2, "estimated": True},
    ]


def test_what_is_known_of_a_refused_token_comes_back() -> None:
    known = Evidence(digest="d" * 64, now_s=1.5, claim="exp", got="1", exp=1.0, kids=("a",))
    found = json.loads(encode(msgspec.structs.replace(call(1), refused=known)))["refused"]
    assert found == {"digest": "d" * 64, "now_s": 1.5, "claim": "exp", "got": "1", "exp": 1.0, "kids": ["a"]}


@pytest.mark.parametrize("place", ["model", "subject", "request_id", "token", "actor"])
def test_a_token_never_gets_into_a_row(place: str) -> None:
    """Callers choose some of the text, and people paste tokens into the wrong place."""
    for text in (TOKEN, f"Bearer {TOKEN}", f"a{TOKEN}b", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9."):
        line = encode(msgspec.structs.replace(call(1), **{place: text}))
        assert b"eyJ" not in line
        assert b"(token)" in line
        assert json.loads(line)["row"] == 1


@pytest.mark.parametrize("mark", Mark)
def test_an_opaque_token_or_secret_never_gets_into_a_row_or_an_event(mark: Mark) -> None:
    secret = make_opaque(mark, bytes(range(OPAQUE_BYTES))).reveal()
    row = msgspec.structs.replace(call(1), model=f"Bearer {secret}", request_id=secret)
    event = encode(EventRecord(at=START_US, event="token.revoked", details={"jti": secret}))
    for line in (encode(row), encode_lines([call(2), row]), event):
        assert mark.encode() not in line
        assert b"(token)" in line


def test_what_only_begins_like_an_opaque_token_stays() -> None:
    line = encode(msgspec.structs.replace(call(1), model="jot_x_short jot_longer-than-any-token-of-ours"))
    assert json.loads(line)["model"] == "jot_x_short jot_longer-than-any-token-of-ours"


def test_a_token_never_gets_into_an_event() -> None:
    line = encode(EventRecord(at=START_US, event="token.issued", subject=TOKEN, details={"jti": TOKEN}))
    assert b"eyJ" not in line
    assert json.loads(line)["event"] == "token.issued"


def test_what_only_begins_like_a_token_stays() -> None:
    """One key name in some thousands holds these three letters."""
    line = encode(msgspec.structs.replace(call(1), kid="xeyJ0123456789"))
    assert json.loads(line)["kid"] == "xeyJ0123456789"


def test_an_escape_next_to_a_token_stays_an_escape() -> None:
    r"""`\u001e` ends in a letter with which a token could begin."""
    line = encode(msgspec.structs.replace(call(1), model="\x1eyJ012345678.abc \x1e" + TOKEN))
    assert json.loads(line)["model"] == "\x1eyJ012345678.abc \x1e(token)"


def test_a_secret_is_not_encoded() -> None:
    with pytest.raises(TypeError):
        encode(msgspec.structs.replace(call(1), subject=Secret("s3cret")))


@given(st.text(), st.text(max_size=50))
def test_any_text_gives_one_line_that_can_be_read(model: str, subject: str) -> None:
    line = encode(msgspec.structs.replace(call(3), model=model, subject=subject))
    check_lines([line])
    assert read_head(line).row == 3


def test_a_lone_surrogate_is_written_as_its_escape() -> None:
    line = encode(msgspec.structs.replace(call(1), model="a\ud800b"))
    assert json.loads(line)["model"] == "a\\ud800b"


@pytest.mark.parametrize("letter", ["x", "\x01", "é", "😀"])
def test_a_row_that_is_too_long_loses_text_and_nothing_else(letter: str) -> None:
    long = letter * 1_000_000
    texts = ("request_id", "peer", "model", "upstream", "subject", "client_id", "issuer", "token", "kid", "code")
    line = encode(msgspec.structs.replace(full_call(), **dict.fromkeys(texts, long)))
    assert len(line) <= RECORD_BYTES_MAX
    found = json.loads(line)
    assert found["model"] == letter * 127 + "…"
    assert (found["row"], found["bytes_out"]) == (1, 5_200)


def test_an_event_that_cannot_be_short_is_refused() -> None:
    with pytest.raises(ValueError, match="the limit is 16384"):
        encode(EventRecord(at=START_US, event="x", details={f"name{number}": "y" * 200 for number in range(500)}))


def test_the_chain_is_the_documented_formula() -> None:
    """Written out a second time with other functions, as docs/audit.md has it."""
    lines = [open_line(), encode(call(1)), encode(full_event())]
    framed, last = frame(lines, START_DIGEST)
    digest = b"\0" * 32
    expected = b""
    for line in lines:
        digest = hashlib.sha256(digest + line).digest()
        expected += base64.urlsafe_b64encode(digest).rstrip(b"=") + b" " + line + b"\n"
    assert (framed, last) == (expected, digest)


def test_a_batch_and_its_parts_give_the_same_chain() -> None:
    lines = [encode(call(row)) for row in range(1, 6)]
    whole, whole_digest = frame(lines, START_DIGEST)
    first, middle = frame(lines[:2], START_DIGEST)
    rest, last = frame(lines[2:], middle)
    assert (first + rest, last) == (whole, whole_digest)


@given(st.binary(min_size=32, max_size=32))
def test_a_stated_digest_comes_back(digest: bytes) -> None:
    assert stated_digest(prefix(digest) + b"{}") == digest
    assert digest_text(digest).encode() + b" " == prefix(digest)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"A" * 43,
        b"A" * 44,
        b"A" * 42 + b"  ",
        b"A" * 43 + b"={}",
        b"+" * 42 + b"A {}",
        b"A" * 42 + b"B {}",  # the last two bits are not zero
        b"\0" * 44,
        b" " * 44,
    ],
)
def test_only_the_canonical_form_of_a_digest_is_one(line: bytes) -> None:
    assert stated_digest(line) is None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b'{"kind":"call"}',
        b'{"kind":"checkpoint","at":1}',
        b'{"kind":"other","at":1}',
        open_line(),
        close_line(1),
        encode(call(1)) + b"\n",
        encode(call(1)) + b"\n" + encode(call(2)),
        encode(call(1))[:-1],
        b'{"kind":"call","at":1,"model":"' + b"x" * RECORD_BYTES_MAX + b'"}',
    ],
)
def test_a_line_that_would_spoil_a_segment_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="an audit record"):
        check_lines([encode(call(1)), line])


def test_calls_and_events_may_be_appended() -> None:
    check_lines([encode(full_call()), encode(full_event()), encode(call(2))])


@pytest.mark.parametrize("model", ["gpt", TOKEN, "\ud800", "x" * 2 * RECORD_BYTES_MAX, "x" * (RECORD_BYTES_MAX // 2)])
def test_several_records_are_encoded_as_each_of_them_is(model: str) -> None:
    records = [call(1), msgspec.structs.replace(call(2), model=model), full_call(), call(3)]
    lines = encode_lines(records).split(b"\n")
    assert lines == [encode(record) for record in records]
    assert encode_lines([*records, *records]).split(b"\n") == lines + lines
    check_lines(lines)
