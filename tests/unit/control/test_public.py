"""What control refuses through the edge: a method that a path does not take is told by what it does take."""

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from jotgate.control.public import build_public
from jotgate.core.coze_proxy import COZE_PROXY
from jotgate.core.key_set import KeySetDocument
from jotgate.core.kong_auth import KONG_AUTH


def _no_keys() -> KeySetDocument:
    raise AssertionError("no key set is asked for")


async def _answer(_: Request) -> Response:
    return Response()


@pytest.mark.parametrize("face", ["", COZE_PROXY])
@pytest.mark.parametrize(
    ("taken", "refused", "allow", "said"),
    [
        (["DELETE"], "GET", "DELETE", "this path takes DELETE only"),
        (["GET"], "DELETE", "GET, HEAD", "this path takes GET only"),
        (["POST"], "GET", "POST", "this path takes POST only"),
        (["PUT", "DELETE"], "POST", "DELETE, PUT", "this path takes DELETE and PUT only"),
    ],
)
def test_a_method_that_a_path_does_not_take_is_told_by_what_it_takes(
    taken: list[str], refused: str, allow: str, said: str, face: str
) -> None:
    routes = [Route("/v1/conversations/{name}", _answer, methods=taken)]
    with TestClient(build_public(_no_keys, *routes, face=face), base_url="http://face.example") as client:
        answer = client.request(refused, "/v1/conversations/k")
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    assert said in answer.text


def test_what_is_not_there_is_told_with_the_requests_id() -> None:
    with TestClient(build_public(_no_keys, face=KONG_AUTH), base_url="http://face.example") as client:
        answer = client.get("/my-tokens/by-name/", headers={"X-Request-Id": "req-1"})
    assert (answer.status_code, answer.json()["error"]["reference_id"]) == (404, "req-1")
