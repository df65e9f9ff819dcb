"""Web pages of listed origins may read answers; a preflight needs no token; cookies where a route has them."""

import pytest

from jotgate.core.calls import Request
from jotgate.edge.surfaces.cors import CorsSurface
from tests.listening import Application, Edge, get, listening, post
from tests.loops import on_loop, until

LISTED = "https://app.example"
ORIGIN = b"Origin: https://app.example"


class NamingApplication:
    """An application that names requests (edge.surfaces.cors.NamingApplication)."""

    def __init__(self, inner: Application) -> None:
        self.open = inner.open
        self.refuse = inner.refuse

    def name(self, request: Request) -> str:
        return f"named-{request.headers[b'host'].decode()}"


def with_origins(edge: Edge, *origins: str) -> None:
    edge.surroundings.application = CorsSurface(NamingApplication(edge.application), origins or (LISTED,))


@pytest.mark.parametrize("with_cookies", [False, True])
@on_loop
async def test_cookies_may_be_sent_only_by_listed_pages_and_where_a_route_takes_them(with_cookies: bool) -> None:
    async with listening() as edge:
        inner = NamingApplication(edge.application)
        edge.surroundings.application = CorsSurface(inner, (LISTED,), with_cookies=with_cookies)
        client = await edge.connect()
        for origin, allowed in ((ORIGIN, with_cookies), (b"Origin: https://evil.example", False)):
            for request in (preflight(origin), get(b"/now", origin)):
                response = await client.send(request).answer()
                assert response.fields.get("access-control-allow-credentials") == ("true" if allowed else None)


def preflight(origin: bytes, *lines: bytes) -> bytes:
    return get(b"/no", origin, b"Access-Control-Request-Method: POST", *lines).replace(b"GET", b"OPTIONS", 1)


@on_loop
async def test_a_preflight_of_a_listed_origin_is_answered_without_a_token() -> None:
    async with listening() as edge:
        with_origins(edge)
        client = await edge.connect()
        asked = b"Access-Control-Request-Headers: authorization,content-type,x-stainless-os"
        response = await client.send(preflight(ORIGIN, asked)).answer()
        assert (response.status, response.fields["access-control-allow-origin"]) == (204, LISTED)
        assert response.fields["access-control-allow-headers"] == "authorization,content-type,x-stainless-os"
        assert "POST" in response.fields["access-control-allow-methods"]
        assert response.fields["vary"].startswith("Origin")
        assert response.fields["x-request-id"] == "named-gate"
        assert edge.application.opened == []


@pytest.mark.parametrize(
    "origin",
    [
        b"https://app.example.evil",
        b"https://evil.example",
        b"http://app.example",
        b"https://app.example:8443",
        b"HTTPS://APP.EXAMPLE",
        b"null",
        b"*",
        b"",
    ],
)
@on_loop
async def test_another_origin_is_told_nothing(origin: bytes) -> None:
    async with listening() as edge:
        with_origins(edge)
        client = await edge.connect()
        for request in (preflight(b"Origin: " + origin), get(b"/now", b"Origin: " + origin)):
            response = await client.send(request).answer()
            assert not [name for name in response.fields if name.startswith("access-control")]
            assert response.fields["vary"].startswith("Origin")


@pytest.mark.parametrize("names", [b"a b", b"a;b", b",a", b"(a)"])
@on_loop
async def test_what_is_no_list_of_names_is_not_said_back(names: bytes) -> None:
    async with listening() as edge:
        with_origins(edge)
        client = await edge.connect()
        response = await client.send(preflight(ORIGIN, b"Access-Control-Request-Headers: " + names)).answer()
        assert "access-control-allow-headers" not in response.fields


@on_loop
async def test_answers_and_refusals_may_be_read_and_credentials_are_never_allowed() -> None:
    async with listening() as edge:
        with_origins(edge, LISTED, "http://localhost:5173")
        client = await edge.connect()
        for path, status in ((b"/now", 200), (b"/no", 401)):
            for origin in (LISTED, "http://localhost:5173"):
                response = await client.send(get(path, b"Origin: " + origin.encode())).answer()
                assert (response.status, response.fields["access-control-allow-origin"]) == (status, origin)
                assert "X-Request-Id" in response.fields["access-control-expose-headers"]
                assert "access-control-allow-credentials" not in response.fields


@on_loop
async def test_a_streamed_answer_may_be_read() -> None:
    async with listening() as edge:
        with_origins(edge)
        client = await edge.connect()
        client.send(post(b"x", b"/later", ORIGIN))
        await until(lambda: len(edge.application.tasks) == 1)
        caller = edge.application.tasks[0].caller
        caller.start(200, b"A: b\r\n", None, b"on")
        caller.write(b"e")
        caller.end(b"!")
        response = await client.answer()
        assert (response.body, response.fields["access-control-allow-origin"], response.fields["a"]) == (
            b"one!",
            LISTED,
            "b",
        )


@on_loop
async def test_no_page_of_a_listed_origin_uses_the_admin_api() -> None:
    async with listening() as edge:
        with_origins(edge)
        client = await edge.connect()
        asking = get(b"/admin/api/clients", ORIGIN, b"Access-Control-Request-Method: POST")
        for request in (asking.replace(b"GET", b"OPTIONS", 1), get(b"/admin/api/clients", ORIGIN)):
            response = await client.send(request).answer()
            assert not [name for name in response.fields if name.startswith("access-control-")]
            assert "Origin" in response.fields["vary"]
