"""One request of Coze's API under way: gets a token, sends, and reads the answer, be it JSON or a stream of events.

Where Coze says that the token is not taken (401, or a code that means it), another one is got and the request is sent
again, once, before anybody hears of it. Two deadlines hold: until the answer begins, and between its pieces.
"""

from math import ceil
from typing import Final, Protocol

from msgspec import Struct

from jotgate.core.attempts import rest_s
from jotgate.core.calls import ResponseHead
from jotgate.core.coze_codes import TOKEN_OR_RIGHTS, fault_of, means_token
from jotgate.core.coze_envelopes import ANSWER_BYTES_MAX, read_envelope
from jotgate.core.coze_events import EventReader
from jotgate.core.upstream_tokens import NO_REFUSAL, TokenFound, TokenLacking, lacking_error
from jotgate.errors import UpstreamError, UpstreamTimeout, UpstreamTorn
from jotgate.gateway.headers import content_type, has_coding
from jotgate.ports import Clock, UpstreamEvents, UpstreamExchange
from jotgate.upstreams.coze_modes import CozeAnswer, CozeOrder, Hearing
from jotgate.upstreams.credential_sources import Credentials
from jotgate.upstreams.credentials import Cancel

_EVENTS: Final = b"text/event-stream"
_OK: Final = 200


class Connections(Protocol):
    """Where requests are sent: `upstreams.transport.Pool`."""

    def begin(self, request: bytes, events: UpstreamEvents) -> UpstreamExchange:
        """Send a whole request; what comes of it is told to `events`, never before this returns."""


class Line(Struct, frozen=True):
    """The way to one upstream. `prefix` stands before each target, `head` are fixed header lines. Times in seconds."""

    upstream: str
    connections: Connections
    credentials: Credentials
    prefix: str
    head: str
    first_byte_s: float
    idle_s: float

    def request(self, order: CozeOrder, token: str) -> bytes:
        """The bytes of a request."""
        method = order.method.decode("ascii")
        kind = "Content-Type: application/json\r\n" if order.body else ""
        head = (
            f"{method} {self.prefix}{order.target} HTTP/1.1\r\n{self.head}Authorization: Bearer {token}\r\n{kind}"
            f"Content-Length: {len(order.body)}\r\n\r\n"
        )
        return head.encode("latin-1") + order.body


