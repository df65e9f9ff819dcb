"""What is said on one connection of the Responses API: one response after the other, none of them kept upstream."""

from collections import deque
from typing import Final

from jotgate.core.realtime import ClientEvent, ServerEvent
from jotgate.core.responses_socket import ENDS, for_upstream, goes_on, output_wanted, read_client, write_error
from jotgate.errors import JotgateError, RequestMalformed
from jotgate.gateway.realtime import RealtimeTalk

_MADE_MAX: Final = 1_024


class ResponsesTalk(RealtimeTalk):
    """One connection's. Mutable, as every RealtimeTalk: whether a response is under way, and those that were made.

    Of those it remembers the last ones, by the names that the upstream gave them.
    """

    _under_way = False
    _made: deque[str] | None = None

    def _hear(self, event: ServerEvent) -> None:
        if event.type == "response.created":
            self._remember(event.response_id)
            self._begun()
        elif event.type not in ENDS:
            self._count.say(event)
        else:
            self._under_way = False
            if event.type == "error" and not self._running:
                self._declined()
            else:
                self._done(event)

    def _read(self, message: bytes) -> ClientEvent:
        return read_client(message)

    def _wanted_by(self, event: ClientEvent) -> int | None:
        return output_wanted(event)

    def _write(self, event: ClientEvent, ceiling: int | None) -> bytes:
        model = self._relay.call.route.alias
        return for_upstream(event, self._name_of, ceiling, model=model, made=frozenset(self._made or ()))

    def _error(self, error: JotgateError, event_id: str) -> bytes:  # noqa: ARG002 - events have no names here
        return write_error(error)

    def _create(self, event: ClientEvent) -> None:
        if self._under_way:
            raise RequestMalformed("a response is under way on this connection", hint="Wait until it is completed")
        super()._create(event)

    def _send(self, event: ClientEvent) -> None:
        self._under_way = True
        super()._send(event)

    def _reserve(self, event: ClientEvent | None) -> None:
        if event is not None and not goes_on(event):
            self._input = 0  # Nothing that was said before is input of this one.
        super()._reserve(event)

    def _cancel(self) -> None:
        """There is no event for that: the upstream stops when the connection ends."""

    def _remember(self, response_id: str) -> None:
        if self._made is None:
            self._made = deque(maxlen=_MADE_MAX)
        if response_id:
            self._made.append(response_id)
