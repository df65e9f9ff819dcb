"""Which application answers a request that the edge passes on: the native listener's, or that of a face."""

from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from jotgate.core.operations import TICKETS_PATH

FACE: Final = b"x-jotgate-face"
"""The field in which the edge says by which face a request came in; from outside none gets through to control."""


_TICKETS: Final = TICKETS_PATH.decode("ascii")


def by_face(native: ASGIApp, faces: Mapping[str, ASGIApp], tickets: ASGIApp) -> ASGIApp:
    """Each request to the application of its face; a face that has none has nothing here but tickets.

    `tickets` is what answers who asks at a face for one: the edge lets those ask alone whose face opens WebSockets.
    """
    named = {name.encode("ascii"): application for name, application in faces.items()}

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        face = next((value for name, value in scope["headers"] if name == FACE), None)
        if face is not None and scope["path"] == _TICKETS:
            application = tickets
        else:
            application = native if face is None else named.get(face, nothing)
        await application(scope, receive, send)

    return dispatch


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer that there is nothing; the edge of such a face passes nothing on."""
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
