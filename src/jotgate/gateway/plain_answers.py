"""Answers what is not forwarded to an upstream: from the snapshot, by the surface of a face, or by control.

Every request that gets this far ends in one audit record, as calls do.
"""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.calls import Request
from jotgate.core.operations import USAGE, Operation
from jotgate.core.principals import Principal
from jotgate.errors import ControlStale, ControlUnreachable, MethodRefused, QuotaStanding
from jotgate.gateway.admission import Shown, find_models, permit
from jotgate.gateway.headers import request_id_line
from jotgate.gateway.passage import ControlDoor, Passage
from jotgate.gateway.records import CallRecorder
from jotgate.gateway.world import World
from jotgate.ports import Caller, Running

JSON_LINES: Final = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
CALLER_GONE: Final = 499
ANY_METHOD: Final = b"*"
"""The method of an operation that takes all."""
_encode_json: Final = msgspec.json.Encoder().encode


class Opened(Struct, frozen=True):
    """A request whose head is decided, and the one world and time (NumericDate) that the rest is decided in.

    `fresh_s` is until when, on the monotonic clock, that may be.
    """

    request: Request
    world: World
    operation: Operation
    principal: Principal
    now_s: float
    fresh_s: float


class Reply(Struct, frozen=True):
    """An answer in one piece: its header lines, each with its CRLF, stand beside the one that names the request."""

    status: int
    body: bytes
    lines: bytes = JSON_LINES


ListModels = Callable[[Shown, Opened], bytes]


class FaceOperation(Struct, frozen=True):
    """An operation that a face has beside those of the closed table, for callers with a good token.

    Its name is also the scope that it needs (`ai` covers it), and its path is matched byte for byte; one that ends in
    `/` has all below it that no other has. Its method may be `ANY_METHOD`. `reply` answers one that may go on; it may
    raise a JotgateError. None: control answers, and is told who asks. `list_models` writes the list of models that a
    caller may be told of, in place of all that.
    `run` answers by itself, counts and records what it does; it may raise a JotgateError before it has answered.
    `to_mcp`: what answers MCP clients does. `looks` is told how the quotas stand, and the request costs nothing.
    """

    operation: Operation
    reply: Callable[[Opened], Reply] | None = None
    list_models: ListModels | None = None
    run: Callable[[Opened, Caller], Running | None] | None = None
    to_mcp: bool = False
    looks: Callable[[tuple[QuotaStanding, ...], Opened], Reply] | None = None


def find_own(own: FaceOperation, method: bytes) -> Operation:
    """The operation, if a request has its method; HEAD goes where GET does. Raises MethodRefused."""
    wanted = own.operation.method
    if wanted in (method, ANY_METHOD) or (method == b"HEAD" and wanted == b"GET"):
        return own.operation
    raise MethodRefused(wanted.decode("ascii"), f"{own.operation.name} takes {wanted.decode('ascii')} only")


class _Model(Struct, frozen=True):
    id: str
    owned_by: str
    created: int
    object: str = "model"


class _ModelList(Struct, frozen=True):
    data: list[_Model]
    object: str = "list"


def _list_models(shown: Shown, opened: Opened) -> bytes:
    world = opened.world
    since_s = world.snapshot.made_at_s  # Nobody knows when a model was made; it has been served since then, or later.
    rows = [_Model(name, world.routes[name].attempts[0].upstream, since_s) for name in shown.aliases]
    return _encode_json(rows[0] if shown.named else _ModelList(rows))


class PlainAnswers:
    """Those of one worker. `control` None: it has no way there."""

    def __init__(self, recorder: CallRecorder, control: ControlDoor | None) -> None:
        self._recorder = recorder
        self._control = control

    def models(self, opened: Opened, caller: Caller) -> None:
        """Tell of the models that the caller may use. Raises as `find_models`."""
        self.models_as(_list_models, opened, caller)

    def models_as(self, write: ListModels, opened: Opened, caller: Caller) -> None:
        """The same as `write` writes it. Raises as `find_models`."""
        request, principal = opened.request, opened.principal
        shown = find_models(request, principal, opened.operation, opened.world, opened.now_s)
        body = write(shown, opened)
        caller.respond(200, b"X-Request-Id: %b\r\n" % request.request_id.encode("ascii") + JSON_LINES, body)
        self._recorder.answered(
            request, principal, status=200, model=shown.named, bytes_out=len(body), policy=shown.policy
        )

    def of_face(self, reply: Callable[[Opened], Reply], opened: Opened, caller: Caller) -> None:
        """Give the answer of a face's own operation to who may have it. Raises as `permit` and `reply`."""
        request = opened.request
        allowed = permit(request, opened.principal, opened.operation, opened.world, opened.now_s)
        found = reply(opened)
        caller.respond(found.status, request_id_line(request.request_id) + found.lines, found.body)
        policy = allowed.policy if request.stale else ""
        self._recorder.answered(
            request, opened.principal, status=found.status, bytes_out=len(found.body), policy=policy
        )

    def at_face(self, own: FaceOperation, opened: Opened, caller: Caller) -> Running | None:
        """Answer an operation that a face has itself. Raises as what answers it."""
        if own.list_models is not None:
            self.models_as(own.list_models, opened, caller)
        elif own.reply is not None:
            self.of_face(own.reply, opened, caller)
        else:
            return self.by_control(opened, caller, whom=opened.principal)
        return None

    def by_control(self, opened: Opened, caller: Caller, *, whom: Principal | None = None) -> Running:
        """Have control answer; `whom` is as for ControlDoor.run.

        Raises as `permit`; ControlStale, ControlUnreachable.
        """
        request, policy = opened.request, ""
        if opened.operation.name != USAGE:  # What they have used themselves is told to all.
            allowed = permit(request, opened.principal, opened.operation, opened.world, opened.now_s)
            policy = allowed.policy if request.stale else ""
        elif request.stale:
            raise ControlStale("what was revoked is not known, and no policy lets this call go on without")
        return self.hand_on(opened, caller, policy=policy, whom=whom)

    def hand_on(
        self, opened: Opened, caller: Caller, *, policy: str, model: str = "", whom: Principal | None = None
    ) -> Running:
        """The same for a request that is allowed; `model` is the one that it is about. Raises ControlUnreachable."""
        request = opened.request
        if self._control is None:
            raise ControlUnreachable("this worker has no way to control")

        def record(passage: Passage) -> None:
            status = passage.status or CALLER_GONE
            self._recorder.answered(
                request, opened.principal, status=status, model=model, bytes_out=passage.bytes_out, policy=policy
            )

        return self._control.run(request, caller, record, whom)
