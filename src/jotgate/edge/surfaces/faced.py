"""A face's listener: marks each request with the face that it came in by, before anything is decided about it."""

from jotgate.core.calls import Request
from jotgate.edge.http1.listener import Application
from jotgate.errors import JotgateError
from jotgate.ports import Answer, Caller


class FacedSurface:
    """Serves what another application serves (edge.http1.listener.Application); `face` is the name of its face."""

    def __init__(self, inner: Application, face: str) -> None:
        self._inner = inner
        self._face = face

    def open(self, request: Request) -> Answer:
        """Mark and open.

        Raises:
            JotgateError: as the inner application.
        """
        request.face = self._face
        return self._inner.open(request)

    def refuse(self, request: Request, refusal: JotgateError, caller: Caller) -> None:
        """Tell the caller no; a request that never got as far as `open` is marked here."""
        request.face = self._face
        self._inner.refuse(request, refusal, caller)
