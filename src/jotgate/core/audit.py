"""Audit records: what a row says, and how rows are framed and chained into segment files.

A segment is text, one line a record: 43 characters of base64url, a space, a JSON object, a line feed. The
43 characters are the SHA-256 of the digest of the line before (32 bytes; zero bytes for the first line of a
file) followed by the bytes of the JSON object. The first record, `open`, holds the digest at the end of the
file before, so that the chain runs through all files. docs/audit.md has the whole format.

Framing, chain, file names and the names and meanings of the fields are final. A field may be added, with a
default.
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, Literal

import msgspec
from msgspec import Struct

from jotgate.core.misplaced import TOKEN_TEXT
from jotgate.errors import Evidence

FORMAT: Final = 1
RECORD_BYTES_MAX: Final = 16_384
PREFIX_BYTES: Final = 44  # the digest and the space
START_DIGEST: Final = bytes(32)

Kind = Literal["open", "call", "event", "checkpoint", "close"]
Outcome = Literal["complete", "refused", "torn", "caller_gone", "cancelled", "timeout", "failed", "cut"]

_TEXT_CHARS_MAX: Final = 128
# A compiled pattern finds a few bytes in half the time that `in` takes, and one of two in ten times that.
_finds_jwt_start: Final = re.compile(b"eyJ").search
_finds_opaque_start: Final = re.compile(b"jot_").search
# Base64 of 32 bytes ends in one "=", which becomes the space; the line feed that b2a_base64 adds is dropped.
_TO_PREFIX: Final = bytes.maketrans(b"+/=", b"-_ ")
_FROM_PREFIX: Final = bytes.maketrans(b"-_ ", b"+/=")


class Charge(Struct, frozen=True, omit_defaults=True, gc=False):
    """What a call was charged that a quota met.

    `tokens_in` and `tokens_out` are those charged, `cost` is in nanodollars. `overrun` are the tokens that it used
    beyond what it had reserved; they are charged too, unless it is `forgiven`. `uncounted`: nobody could say what was
    left of its quotas, and its route lets calls through then; nothing was charged.
    """

    tokens_in: int = 0
    tokens_out: int = 0
    cost: int = 0
    overrun: int = 0
    forgiven: bool = False
    uncounted: bool = False


class StepUse(Struct, frozen=True, omit_defaults=True, gc=False):
    """What one step of a chain has used, with all its tries.

    `model` is the upstream's name for it. `cost` is in nanodollars; None: nobody knows the price. `estimated`: an
    upstream did not say what it used, and no less than that is told. `repaired`: its output was asked for again.
    """

    step: str
    upstream: str = ""
    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost: int | None = None
    duration_us: int = 0
    tries: int = 1
    estimated: bool = False
    repaired: bool = False


class CallRecord(Struct, frozen=True, omit_defaults=True, gc=False, tag_field="kind", tag="call"):
    """One AI call, settled. It never holds a token, a key or any part of a prompt or an answer of a model.

    `at` is when the call began, in microseconds since the epoch (UTC). `worker` is the name of the worker
    instance and `row` counts its rows from 1: a pair that stands twice is the same row, sent again. `token`
    is the token's `jti`, `kid` the key that verified it. `code` is the refusal's or failure's code.
    `tokens_in` and `tokens_out` are the upstream's usage figures, None when it gave none; the byte counts are
    those of the bodies. `refused` is what is known of a token that was refused; what that token says is unverified.
    `policy` is the one that refused the call, or let it go on although what was revoked was not known. `charged` is
    what its quotas were charged; None: no quota met it, or it cost them nothing. `actor` is who acts by the token now,
    the `sub` in its `act` (RFC 8693 s4.1); empty: whom it speaks for, or nobody else who is named. `steps` are those of
    a chain that an upstream has seen, in order. `face` is the listener that it came in by; empty: the native one.
    `tool` is the tool of an MCP server that it calls, as `server:tool`, and `rule` the scope or policy that let it.
    `arguments` and `result` are the beginnings of what was said there, where that policy has them (`core.payloads`).
    """

    at: int
    worker: str
    row: int
    operation: str
    status: int
    outcome: Outcome
    duration_us: int = 0
    request_id: str = ""
    peer: str = ""
    model: str = ""
    upstream: str = ""
    subject: str = ""
    client_id: str = ""
    issuer: str = ""
    token: str = ""
    kid: str = ""
    code: str = ""
    stream: bool = False
    tokens_in: int | None = None
    tokens_out: int | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    refused: Evidence | None = None
    policy: str = ""
    charged: Charge | None = None
    actor: str = ""
    steps: tuple[StepUse, ...] = ()
    face: str = ""
    tool: str = ""
    rule: str = ""
    arguments: str = ""
    result: str = ""


class EventRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="event"):
    """Something that happened to the installation: `event` is a dotted name such as `token.issued`.

    `at` is in microseconds since the epoch (UTC). `actor` did it, `subject` is whom or what it was done to.
    """

    at: int
    event: str
    actor: str = ""
    subject: str = ""
    details: dict[str, str | int] = {}


class Link(Struct, frozen=True):
    """The segment file before, and the digest of its last good record (43 characters of base64url)."""

    file: str
    digest: str


class OpenRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="open"):
    """The first record of each segment. `segment` counts an instance's files from 1.

    `previous` is absent only in the first segment of a directory. It names the newest older file with a good
    record, of this instance or of an earlier one, so that a removed or truncated file is noticed.
    """

    at: int
    format: int
    instance: str
    segment: int
    previous: Link | None = None


class CloseRecord(Struct, frozen=True, kw_only=True, tag_field="kind", tag="close"):
    """The last record of a segment that was closed properly. `records` counts those before it."""

    at: int
    records: int
    reason: Literal["rotated", "stopped"]


class Head(Struct, frozen=True, gc=False):
    """The few fields of any record that its framing and its checks need; the rest is passed over."""

    kind: str
    at: int
    worker: str = ""
    row: int = 0


_CALL: Final = b'{"kind":"call",'
_CALL_BYTES: Final = len(_CALL)
_EVENT: Final = b'{"kind":"event",'
_EVENT_BYTES: Final = len(_EVENT)
_encoder: Final = msgspec.json.Encoder()
_head_decoder: Final = msgspec.json.Decoder(Head)
_open_decoder: Final = msgspec.json.Decoder(OpenRecord)


def encode(record: CallRecord | EventRecord | OpenRecord | CloseRecord) -> bytes:
    """The record as one JSON object without a line feed, of at most RECORD_BYTES_MAX bytes.

    Text that looks like a JWT, or like an opaque token or secret of jotgate, is replaced, and in a record that is too
    long each text is cut to 128 characters: callers choose some of it (a model name, a subject), and none may fill the
    log or put a token into it.

    Raises:
        ValueError: the record is too long even so, which only an event with very many details can be.
    """
    try:
        line = _encoder.encode(record)
    except UnicodeEncodeError:
        return _encode_harmless(record)
    if _may_hold_token(line) or len(line) > RECORD_BYTES_MAX:
        return _encode_harmless(record)
    return line


def encode_lines(records: Sequence[CallRecord]) -> bytes:
    """The records as `encode` writes each of them, joined by line feeds; at one go while none needs a closer look."""
    try:
        text = _encoder.encode_lines(records)[:-1]
    except UnicodeEncodeError:
        return b"\n".join(map(encode, records))
    # All of them together are mostly shorter than one may be.
    too_long = len(text) > RECORD_BYTES_MAX and max(map(len, text.split(b"\n"))) > RECORD_BYTES_MAX
    return b"\n".join(map(encode, records)) if too_long or _may_hold_token(text) else text


def _may_hold_token(text: bytes) -> bool:
    return _finds_jwt_start(text) is not None or _finds_opaque_start(text) is not None


def _encode_harmless(record: Struct) -> bytes:
    fields = msgspec.to_builtins(record)
    line = _encoder.encode(_harmless(fields, chars_max=RECORD_BYTES_MAX))
    if len(line) > RECORD_BYTES_MAX:
        line = _encoder.encode(_harmless(fields, chars_max=_TEXT_CHARS_MAX))
    if len(line) > RECORD_BYTES_MAX:
        raise ValueError(f"an audit record of {len(line)} bytes: the limit is {RECORD_BYTES_MAX}")
    return line


def _harmless(value: object, *, chars_max: int) -> object:
    if isinstance(value, dict):
        return {key: _harmless(member, chars_max=chars_max) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_harmless(member, chars_max=chars_max) for member in value]
    if not isinstance(value, str):
        return value
    # A lone surrogate has no UTF-8 form; it is shown as its escape.
    text = TOKEN_TEXT.sub("(token)", value.encode("utf-8", "backslashreplace").decode("utf-8"))
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"


def check_lines(lines: Sequence[bytes]) -> None:
    """Refuse lines that would spoil a segment: only whole `call` and `event` records may come from outside.

    Raises:
        ValueError: a line is not such a record, holds a line feed or is longer than RECORD_BYTES_MAX.
    """
    for line in lines:
        if len(line) > RECORD_BYTES_MAX or b"\n" in line:
            raise ValueError("an audit record is too long or holds a line feed")
        # `encode` puts the kind first; decoding each record here would cost more than chaining it.
        if (line[:_CALL_BYTES] != _CALL and line[:_EVENT_BYTES] != _EVENT) or line[-1:] != b"}":
            raise ValueError("an audit record is neither a 'call' nor an 'event' as encode() writes them")


def frame(lines: Iterable[bytes], digest: bytes) -> tuple[bytes, bytes]:
    """The encoded records as lines of a segment, chained to `digest` (32 bytes), and the last digest."""
    framed: list[bytes] = []
    for line in lines:
        digest = sha256(digest + line).digest()
        framed += (b2a_base64(digest).translate(_TO_PREFIX, b"\n"), line, b"\n")
    return b"".join(framed), digest


def prefix(digest: bytes) -> bytes:
    """The 44 bytes before the JSON object: the digest in base64url (RFC 4648 s5), unpadded, and a space."""
    return b2a_base64(digest).translate(_TO_PREFIX, b"\n")


def stated_digest(line: bytes) -> bytes | None:
    """The digest that a line states; None when it does not begin with a well-formed one."""
    stated = line[:PREFIX_BYTES]
    try:
        digest = a2b_base64(stated.translate(_FROM_PREFIX), strict_mode=True)
    except Base64Error:
        return None
    # The comparison refuses what decodes without being canonical, such as "+" for "-".
    return digest if len(digest) == len(START_DIGEST) and prefix(digest) == stated else None


def digest_text(digest: bytes) -> str:
    """The digest as it stands in a file: 43 characters of base64url."""
    return prefix(digest)[:-1].decode("ascii")


def read_head(line: bytes) -> Head:
    """The head of a JSON object. Raises msgspec.DecodeError, UnicodeDecodeError or RecursionError."""
    return _head_decoder.decode(line)


def read_open(line: bytes) -> OpenRecord:
    """The `open` record in a JSON object. Raises as `read_head` does."""
    return _open_decoder.decode(line)
