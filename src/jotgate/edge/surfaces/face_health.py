"""What a face says of itself: that it is there, and what is not set without which a part of it answers 503."""

from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.calls import Request
from jotgate.core.faces import Face
from jotgate.errors import JotgateError
from jotgate.gateway.headers import request_id_line
from jotgate.gateway.pipeline import Gateway
from jotgate.ports import Caller

_LINES: Final = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
_encode: Final = msgspec.json.Encoder().encode


class _Health(Struct, frozen=True, omit_defaults=True):
    status: str
    missing: tuple[str, ...] = ()
    reason: str = ""


def answer_live(face: Face, word: str, request: Request, caller: Caller) -> None:
    """Answer 200 with `{"status": word}`: this process is there. What is missing stands beside it, if anything is."""
    caller.respond(200, request_id_line(request.request_id) + _LINES, _encode(_Health(word, face.missing)))


def answer_ready(gateway: Gateway, face: Face, word: str, request: Request, caller: Caller) -> None:
    """The same, once calls may be let through and nothing is missing; else 503 with the reason."""
    lines = request_id_line(request.request_id) + _LINES
    try:
        gateway.fresh_world().of(face.name)
    except JotgateError as fault:
        caller.respond(503, lines, _encode(_Health("unavailable", face.missing, fault.code)))
        return
    if face.missing:
        caller.respond(503, lines, _encode(_Health("unavailable", face.missing)))
    else:
        caller.respond(200, lines, _encode(_Health(word)))
