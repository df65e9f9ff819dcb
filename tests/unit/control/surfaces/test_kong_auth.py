"""What control answers at the Kong auth service's face: to whom the edge has verified, and in what time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from jotgate.control.public import build_public
from jotgate.control.surfaces.kong_auth import KongAuthDesks, KongAuthRoutes
from jotgate.core.face_callers import FIELD, write_caller
from jotgate.core.key_set import KeySetDocument
from jotgate.core.kong_auth import KONG_AUTH, KongAuthRules
from jotgate.core.principals import NOBODY
from jotgate.errors import DirectoryRefused, StoreUnavailable
from jotgate.testing.casdoor import CasdoorServer

CASDOOR: Final = CasdoorServer()
ALICE: Final = CASDOOR.users["sharif/alice"]


class Failing:
    """A desk of tokens that does one thing, whatever it is asked."""

    def __init__(self, do: Callable[[], Awaitable[Any]]) -> None:
        self._do = do

    async def held(self, _: object) -> Any:
        return await self._do()


def client_of(
    do: Callable[[], Awaitable[Any]], *, figures: Callable[[], Awaitable[bytes]] | None = None, is_there: bool = True
) -> TestClient:
    """A client of the face before such a desk; what nobody foresaw is answered, as behind the edge."""

    async def nothing() -> bytes:
        return b""

    tokens: Any = Failing(do)
    routes = KongAuthRoutes(
        KongAuthDesks(tokens, tokens, tokens),
        lambda: KongAuthRules() if is_there else None,
        figures or nothing,
        figures_type="text/plain",
        within_s=0.05,
    )
    application = build_public(_no_keys, *routes.routes, face=KONG_AUTH)
    return TestClient(application, base_url="http://face.example", raise_server_exceptions=False)


def shown(subject: str = ALICE.subject, token: str = "") -> dict[str, str]:
    """What the edge sends along."""
    caller = write_caller(replace(NOBODY, issuer="https://casdoor.example", subject=subject)).decode()
    return {
        FIELD.decode(): caller,
        "Authorization": f"Bearer {token or CASDOOR.mint('sharif/alice', iss='https://casdoor.example')}",
        "X-Request-Id": "req-1",
    }


async def nothing_held() -> list[object]:
    return []


def test_without_the_edges_word_nobody_is_told_anything() -> None:
    with client_of(nothing_held) as client:
        assert client.get("/my-tokens", headers=shown()).status_code == 200
        for headers in ({}, {**shown(), FIELD.decode(): "no caller"}):
            assert client.get("/my-tokens", headers=headers).json()["error"]["code"] == "token_missing"
        for wrong in (shown("somebody else"), shown(token="no.token")):
            answer = client.get("/my-tokens", headers=wrong)
            assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
            assert answer.json()["error"]["reference_id"] == "req-1"
    with client_of(nothing_held, is_there=False) as client:
        assert client.get("/my-tokens", headers=shown()).status_code == 401


def test_what_takes_too_long_is_told_as_kongs_fault() -> None:
    with client_of(lambda: asyncio.Event().wait()) as client:
        answer = client.get("/my-tokens", headers=shown())
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "kong_timeout")


def test_what_is_wrong_with_the_directory_is_the_operators_to_know() -> None:
    async def fail() -> None:
        raise DirectoryRefused("the file 'seal.key' in DATA is not what jotgate wrote")

    with client_of(fail) as client:
        answer = client.get("/my-tokens", headers=shown())
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert "seal.key" not in answer.text


@pytest.mark.parametrize("path", ["/metrics", "/metrics/metrics"])
def test_figures_are_told_to_anybody_or_why_not(path: str) -> None:
    async def fail() -> bytes:
        raise StoreUnavailable("the database does not answer")

    with client_of(nothing_held) as client:
        assert client.get(path).headers["content-type"] == "text/plain"
    with client_of(nothing_held, figures=fail) as client:
        assert client.get(path).status_code == 503


def _no_keys() -> KeySetDocument:
    raise AssertionError("no key set is asked for")
