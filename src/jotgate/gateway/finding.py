"""Which operation a request asks for, and what answers it: the table's, a face's own, or a proxy's question."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final

from jotgate.core.calls import Request
from jotgate.core.decisions import DECISION
from jotgate.core.mcp_servers import MCP, is_mcp
from jotgate.core.operations import OF_CONTROL, Operation, find_operation
from jotgate.gateway.decision_answers import DecisionAnswers
from jotgate.gateway.metered_plain import Answering, Look, MeteredPlain
from jotgate.gateway.plain_answers import FaceOperation, Opened, PlainAnswers, find_own
from jotgate.ports import Caller, Running


class Answerers:
    """Those of one worker. Mutable: the operations that faces have beside those of the table, and what answers MCP.

    `forward` answers what goes to an upstream; `sockets`, by path, what asks for a WebSocket or for what opens one.
    """

    def __init__(
        self,
        plain: PlainAnswers,
        counted: MeteredPlain,
        decisions: DecisionAnswers,
        forward: Answering,
        sockets: Mapping[bytes, Answering],
    ) -> None:
        self._plain = plain
        self._counted = counted
        self._forward = forward
        self._decide: Final[Answering] = partial(decisions.answer, self._count)
        self._of_faces: dict[tuple[str, bytes], FaceOperation] = {}
        self.mcp: Answering | None = None
        self._sockets = sockets

    def serve(self, face: str, operations: Iterable[FaceOperation]) -> None:
        """Let a face have these operations beside those of the table; said again, they take the place of the same."""
        self._of_faces.update({(face, one.operation.path): one for one in operations})

    def find(self, request: Request) -> tuple[Operation, Answering]:
        """What a request at the native listener asks for. Raises UnknownOperation, MethodRefused."""
        if self.mcp is not None and is_mcp(request.path):
            return MCP, self.mcp
        operation = find_operation(request.method, request.path)
        of_sockets = self._sockets.get(operation.path)
        if of_sockets is not None:
            return operation, of_sockets
        return operation, self._forward if operation.forwarded else self._plain_answer(operation)

    def find_at_face(self, request: Request) -> tuple[Operation, Answering]:
        """The same at a face: one of its own operations, or of the table. Raises UnknownOperation, MethodRefused."""
        if request.asked is not None:
            return DECISION, self._decide
        own = self._of_faces.get((request.face, request.path)) or self._find_above(request)
        if own is not None:
            if own.to_mcp and self.mcp is not None:
                return find_own(own, request.method), self.mcp
            if own.looks is not None:
                look = Look(own.looks, self._plain.of_face)
                return find_own(own, request.method), partial(self._count, look)
            if own.run is not None:
                return find_own(own, request.method), own.run
            return find_own(own, request.method), partial(self._count, partial(self._plain.at_face, own))
        operation = find_operation(request.method, request.path)
        of_sockets = self._sockets.get(operation.path)
        if of_sockets is not None:
            return operation, of_sockets
        return operation, self._forward if operation.forwarded else partial(self._count, self._plain_answer(operation))

    def _plain_answer(self, operation: Operation) -> Answering:
        return self._plain.by_control if operation.name in OF_CONTROL else self._plain.models

    def _count(self, run: Answering, opened: Opened, caller: Caller) -> Running | None:
        """Have a request of a face answered by `run`, which counts as one request where a quota meets it."""
        if opened.world.metered or opened.principal.limits:
            return self._counted.answer(run, opened, caller)
        return run(opened, caller)

    def _find_above(self, request: Request) -> FaceOperation | None:
        """The operation of a face that has all below its path, and among that what is asked for."""
        for (face, path), own in self._of_faces.items():
            if face == request.face and path.endswith(b"/") and request.path.startswith(path):
                return own
        return None
