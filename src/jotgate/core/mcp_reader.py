"""Reads JSON that MCP servers have written, which may be anything: what cannot be read is None, and nothing is raised.

A decoder raises more than its own error: for octets that are not UTF-8, and for what is nested too deep.
"""

import re
from typing import Final

import msgspec
from msgspec import Raw

from jotgate.core.calls import BODY_DEPTH_MAX, opens_beyond, require_shallow
from jotgate.errors import RequestMalformed

Members = dict[str, Raw]
_OUTCOMES: Final = ("result", "error")
_ID: Final = re.compile(rb'"id"\s*:\s*([0-9]{1,18})\b')
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises of what nobody can read."""
_decode_members: Final = msgspec.json.Decoder(Members).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_number: Final = msgspec.json.Decoder(int).decode
_decode_list: Final = msgspec.json.Decoder(list[object]).decode


def find_members(raw: bytes | Raw | None) -> Members | None:
    """The members of an object; None also where text anywhere in it is not UTF-8."""
    if raw is None:
        return None
    body = bytes(raw)
    try:
        if not body.isascii():
            str(body, "utf-8")
        return _decode_members(body)
    except UNREADABLE:
        return None


def find_text(raw: bytes | Raw | None) -> str | None:
    """A text."""
    try:
        return None if raw is None else _decode_text(raw)
    except UNREADABLE:
        return None


def find_number(raw: bytes | Raw | None) -> int | None:
    """A whole number."""
    try:
        return None if raw is None else _decode_number(raw)
    except UNREADABLE:
        return None


def find_list(raw: bytes | Raw | None) -> list[object] | None:
    """The items of a list, decoded as a whole, and so no deeper than what callers send may be."""
    if raw is None:
        return None
    body = bytes(raw)
    try:
        if opens_beyond(BODY_DEPTH_MAX, body):
            require_shallow(body)
        return _decode_list(body)
    except (*UNREADABLE, RequestMalformed):
        return None


def read_message_of_server(line: bytes) -> Members | None:
    """The members of a JSON-RPC message of MCP; None: it is none. Of `result` and `error` it has one, an object."""
    members = find_members(line)
    if members is None:
        return None
    members = {name: raw for name, raw in members.items() if name not in _OUTCOMES or bytes(raw) != b"null"}
    if sum(name in members for name in ("method", *_OUTCOMES)) != 1:
        return None
    whole = is_error(members["error"]) if "error" in members else bytes(members.get("result", b"{")).startswith(b"{")
    return members if whole else None


def is_error(raw: bytes | Raw) -> bool:
    """Whether this is the `error` of a JSON-RPC response: an object whose code is a whole number."""
    members = find_members(raw)
    return members is not None and find_number(members.get("code")) is not None


def find_identity(line: bytes) -> int | None:
    """The number that seems to be the `id` of a message that cannot be read; None: nothing seems to be.

    It stands outside of what the message holds: before the first object or list in it, or behind the last.
    """
    first = next((at for at in (line.find(b"{", 1), line.find(b"[", 1)) if at > 0), len(line))
    line = line.rstrip()
    last = max(line.rfind(b"}", 0, -1), line.rfind(b"]", 0, -1))
    found = _ID.search(line[:first]) or (_ID.search(line[last:]) if last > first else None)
    return None if found is None else int(found[1])
