"""An OpenAI-compatible upstream whose credential may change under a call: one of two static keys, or a token.

A credential that is refused with 401 is replaced once, before the caller has seen anything of the answer; the second
refusal is the answer. A request that was refused with 401 was not carried out, so it may be sent again.
"""

from collections.abc import Callable

from jotgate.core.calls import Outbound, ResponseHead
from jotgate.core.principals import Principal
from jotgate.core.routes import Upstream
from jotgate.core.upstream_tokens import NO_REFUSAL, TokenFound, TokenLacking, lacking_error
from jotgate.errors import UpstreamError
from jotgate.ports import CallerEvents, Stopping, UpstreamEvents, UpstreamExchange
from jotgate.socket_ports import Socket, SocketAsker, SocketEvents
from jotgate.upstreams.credential_sources import Credentials
from jotgate.upstreams.credentials import Cancel, Soon
from jotgate.upstreams.mcp import McpUpstream
from jotgate.upstreams.openai import OpenAIUpstream
from jotgate.upstreams.tool_endpoints import EndpointsUpstream

_REFUSED = 401
_NO_SESSION = ""
HolderOf = Callable[[Principal], str]
"""Whose credential a caller is sent with (`core.mcp_holders`)."""


def _nobody(principal: Principal) -> str:  # noqa: ARG001 - whoever it is
    return _NO_SESSION


class CredentialedUpstream:
    """Sends calls with the credential of the moment (ports.UpstreamPort). Immutable.

    `holder_of` says whose that is, where each caller has one of its own.
    """

    def __init__(
        self,
        upstream: Upstream,
        port: OpenAIUpstream | McpUpstream | EndpointsUpstream,
        credentials: Credentials,
        soon: Soon,
        holder_of: HolderOf = _nobody,
    ) -> None:
        self._name = upstream.name
        self._of_callers = upstream.of_callers
        self._port = port
        self._credentials = credentials
        self._soon = soon
        self._holder_of = holder_of

    def begin(self, outbound: Outbound, events: UpstreamEvents) -> "CredentialedCall":
        """Send the call, as soon as there is a credential for it."""
        session = _NO_SESSION
        if self._of_callers:
            # Nobody is sent there with another's: without a name there is no credential.
            session = self._holder_of(events.principal) if isinstance(events, CallerEvents) else _NO_SESSION
        call = CredentialedCall(self._name, self._credentials, self._soon, events, session)

        def send(token: TokenFound) -> UpstreamExchange:
            line = f"Authorization: Bearer {token.token.reveal()}\r\n".encode("latin-1")
            return self._port.begin_with(line, outbound, call)

        call.begin(send)
        return call


class CredentialedCall:
    """One call (ports.UpstreamExchange), and whom its exchanges tell (ports.UpstreamEvents).

    Mutable: what it waits for or what is under way for it, the credential that was sent, whether one was refused.
    """

    __slots__ = (
        "_cancel",
        "_credentials",
        "_events",
        "_exchange",
        "_paused",
        "_replaced",
        "_send",
        "_session",
        "_soon",
        "_token",
        "_upstream",
    )

    def __init__(
        self,
        upstream: str,
        credentials: Credentials,
        soon: Soon,
        events: UpstreamEvents,
        session: str = _NO_SESSION,
    ) -> None:
        self._upstream = upstream
        self._session = session
        self._credentials = credentials
        self._soon = soon
        self._events: UpstreamEvents | None = events
        self._exchange: UpstreamExchange | None = None
        self._cancel: Cancel | None = None
        self._send: Callable[[TokenFound], UpstreamExchange] | None = None
        self._token: TokenFound | None = None
        self._replaced = False
        self._paused = False

    def begin(self, send: Callable[[TokenFound], UpstreamExchange]) -> None:
        """Have a credential found, and the call sent with it."""
        self._send = send
        self._cancel = self._credentials.need(self._session, self._found, NO_REFUSAL)

    # ports.UpstreamExchange

    @property
    def written(self) -> bool:
        """Whether the upstream may have seen the request, and not said that it refuses it."""
        return self._exchange is not None and self._exchange.written

    def abort(self) -> None:
        """Give up; no event follows."""
        self._events = None
        if self._cancel is not None:
            self._cancel()
        if self._exchange is not None:
            self._exchange.abort()

    def stop(self) -> Stopping:
        """Want no more of the answer."""
        if self._exchange is None:
            self.abort()
            return "over"
        return self._exchange.stop()

    def pause(self) -> None:
        """Stop reading the answer."""
        self._paused = True
        if self._exchange is not None:
            self._exchange.pause()

    def resume(self) -> None:
        """Read on."""
        self._paused = False
        if self._exchange is not None:
            self._exchange.resume()

    # ports.UpstreamEvents

    def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        """Pass on what came, but for the first refusal of a credential that another one can stand in for."""
        if self._events is None:
            return
        if head is not None and self._token is not None:
            if head.status == _REFUSED and self._replace(self._token):
                return
            if head.status != _REFUSED:
                self._credentials.took(self._token)
        self._events.received(head, piece, complete)

    def opened(self, socket: Socket) -> SocketEvents:
        """A WebSocket is granted: from now on its own events tell of it (socket_ports.SocketAsker)."""
        assert isinstance(self._events, SocketAsker), "nobody else asks for one"
        if self._token is not None:
            self._credentials.took(self._token)
        return self._events.opened(socket)

    def failed(self, error: UpstreamError, written: bool) -> None:
        """Pass it on."""
        if self._events is not None:
            self._events.failed(error, written)

    # The credential

    def _replace(self, token: TokenFound) -> bool:
        """Ask for another credential in place of this one, once."""
        if self._replaced or not self._credentials.replaces(self._session, token, certain=True):
            self._credentials.refuse(self._session, token)
            return False
        self._replaced = True
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abort()
        self._cancel = self._credentials.need(self._session, self._found, token.digest)
        return True

    def _found(self, outcome: TokenFound | TokenLacking) -> None:
        self._cancel = None
        if isinstance(outcome, TokenLacking):
            error = lacking_error(self._upstream, outcome)
            self._soon(lambda: self.failed(error, False))  # Nobody is told anything before `begin` returns.
            return
        if self._events is None or self._send is None:
            return
        self._token = outcome
        self._exchange = self._send(outcome)
        if self._paused:
            self._exchange.pause()
