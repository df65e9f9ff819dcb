"""Reads the body of a request that is one strict JSON object, for the faces whose answers come of control."""

from starlette.requests import Request

from jotgate.errors import EncodingRefused, MediaTypeRefused, RequestMalformed, TokenMalformed
from jotgate.jose.encoding import parse_object


async def read_members(request: Request) -> dict[str, object]:
    """The members of the body; an empty body has none.

    Raises:
        EncodingRefused, MediaTypeRefused, RequestMalformed: it is something else.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise EncodingRefused("the body has a Content-Encoding")
    body = await request.body()
    if not body:
        return {}
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise MediaTypeRefused("the body is not of the type application/json")
    try:
        return parse_object(body, "body")
    except TokenMalformed as fault:
        raise RequestMalformed(fault.message, hint="Send one JSON object in UTF-8") from None
