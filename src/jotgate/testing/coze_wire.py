"""How Coze's stand-in reads requests and words its answers: the envelope, codes with their statuses, event streams."""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Final, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from jotgate.testing.coze_values import Fault
from jotgate.testing.upstream import Answer, End, Gate, Pause, Received, Step, unary

CHAT_PATH: Final = "/v3/chat"
TOKEN_REFUSED: Final = 4101
TOKEN_INVALID: Final = 700012006

MESSAGES: Final[Mapping[int, str]] = {
    4000: "Request parameter error",
    4001: "Invalid chat. Please check if the ID is correct.",
    4002: "Invalid conversation. Please check if the ID is correct.",
    4003: "Invalid meta data.",
    4004: "Invalid additional messages.",
    4005: "Invalid message. Please check if the ID is correct.",
    4006: "Invalid bot. Please check if the ID is correct.",
    4007: "When stream is false, auto_save_history must be true.",
    4008: "The daily quota of this user is used up.",
    4009: "The system's limit is reached.",
    4010: "The prompt is too long.",
    4011: "The balance does not suffice.",
    4012: "The model is not valid.",
    4013: "The model is rate limited.",
    4014: "The bot cannot answer.",
    4015: "The bot is not published to the channel Agent As API.",
    4016: "The conversation has a chat in progress.",
    4019: "The account is in arrears.",
    4020: "Too many requests per minute.",
    4021: "The workflow is not configured.",
    4022: "The account is in arrears.",
    4100: "authentication is invalid",
    4101: "The token you entered is incorrect. Please double-check and try again.",
    4102: "Refused by risk control.",
    4104: "The chat cannot be canceled.",
    4105: "The content is sensitive.",
    4200: "Requested resource does not exist.",
    **dict.fromkeys(range(4300, 4305), "The file is not valid."),
    4314: "The execution record does not exist.",
    4315: "The execution has ended.",
    5000: "Internal error.",
    6003: "Asynchronous runs are not part of this plan.",
    TOKEN_INVALID: "access token invalid",
}
"""Words of our own; Coze's are a client's to show and never to match."""

STATUSES: Final[Mapping[int, int]] = {
    4000: 400,
    4008: 429,
    4009: 429,
    4013: 429,
    4020: 429,
    4100: 401,
    4101: 403,
    4200: 404,
    5000: 500,
    TOKEN_INVALID: 401,
}
"""Where it is not 200. Coze says its codes with many statuses: those that were seen or that its SDKs map stand here."""

LOG_ID: Final = "2026" + sha256(b"stand-in").hexdigest()[:28].upper()
"""The ID that every answer is logged by."""
_LOG_LINE: Final = b"X-Tt-Logid: " + LOG_ID.encode("ascii")
_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
    + _LOG_LINE
    + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_Body = TypeVar("_Body")


