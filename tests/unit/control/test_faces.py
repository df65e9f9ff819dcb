"""Requests that came in by a face are answered by its application, and by no other."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from jotgate.control.faces import by_face


def application(name: str) -> Starlette:
    return Starlette(routes=[Route("/who", lambda _: PlainTextResponse(name))])


def test_each_face_has_its_own_and_none_falls_back_to_the_native_one() -> None:
    tickets = Starlette(routes=[Route("/v1/ws-tickets", lambda _: PlainTextResponse("tickets"))])
    asked = TestClient(by_face(application("native"), {"api-gateway": application("gateway")}, tickets))
    assert asked.get("/who").text == "native"
    assert asked.get("/who", headers={"X-Jotgate-Face": "api-gateway"}).text == "gateway"
    for unknown in ("prompt-chain", ""):
        answer = asked.get("/who", headers={"X-Jotgate-Face": unknown})
        assert (answer.status_code, answer.content) == (404, b"")
    assert asked.get("/v1/ws-tickets", headers={"X-Jotgate-Face": "api-gateway"}).text == "tickets"
    assert asked.get("/v1/ws-tickets").status_code == 404, "natively it is a route of that application"
