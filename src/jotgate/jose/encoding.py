"""Strict base64url and strict JSON: the two decoders that every byte of a token goes through.

What one library reads in one way and the next in another is refused here: stray characters and tail bits in
base64url (RFC 4648 s3.5), repeated member names, numbers that are not finite, lone surrogates, bytes behind
the end. Messages never repeat the input, so that nothing of a token reaches a log.
"""

import re
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from json import JSONDecoder, dumps
from math import isfinite
from string import ascii_letters, digits
from typing import Annotated, Final, NoReturn, cast

from msgspec import Meta, ValidationError
from msgspec.json import Decoder, Encoder

from jotgate.errors import TokenMalformed

DEPTH_MAX: Final = 32
MEMBERS_MAX: Final = 256
INTEGER_DIGITS_MAX: Final = 20  # 2^64 has 20 digits; no claim needs more, and long ones cost quadratic time

_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
# What stands for nothing in base64url becomes `!`, which stands for nothing in base64 either.
_URL: Final = ascii_letters.encode() + digits.encode() + b"-_"
_FROM_URL: Final = bytes(b"+/!"[b"-_".find(code)] if code not in _URL[:-2] else code for code in range(256))
# By length modulo 4: the padding that base64 wants, and the last characters whose unused bits are zero (RFC 4648 s3.5).
_PADDING: Final = (b'"', b'"', b'=="', b'="')
_LAST: Final = (b"", b"", b"AQgw", b"AEIMQUYcgkosw048")
_STRING: Final = re.compile(r'"(?:[^"\\]+|\\.)*+"?', re.DOTALL)


def b64url_encode(raw: bytes) -> bytes:
    """Encode as base64url without padding (RFC 7515 s2)."""
    return b2a_base64(raw, newline=False).translate(_TO_URL).rstrip(b"=")


def b64url_decode(text: bytes) -> bytes:
    """Decode the one canonical base64url form of some bytes.

    Raises:
        TokenMalformed: a foreign character, padding, white space, an impossible length, or non-zero tail
            bits.
    """
    rest = len(text) % 4
    if rest and text[-1] not in _LAST[rest]:
        raise TokenMalformed("a part is not canonical base64url")
    try:
        return _decode_base64(b'"' + text.translate(_FROM_URL) + _PADDING[rest])
    except ValidationError:
        raise TokenMalformed("a part is not base64url without padding") from None


def parse_object(raw: bytes, what: str) -> dict[str, object]:
    """Read one JSON object (RFC 8259), and nothing that two parsers could read differently.

    `what` names the object in messages. Depth, members of one object and digits of an integer are bounded by
    `DEPTH_MAX`, `MEMBERS_MAX` and `INTEGER_DIGITS_MAX`.

    Raises:
        TokenMalformed: anything else than one strict JSON object in UTF-8.
    """
    try:
        found = _read_flat(raw)
        # Most objects come back byte for byte, and then no name can have been there twice, nor anything else that
        # the decoder forgives. This is a shortcut only: whatever does not come back is judged by the strict decoder.
        if _encode(found) == raw and len(found) <= MEMBERS_MAX:
            return found
    except ValueError:
        pass
    return _parse_strictly(raw, what)


def _parse_strictly(raw: bytes, what: str) -> dict[str, object]:
    try:
        text = raw.decode()
        # Brackets bound the depth; only a text with many of them needs the exact count.
        if raw.count(b"{") + raw.count(b"[") > DEPTH_MAX and _depth(text) > DEPTH_MAX:
            _refuse(f"is nested deeper than {DEPTH_MAX}")
        found: object = _DECODER.decode(text)
        if not isinstance(found, dict):
            _refuse("is not a JSON object")
        if b"\\u" in raw:
            dumps(found, ensure_ascii=False).encode()  # a lone surrogate has no UTF-8 form
    except UnicodeError:
        raise TokenMalformed(f"the {what} is not UTF-8 text") from None
    except _NotStrict as fault:
        raise TokenMalformed(f"the {what} {fault}") from None
    except ValueError:
        raise TokenMalformed(f"the {what} is not JSON") from None
    return found


def encode_object(members: Mapping[str, object], what: str) -> bytes:
    """Write one compact JSON object that `parse_object` reads.

    Raises:
        TokenMalformed: something in it has no strict JSON form.
    """
    return write_object(members, what)[0]


def write_object(members: Mapping[str, object], what: str) -> tuple[bytes, dict[str, object]]:
    """As `encode_object`; with the text comes what `parse_object` reads out of it."""
    try:
        raw = _encode(members)
        found = _read_flat(raw)
        # A flat object that comes back as it was given says what it should. Whatever does not is written strictly.
        if found == members and len(found) <= MEMBERS_MAX:
            return raw, found
    except (TypeError, ValueError, RecursionError):
        pass
    return _write_strictly(members, what)


def _write_strictly(members: Mapping[str, object], what: str) -> tuple[bytes, dict[str, object]]:
    try:
        raw = dumps(dict(members), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError):
        raise TokenMalformed(f"the {what} has a value without a JSON form") from None
    return raw, parse_object(raw, what)


class _NotStrict(ValueError):
    """JSON that some parser takes and this one does not; the text is ours and names the reason."""


def _refuse(reason: str) -> NoReturn:
    raise _NotStrict(reason)


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse("has a repeated member name")
    if len(pairs) > MEMBERS_MAX:
        _refuse(f"has more than {MEMBERS_MAX} members in one object")
    return found


def _integer(digits: str) -> int:
    if len(digits) > INTEGER_DIGITS_MAX:
        _refuse(f"has an integer of more than {INTEGER_DIGITS_MAX} digits")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        _refuse("has a number that is not finite")
    return number


def _constant(_name: str) -> NoReturn:
    _refuse("has a number that is not finite")


def _depth(text: str) -> int:
    """The deepest nesting up to which the decoder could recurse."""
    depth = deepest = 0
    for character in _STRING.sub("", text):
        if character in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "}]":
            depth -= 1
    return deepest


# Flat objects with numbers of usual size: here depth and digits need no count.
_FLAT: Final = dict[str, str | Annotated[int, Meta(ge=-(2**53), le=2**53)] | float | bool | list[str] | None]
_read_flat: Final = cast("Callable[[bytes], dict[str, object]]", Decoder(_FLAT).decode)
_encode: Final = Encoder().encode
# Base64 as it stands in JSON is read in a third of the time that `binascii` takes for it, and as strictly.
_decode_base64: Final = Decoder(bytes).decode
_DECODER: Final = JSONDecoder(
    object_pairs_hook=_members, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
