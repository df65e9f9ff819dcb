"""`GET /metrics`: on a loopback listener of its own that asks for no token, and for what the edge passes on."""

from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def metrics_route(expose: Callable[[], bytes], content_type: str) -> Route:
    """The route. The gateway has looked at the token of what the edge passes on."""

    async def answer(request: Request) -> Response:
        return Response(expose(), headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    return Route("/metrics", answer, methods=["GET"])


def build_metrics(route: Route) -> Starlette:
    """The application of the loopback listener.

    It answers to loopback's own names only: a page in a browser of this machine could otherwise point a name of its
    own at this address, and read what is shown here.
    """

    async def answer(request: Request) -> Response:
        if request.url.hostname not in _NAMES:
            return PlainTextResponse("This listener answers to 127.0.0.1, ::1 and localhost only.\n", 403)
        answered: Response = await route.endpoint(request)
        return answered

    application = Starlette(routes=[Route(route.path, answer, methods=["GET"])])
    application.router.redirect_slashes = False  # One path, and no answer that repeats what the caller sent.
    return application