class Refused(Exception):
    """A refusal in the envelope. `status` None is the one of the code."""

    def __init__(self, code: int, message: str = "", status: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.message = message or MESSAGES.get(code, "failed")
        self.status = status


class Ask(Struct, frozen=True):
    """A request as it is read: `query` and `headers` by name, these in lower case; `fault` is what goes wrong in it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes
    fault: Fault | None = None

    @property
    def bearer(self) -> str:
        """The token of its Authorization line; empty without one."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if kind.lower() == "bearer" else ""

    @property
    def base_path(self) -> str:
        """The path with each part of digits as `{}`."""
        return "/".join("{}" if part.isdecimal() and part else part for part in self.path.split("/"))

    def numbers(self) -> list[str]:
        """The parts of the path that are digits."""
        return [part for part in self.path.split("/") if part.isdecimal()]

    def body(self, kind: type[_Body]) -> _Body:
        """The body as such a value. Raises Refused (4000) for one that is not."""
        try:
            return msgspec.json.decode(self.raw or b"{}", type=kind)
        except msgspec.DecodeError as error:
            raise Refused(4000, f"Request parameter error: {error}") from error

    def needed(self, name: str) -> str:
        """A query parameter. Raises Refused (4000) without it."""
        if not self.query.get(name):
            raise Refused(4000, f"Request parameter error: {name} is required")
        return self.query[name]


def path_of(request: Received) -> str:
    """The path of a request, without its query."""
    return request.target.partition("?")[0]


def read(request: Received, fault: Fault | None) -> Ask:
    """The request as it came."""
    path, _, query = request.target.partition("?")
    method = request.head.split(b" ", 1)[0].decode("ascii")
    return Ask(method, path, dict(parse_qsl(query)), request.headers, request.body, fault)


def granted(data: object, **beside: object) -> Answer:
    """A good answer: `data` in the envelope, with other members beside it."""
    members = {"code": 0, "msg": "", "data": data, "detail": {"logid": LOG_ID}, **beside}
    return unary(to_json(members), 200, _LOG_LINE)


def done() -> Answer:
    """A good answer that says nothing more."""
    return unary(to_json({"code": 0, "msg": "", "detail": {"logid": LOG_ID}}), 200, _LOG_LINE)


def refusal(refused: Refused, ask: Ask, lines: Iterable[bytes] = ()) -> Answer:
    """The answer that a refusal is, with the status that Coze has for it at this path."""
    members = {"code": refused.code, "msg": refused.message, "detail": {"logid": LOG_ID}}
    status = status_of(refused.code, ask) if refused.status is None else refused.status
    return unary(to_json(members), status, _LOG_LINE, *lines)


def status_of(code: int, ask: Ask) -> int:
    """The status that goes with a code: a token is refused with 200 where a chat begins."""
    if code == TOKEN_REFUSED and (ask.method, ask.path) == ("POST", CHAT_PATH):
        return 200
    return STATUSES.get(code, 200)


def to_json(members: object) -> bytes:
    """Compact JSON in the order of the members."""
    return msgspec.json.encode(members)


def to_text(members: object) -> str:
    """The same as text."""
    return to_json(members).decode("utf-8")


def spoiled(answer: Answer, fault: Fault) -> Answer:
    """What comes instead of a whole answer."""
    if fault.ill == "malformed":
        return unary(b'{"code":0,"msg":"","data":{"id":', 200, _LOG_LINE)
    if fault.ill == "silence":
        return [Gate()]
    if fault.ill in ("drop", "reset"):
        return [_ending(fault)]
    return answer


def page(fault: Fault) -> Answer:
    """The page of a load balancer."""
    status = 502 if fault.status is None else fault.status
    text = b"<html><body><h1>%d</h1></body></html>" % status
    lines = (b"Content-Type: text/html", b"Content-Length: %d" % len(text), *fault.lines)
    return [b"HTTP/1.1 %d Scripted\r\n%b\r\n\r\n%b" % (status, b"\r\n".join(lines), text)]


_GOES_ON_UNHEARD: Final = frozenset({"drop", "reset", "end"})


class Line(Struct, frozen=True):
    """What a stream says next: an event with its name and data. `piece`: it is text, and faults count it."""

    name: str
    data: object
    piece: bool = False


def _let_go_on(lines: Iterator[Line | Gate]) -> None:
    """What is told runs at Coze also where nobody hears it any more, up to where it waits."""
    for line in lines:
        if isinstance(line, Gate) and not line.is_open:
            return


class Voice(Struct, frozen=True):
    """How a stream is written: spaces, numbers, chunks, pace, and the fault that meets it."""

    space: bool
    numbered: bool
    chunk_bytes: int
    pace_s: float
    fault: Fault | None

    def answer(self, lines: Iterable[Line | Gate]) -> Iterator[Step]:
        """The whole answer, head and chunks. After an `End` in it nothing comes."""
        yield _STREAM_HEAD
        for step in self._steps(lines):
            if isinstance(step, bytes):
                yield from self._chunks(step)
            else:
                yield step
        yield b"0\r\n\r\n"

    def _chunks(self, data: bytes) -> Iterator[bytes]:
        size = self.chunk_bytes or len(data)
        for begin in range(0, len(data), size):
            piece = data[begin : begin + size]
            yield b"%x\r\n%b\r\n" % (len(piece), piece)

    def _steps(self, told: Iterable[Line | Gate]) -> Iterator[Step]:
        lines = iter(told)
        pieces = number = 0
        for line in lines:
            if isinstance(line, Gate):
                yield line
                continue
            if line.piece and self.pace_s:
                yield Pause(self.pace_s)
            if self.fault is not None and line.piece and pieces == self.fault.after:
                ill = list(self._ill(self.fault, line, number))
                if self.fault.ill in _GOES_ON_UNHEARD:
                    _let_go_on(lines)
                yield from ill
                if self.fault.ill != "malformed":
                    return
            else:
                yield self._event(line, number)
            pieces += line.piece
            number += 1

    def _ill(self, fault: Fault, line: Line, number: int) -> Iterator[Step]:
        frame = self._event(line, number)
        if fault.ill == "malformed":
            yield frame.rstrip(b"\n")[:-2] + b"\n\n"
        elif fault.ill == "error_event":
            message = fault.message or MESSAGES.get(fault.code, "")
            told = {"error_code": fault.code, "error_message": message}
            plain = {"code": fault.code, "msg": message}
            yield self._event(Line("Error", told) if self.numbered else Line("error", plain), number)
        elif fault.ill == "silence":
            yield Gate()
        elif fault.ill in ("drop", "reset"):
            yield frame[: len(frame) // 2]
            yield _ending(fault)

    def _event(self, line: Line, number: int) -> bytes:
        gap = " " if self.space else ""
        head = f"id:{gap}{number}\n" if self.numbered else ""
        return f"{head}event:{gap}{line.name}\ndata:{gap}".encode() + to_json(line.data) + b"\n\n"


def _ending(fault: Fault) -> End:
    return End("reset" if fault.ill == "reset" else "close")
