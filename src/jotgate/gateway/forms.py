"""Hands the forms of OAuth clients to the token service over the bus, which costs less than a second HTTP request.

While nobody listens there, control is asked as for everything else: over HTTP, where a request waits for the next one.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from jotgate.core.calls import Request
from jotgate.core.forms import FormAnswered, FormAsked
from jotgate.core.oauth_problems import render_oauth
from jotgate.core.senders import Sender
from jotgate.errors import ControlUnreachable
from jotgate.gateway.headers import request_id_line
from jotgate.gateway.passage import ControlDoor, Passage
from jotgate.ports import Caller, Clock, Running

FORMS_AT_ONCE: Final = 1_024
"""How many forms of one worker are under way at most; the others go over HTTP."""

_DEADLINE_S: Final = 10.0


class _Form:
    """One form that is being answered (ports.Running); it has a caller until that has its answer or is gone."""

    __slots__ = ("_line", "caller", "deadline_s", "request")

    def __init__(self, caller: Caller, request: Request, deadline_s: float) -> None:
        self.caller: Caller | None = caller
        self.deadline_s = deadline_s
        self.request = request
        self._line = request_id_line(request.request_id)

    def answer(self, status: int, lines: bytes, body: bytes) -> None:
        """Tell the caller, once."""
        caller, self.caller = self.caller, None
        if caller is not None:
            caller.respond(status, self._line + lines, body)

    def fail(self) -> None:
        """Tell the caller that it will not be answered."""
        problem = render_oauth(ControlUnreachable("the control process does not answer", hint="Try again in a moment"))
        self.answer(problem.status, problem.lines, problem.body)

    def caller_gone(self) -> None:
        """Nobody reads the answer."""
        self.caller = None

    def caller_paused(self) -> None:
        """An answer is one piece."""

    def caller_resumed(self) -> None:
        """An answer is one piece."""


class FormDoor:
    """Where the edge hands in forms. Mutable in those that are under way.

    `send` hands one to control; False: there is none to hand it to.
    """

    def __init__(self, clock: Clock, control: ControlDoor, send: Callable[[FormAsked], bool]) -> None:
        self._clock = clock
        self._control = control
        self._send = send
        self._number = 0
        self._open: dict[int, _Form] = {}

    def run(self, request: Request, caller: Caller) -> Running:
        """Have a form answered; the request has its id."""
        headers = request.headers
        if len(self._open) >= FORMS_AT_ONCE or b"content-encoding" in headers:  # One that is encoded is refused there.
            return self._control.run(request, caller, partial(self._note, request))
        self._number += 1
        authorization, proof = headers.get(b"authorization"), headers.get(b"dpop")
        asked = FormAsked(
            self._number,
            request.path.decode("ascii"),
            request.body,
            headers.get(b"content-type", b"").decode("latin-1"),
            request.query,
            Sender(
                request.peer,
                () if authorization is None else (authorization.decode("latin-1"),),
                () if proof is None else (proof.decode("latin-1"),),
                request.certificate,
            ),
        )
        if not self._send(asked):
            return self._control.run(request, caller, partial(self._note, request))
        form = _Form(caller, request, self._clock.monotonic_s() + _DEADLINE_S)
        self._open[self._number] = form
        return form

    def answered(self, answer: FormAnswered) -> None:
        """Control has answered."""
        form = self._open.pop(answer.number, None)
        if form is not None:
            self._control.attempts.answered(form.request, answer.status, answer.body)
            form.answer(answer.status, answer.lines, answer.body)

    def _note(self, request: Request, passage: Passage) -> None:
        self._control.attempts.answered(request, passage.status, b"")

    def lost(self) -> None:
        """Control is gone: what it was asked may or may not have been done."""
        forms, self._open = self._open, {}
        for form in forms.values():
            form.fail()

    def check_deadlines(self) -> None:
        """Give up what takes too long. Called a few times a second."""
        now_s = self._clock.monotonic_s()
        late = [number for number, form in self._open.items() if now_s > form.deadline_s]
        for number in late:
            self._open.pop(number).fail()
