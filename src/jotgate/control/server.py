"""Runs control's applications on one stock uvicorn server: over the two Unix sockets that it inherited, and TCP."""

import signal
import socket
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

_GRACE_S: Final = 2


class ControlServer:
    """Serves until told to stop. Only what comes in on the operator's socket reaches the operator's application.

    What comes over TCP reaches `metrics` alone.
    """

    def __init__(self, operator_path: str, operator: ASGIApp, public: ASGIApp, metrics: ASGIApp) -> None:
        async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
            server = scope.get("server")
            if server is not None and server[1] is not None:
                await metrics(scope, receive, send)
                return
            local = server is not None and server[0] == operator_path
            await (operator if local else public)(scope, receive, send)

        config = uvicorn.Config(
            dispatch,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        self._server = uvicorn.Server(config)

    def stop(self) -> None:
        """Begin to stop: finish what is under way, take nothing new. May be called from a signal handler."""
        self._server.should_exit = True

    async def run(self, listeners: list[socket.socket]) -> None:
        """Serve until `stop` or SIGTERM."""
        # uvicorn raises the signal again when it has stopped, for the handler that was there before: this one.
        signal.signal(signal.SIGTERM, lambda *_: self.stop())
        await self._server.serve(sockets=listeners)
