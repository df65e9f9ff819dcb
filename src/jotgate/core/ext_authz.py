"""Envoy's ext_authz over gRPC as messages (envoy.service.auth.v3): the few fields of them that a decision needs.

They are Protocol Buffers, whose encoding is some numbers and lengths: a message is read here field by field, unknown
ones are passed over as the format has it, and what does not add up is refused. So no generated code has to be loaded.
"""

from base64 import b64decode
from typing import Final
from urllib.parse import unquote_to_bytes

from jotgate.core.decision_questions import read_host
from jotgate.core.decisions import IDENTITY_FIELDS, Asked
from jotgate.errors import RequestMalformed

METHOD: Final = "/envoy.service.auth.v3.Authorization/Check"

# The numbers of fields, by message: envoy/service/auth/v3/{external_auth,attribute_context}.proto and those beside.
_ATTRIBUTES: Final = 1  # of CheckRequest
_SOURCE, _REQUEST = 1, 4  # of AttributeContext
_ADDRESS, _CERTIFICATE = 1, 5  # of AttributeContext.Peer
_SOCKET_ADDRESS: Final = 1  # of Address
_HOST_ADDRESS: Final = 2  # of SocketAddress
_HTTP: Final = 2  # of AttributeContext.Request
_METHOD, _HEADERS, _PATH, _HOST, _HEADER_MAP = 2, 3, 4, 5, 13  # of AttributeContext.HttpRequest
_ENTRIES: Final = 1  # of HeaderMap
_KEY, _VALUE, _RAW_VALUE = 1, 2, 3  # of HeaderValue, and of an entry of a map

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_WIDTHS: Final = {_FIXED_64: 8, _FIXED_32: 4}
_VARINT_BYTES_MAX: Final = 10
_FIELDS_MAX: Final = 1_000
_MORE: Final = 0x80

_OVERWRITE: Final = b"\x18\x02"  # HeaderValueOption.append_action: OVERWRITE_IF_EXISTS_OR_ADD
_DENIED: Final = b"\x0a\x02\x08\x07"  # CheckResponse.status: PERMISSION_DENIED
_OK: Final = 200
_TOLD: Final = frozenset(name.encode("ascii") for name in IDENTITY_FIELDS)
_ARMOUR: Final = b"-----"


def read_check(message: bytes) -> Asked:
    """What Envoy asks about. Raises RequestMalformed: it is no such message, or does not say."""
    attributes = _only(message, _ATTRIBUTES)
    source = http = b""
    for number, value in _fields(attributes):
        if number == _SOURCE:
            source = value
        elif number == _REQUEST:
            http = _only(value, _HTTP)
    address, certificate = _read_source(source)
    fields = _fields(http)
    found = {number: value for number, value in fields if number != _HEADERS}
    method, path, host = (found.get(number, b"") for number in (_METHOD, _PATH, _HOST))
    headers: dict[bytes, bytes] = {}
    for number, value in fields:
        if number == _HEADERS:
            _add(headers, value)
    _add_all(headers, found.get(_HEADER_MAP, b""))
    if not (method and path and address):
        raise RequestMalformed("Envoy does not say the method, the path or the caller's address of what it asks about")
    target, _, query = path.partition(b"?")
    return Asked(
        method=method,
        path=target,
        query=query,
        headers=headers,
        address=address.decode("latin-1"),
        host=read_host(host),
        certificate=certificate,
    )


def write_check(status: int, lines: bytes, body: bytes) -> bytes:
    """The answer to Envoy that an answer over HTTP means: `lines` are its header lines, each with its CRLF.

    Where the request may pass, the upstream is told who calls, and of that nothing that a caller wrote stays.
    """
    fields = [line.partition(b":")[::2] for line in lines.split(b"\r\n") if line]
    if status == _OK:
        told = [(name, value.strip()) for name, value in fields if name in _TOLD]
        written = b"".join(_option(name, value) for name, value in told if value)
        removed = b"".join(_field(5, name.lower()) for name, value in told if not value)
        return _field(1, b"") + _field(3, written + removed)
    answered = b"".join(_option(name, value.strip()) for name, value in fields)
    denied = _field(1, b"\x08" + _varint(status)) + answered + _field(3, body)
    return _DENIED + _field(2, denied)