class CozeCall:
    """Mutable: how far it is. It is over when it has told its end, or was dropped."""

    def __init__(self, order: CozeOrder, session: str, line: Line, clock: Clock, hearing: Hearing) -> None:
        self.order: Final = order
        self._session = session
        self._line = line
        self._clock = clock
        self._hearing: Hearing | None = hearing
        self._cancel: Cancel | None = None
        self._token: TokenFound | None = None
        self._exchange: UpstreamExchange | None = None
        self._head: ResponseHead | None = None
        self._reader: EventReader | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._renewed = False
        self._seen = False
        self._again = not order.starts
        self._paused = False
        self._touched_s = clock.monotonic_s()

    def begin(self) -> None:
        """Get a token and send."""
        self._need(NO_REFUSAL)

    @property
    def written(self) -> bool:
        """Whether Coze may have seen it."""
        return self._seen or self._head is not None or (self._exchange is not None and self._exchange.written)

    def drop(self) -> None:
        """Give up; nothing is told any more."""
        self._seen = self.written
        self._hearing = None
        cancel, self._cancel = self._cancel, None
        exchange, self._exchange = self._exchange, None
        if cancel is not None:
            cancel()
        if exchange is not None:
            exchange.abort()

    def pause(self) -> None:
        """Stop reading the answer until `resume`."""
        self._paused = True
        if self._exchange is not None:
            self._exchange.pause()

    def resume(self) -> None:
        """Read on."""
        self._paused = False
        self._touched_s = self._clock.monotonic_s()
        if self._exchange is not None:
            self._exchange.resume()

    def check(self, now_s: float) -> None:
        """See what time it is. Called a few times a second."""
        if self._exchange is None or self._paused:
            return
        silent_s = now_s - self._touched_s
        if self._head is None and silent_s > self._line.first_byte_s:
            self._lose(UpstreamTimeout("Coze sent nothing before the first-byte deadline"))
        elif self._head is not None and silent_s > self._line.idle_s:
            self._lose(UpstreamTimeout("Coze fell silent for longer than the idle deadline"))

    # The token

    def _need(self, refused: bytes) -> None:
        self._cancel = self._line.credentials.need(self._session, self._take_token, refused)

    def _take_token(self, outcome: TokenFound | TokenLacking) -> None:
        self._cancel = None
        if self._hearing is None:
            return
        if isinstance(outcome, TokenLacking):
            self._lose(lacking_error(self._line.upstream, outcome))
            return
        self._token = outcome
        self._head, self._reader, self._pieces, self._size = None, None, [], 0
        self._touched_s = self._clock.monotonic_s()
        request = self._line.request(self.order, outcome.token.reveal())
        self._exchange = self._line.connections.begin(request, self)
        if self._paused:
            self._exchange.pause()

    # What the upstream says (ports.UpstreamEvents)

    def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        """Take what came."""
        hearing = self._hearing
        if hearing is None:
            return
        self._touched_s = self._clock.monotonic_s()
        if head is not None:
            self._head = head
            if has_coding(head.headers):
                self._lose(UpstreamTorn("Coze answered with a coding that nobody asked for"))
                return
            if head.status == _OK and content_type(head.headers) == _EVENTS:
                self._reader = EventReader()
        if complete:
            self._exchange = None
        if self._reader is None:
            self._gather(piece, complete)
            return
        events = self._reader.take(piece)
        if events:
            hearing.heard(events)
        if self._reader.overlong:
            self._lose(UpstreamTorn("Coze sent an event that is longer than any that is read"))
        elif complete and self._hearing is not None:
            self._hearing = None
            hearing.ended()

    def failed(self, error: UpstreamError, written: bool) -> None:
        """The connection could not be made, or broke off."""
        self._exchange = None
        self._seen = self._seen or written
        token = self._token
        if self._hearing is not None and self._again and token is not None and self._head is None:
            self._again = False
            self._take_token(token)
        else:
            self._lose(error)

    def _gather(self, piece: bytes, complete: bool) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > ANSWER_BYTES_MAX:
            self._lose(UpstreamTorn("Coze answered with more than is read"))
        elif complete:
            self._read(b"".join(self._pieces))

    def _read(self, body: bytes) -> None:
        hearing, head, token = self._hearing, self._head, self._token
        if hearing is None or head is None or token is None:
            return
        found = read_envelope(body)
        number = 0 if found is None else found.code
        if not number and found is not None and 200 <= head.status < 300:
            self._hearing = None
            self._line.credentials.took(token)
            hearing.answered(CozeAnswer(found.data, body))
            return
        if self._renews(number, head.status, token):
            self._renewed = True
            self._need(token.digest)
            return
        if found is None and 200 <= head.status < 500:
            self._lose(UpstreamTorn(f"Coze answered {head.status} with what is none of its answers"))
            return
        now_s = self._clock.now_s()
        asked_s = max((rest_s(value, now_s) for name, value in head.headers if name == b"retry-after"), default=0.0)
        self._hearing = None
        hearing.refused(fault_of(number, "" if found is None else found.msg, head.status, ceil(asked_s)))

    def _renews(self, number: int, status: int, token: TokenFound) -> bool:
        """Whether another token is to be tried; if this was the second, nobody is given it again."""
        certain = means_token(number, status)
        credentials = self._line.credentials
        if not (certain or number == TOKEN_OR_RIGHTS):
            return False
        if not self._renewed:
            return credentials.replaces(self._session, token, certain=certain)
        if certain:
            credentials.refuse(self._session, token)
        return False

    def _lose(self, error: UpstreamError) -> None:
        hearing = self._hearing
        self.drop()
        if hearing is not None:
            hearing.lost(error)
