"""`GET /oauth/statuslists/NAME`: the Token Status Lists of this installation (draft-ietf-oauth-status-list-21 s8)."""

from collections.abc import Callable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jotgate.control.answers import problem_response
from jotgate.core.key_set import is_fresh
from jotgate.core.problems import render
from jotgate.core.status_lists import LIST_MEDIA_TYPE, LISTS_PATH
from jotgate.errors import JotgateError
from jotgate.services.status_lists import StatusLists

_NOT_FOUND: Final = 404


def status_list_route(lists: StatusLists, check_fresh: Callable[[], None]) -> Route:
    """The route. `check_fresh` raises ControlStale while what was revoked is not known: nothing is vouched for then."""

    async def answer(request: Request) -> Response:
        try:
            check_fresh()
            found = await lists.find(request.path_params["name"])
        except JotgateError as refusal:
            return problem_response(render(refusal, request.headers.get("x-request-id", "")))
        if found is None:
            raise HTTPException(_NOT_FOUND)
        # Pages may read it too (s8.1); it is the same for everybody, and no secret.
        headers = {
            "Cache-Control": f"public, max-age={found.max_age_s}",
            "ETag": found.etag,
            "Access-Control-Allow-Origin": "*",
        }
        if is_fresh(request.headers.get("if-none-match", ""), found.etag):
            return Response(status_code=304, headers=headers)
        return Response(found.body, headers={"Content-Type": LIST_MEDIA_TYPE, **headers})

    return Route(LISTS_PATH + "{name}", answer, methods=["GET"])