def _read_source(source: bytes) -> tuple[bytes, bytes]:
    """The address of the caller, and the certificate that it showed, in DER."""
    address = certificate = b""
    for number, value in _fields(source):
        if number == _ADDRESS:
            address = _only(_only(value, _SOCKET_ADDRESS), _HOST_ADDRESS)
        elif number == _CERTIFICATE:
            certificate = _read_certificate(value)
    return address, certificate


def _read_certificate(value: bytes) -> bytes:
    """The first certificate of a text in PEM whose signs are percent-encoded, in DER."""
    if not value:
        return b""
    parts = unquote_to_bytes(value).split(_ARMOUR)
    try:
        return b64decode(b"".join(parts[2].split()), validate=True)
    except (IndexError, ValueError):
        raise RequestMalformed("the certificate of the caller is none in PEM") from None


def _add(headers: dict[bytes, bytes], entry: bytes) -> None:
    """Take in a header field. One that stands twice is two values of one field (RFC 9110 s5.2)."""
    key = value = b""
    for number, found in _fields(entry):
        if number == _KEY:
            key = found.lower()
        elif number in {_VALUE, _RAW_VALUE}:
            value = found or value
    if key[:1] != b":":  # What HTTP/2 has of the first line stands in fields of its own.
        headers[key] = headers[key] + b", " + value if key in headers else value


def _add_all(headers: dict[bytes, bytes], header_map: bytes) -> None:
    """Take in those of a HeaderMap."""
    for number, entry in _fields(header_map):
        if number == _ENTRIES:
            _add(headers, entry)


def _only(message: bytes, wanted: int) -> bytes:
    """The field of this number, empty where there is none; of several the last one counts."""
    found = b""
    for number, value in _fields(message):
        if number == wanted:
            found = value
    return found


def _fields(message: bytes) -> list[tuple[int, bytes]]:
    """The fields of a message that are bytes, by their numbers; numbers are passed over. Raises RequestMalformed."""
    found: list[tuple[int, bytes]] = []
    position, end = 0, len(message)
    while position < end:
        tag = message[position]
        if tag < _MORE:  # As nearly always: a number below 16.
            position += 1
        else:
            tag, position = _read_varint(message, position)
        if tag & 7 == _BYTES and tag > _BYTES:
            start, stop = _span(message, position)
            found.append((tag >> 3, message[start:stop]))
            position = stop
        else:
            position = _pass_over(message, position, tag)
    if position > end or len(found) > _FIELDS_MAX:
        raise _malformed()
    return found


def _span(message: bytes, position: int) -> tuple[int, int]:
    """Where bytes stand whose length is written here."""
    if position < len(message) and message[position] < _MORE:
        start = position + 1
        stop = start + message[position]
    else:
        length, start = _read_varint(message, position)
        stop = start + length
    if stop > len(message):
        raise _malformed()
    return start, stop


def _pass_over(message: bytes, position: int, tag: int) -> int:
    """Where a field ends that is a number."""
    kind = tag & 7
    if tag >> 3 and kind == _VARINT:
        return _read_varint(message, position)[1]
    if tag >> 3 and kind in _WIDTHS:
        return position + _WIDTHS[kind]
    raise _malformed()


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    """A number in base 128, the lowest digits first, and where it ends."""
    found = shift = 0
    for index in range(position, min(position + _VARINT_BYTES_MAX, len(message))):
        octet = message[index]
        found |= (octet & (_MORE - 1)) << shift
        if octet < _MORE:
            return found, index + 1
        shift += 7
    raise _malformed()


def _varint(number: int) -> bytes:
    found = bytearray()
    while number >= _MORE:
        found.append(number & (_MORE - 1) | _MORE)
        number >>= 7
    found.append(number)
    return bytes(found)


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _option(name: bytes, value: bytes) -> bytes:
    """A header field that takes the place of those of its name, as both answers have it in field 2."""
    return _field(2, _field(1, _field(_KEY, name) + _field(_VALUE, value)) + _OVERWRITE)


def _malformed() -> RequestMalformed:
    return RequestMalformed("what was asked over gRPC is no envoy.service.auth.v3.CheckRequest")
