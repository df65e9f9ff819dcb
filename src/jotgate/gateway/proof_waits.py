"""Requests that wait in a worker while control looks whether their DPoP proof was used before.

Each is a question of its own, as the same proof in two requests must be told apart. What control says stays with the
request, which goes on, or is refused, when it is decided anew.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, cast

from msgspec.structs import replace

from jotgate.core.calls import Request
from jotgate.core.proof_times import Sight, Verdict
from jotgate.errors import JotgateError, ProofUnmarked
from jotgate.gateway.waits import Desk, Soon, Waits
from jotgate.ports import Answer, Caller, Clock, Running
from jotgate.socket_ports import Socket, SocketBounds, SocketCaller, SocketEvents

PATIENCE_S: Final = 5.0
"""How long a request waits at most: for a control that is started again too."""


class ProofWaits:
    """All that wait in one worker. Mutable: who waits under which number.

    `ask` puts a question under its number; `desk` and `soon` are as for `Waits`. `instance` is the worker's name.
    """

    def __init__(
        self, clock: Clock, desk: Desk, *, ask: Callable[[int, Sight], object], soon: Soon, instance: str
    ) -> None:
        self._waits: Waits[int, Verdict] = Waits(
            clock, desk, ask=self._put, judge=_judge, soon=soon, patience_s=PATIENCE_S
        )
        self._ask = ask
        self._instance = instance
        self._number = 0
        self._asked: dict[int, Request] = {}
        self.ask_again = self._waits.ask_again
        self.cancel_all = self._waits.cancel_all

    def __len__(self) -> int:
        return len(self._waits)

    def join(self, request: Request, refusal: ProofUnmarked) -> Answer:
        """Let a request wait; what is returned answers it, once its body is read.

        Raises:
            ProofUnmarked: it cannot be known now, or too many wait.
        """
        try:
            if self._waits.is_reopened(request):
                raise refusal
            self._number += 1
            self._asked[self._number] = request
            return partial(_answer, request, self._waits.join(request, refusal, self._number))
        finally:
            if not self._waits.is_asked(self._number):
                self._asked.pop(self._number, None)
            del refusal  # Its traceback names this frame: what names one another, only the collector can take away.

    def answered(self, number: int, verdict: Verdict) -> None:
        """Control's answer to a question."""
        request = self._asked.pop(number, None)
        if request is not None and request.possession is not None:
            request.possession = replace(request.possession, verdict=verdict)
            self._waits.answered(number, verdict)

    def check_deadlines(self, now_s: float) -> None:
        """Refuse those that have waited for long enough. Called a few times a second."""
        self._waits.check_deadlines(now_s)
        for number in [one for one in self._asked if not self._waits.is_asked(one)]:
            del self._asked[number]

    def _put(self, number: int) -> None:
        request = self._asked.get(number)
        possession = None if request is None else request.possession
        proof = None if possession is None else possession.proof
        if possession is not None and proof is not None:
            asker = f"{self._instance}:{number}".encode()
            self._ask(number, Sight(proof.handle, proof.iat, proof.nonce, asker, possession.holder))


class _Renewing:
    """A caller whose answer has the nonce that it is to use from now on, if any (socket_ports.SocketCaller)."""

    def __init__(self, request: Request, caller: Caller) -> None:
        self._request = request
        self._caller = caller
        self.write = caller.write
        self.end = caller.end
        self.abort = caller.abort

    def respond(self, status: int, lines: bytes, body: bytes) -> None:
        self._caller.respond(status, self._line() + lines, body)

    def start(self, status: int, lines: bytes, length: int | None, piece: bytes) -> None:
        self._caller.start(status, self._line() + lines, length, piece)

    def switch(self, lines: bytes, bounds: SocketBounds, talk: Callable[[Socket], SocketEvents]) -> None:
        cast("SocketCaller", self._caller).switch(self._line() + lines, bounds, talk)

    def _line(self) -> bytes:
        possession = self._request.possession
        verdict = None if possession is None else possession.verdict
        return b"" if verdict is None or not verdict.nonce else nonce_line(verdict.nonce)


def nonce_line(nonce: str) -> bytes:
    """The header line that hands out a nonce (RFC 9449 s8)."""
    return b"DPoP-Nonce: %b\r\n" % nonce.encode("ascii")


def _answer(request: Request, answer: Answer, caller: Caller) -> Running | None:
    return answer(_Renewing(request, caller))


def _judge(refusal: JotgateError, outcome: Verdict | None, asks: int) -> JotgateError | None:  # noqa: ARG001 - as Judge
    """What is said of a proof: whatever the request was refused for."""
    return refusal
