"""`verify_bearer_token` in somebody else's application: what it returns, and each refusal of the document."""

import asyncio
import logging
import secrets
import time
from pathlib import Path
from typing import Annotated

import httpx
import jwt as pyjwt
import pytest
from fastapi import Depends, FastAPI

from jotgate.sdk.fastapi import verify_bearer_token
from jotgate.sdk.generate_jwt import generate_token

SECRET = secrets.token_urlsafe(64)

app = FastAPI()


@app.get("/claims")
async def claims(token: Annotated[dict[str, object], Depends(verify_bearer_token)]) -> dict[str, object]:
    """What the dependency hands to a route."""
    assert type(token) is dict
    return token


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JWT_SECRET_KEY", SECRET)
    monkeypatch.delenv("JWT_ALGORITHM", raising=False)
    return monkeypatch


def ask(*authorization: str, path: str = "/claims") -> httpx.Response:
    async def get() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
            return await client.get(path, headers=[("Authorization", one) for one in authorization])

    return asyncio.run(get())


def told(answer: httpx.Response) -> tuple[int, object, bool]:
    """Status, body, and whether there is a challenge."""
    return answer.status_code, answer.json(), answer.headers.get("www-authenticate") == "Bearer"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_claims_come_as_a_plain_dict(scheme: str) -> None:
    token = generate_token(SECRET, "my-service", 60)
    assert ask(f"{scheme} {token}").json() == pyjwt.decode(token, SECRET, ["HS256"])


def test_claims_of_other_libraries_come_whole() -> None:
    mine = {"sub": "client", "iat": int(time.time()), "team": {"id": 7}}
    assert ask(f"Bearer {pyjwt.encode(mine, SECRET, 'HS256')}").json() == mine


def spoiled(token: str) -> str:
    """The token with another first character of its signature."""
    start = token.rindex(".") + 1
    return token[:start] + ("B" if token[start] == "A" else "A") + token[start + 1 :]


NOW_S = int(time.time())
ANOTHER = secrets.token_urlsafe(32)


@pytest.mark.parametrize(
    ("authorization", "wanted"),
    [
        ([], (401, "Not authenticated", True)),
        (["Bearer "], (401, "Not authenticated", True)),
        (["Bearer"], (401, "Not authenticated", True)),
        (["Basic dXNlcjpwYXNz"], (401, "Invalid authentication credentials", True)),
        (["Token abc"], (401, "Invalid authentication credentials", True)),
        (["Bearer a", "Bearer b"], (401, "Invalid authentication credentials", True)),
        (["Bearer a.b"], (403, "Invalid authentication credentials", False)),
        (["Bearer not a token"], (403, "Invalid authentication credentials", False)),
        ([f"Bearer {generate_token(ANOTHER)}"], (403, "Invalid authentication credentials", False)),
        ([f"Bearer {spoiled(generate_token(SECRET))}"], (403, "Invalid authentication credentials", False)),
        ([f"Bearer {generate_token(SECRET, algorithm='HS512')}"], (403, "Invalid authentication credentials", False)),
        (
            [f"Bearer {pyjwt.encode({'sub': 'client', 'iat': NOW_S - 9, 'exp': NOW_S - 1}, SECRET, 'HS256')}"],
            (401, "Token has expired", True),
        ),
        (
            [f"Bearer {pyjwt.encode({'sub': 'client', 'iat': NOW_S - 9, 'exp': NOW_S - 1}, ANOTHER, 'HS256')}"],
            (403, "Invalid authentication credentials", False),
        ),
        (
            [f"Bearer {pyjwt.encode({'sub': 'client', 'iat': NOW_S, 'nbf': NOW_S + 900}, SECRET, 'HS256')}"],
            (403, "Invalid authentication credentials", False),
        ),
        (
            [f"Bearer {pyjwt.encode({'sub': 'client'}, '', 'none')}"],
            (403, "Invalid authentication credentials", False),
        ),
    ],
)
def test_each_refusal_is_that_of_the_document(authorization: list[str], wanted: tuple[int, str, bool]) -> None:
    status, detail, challenged = wanted
    assert told(ask(*authorization)) == (status, {"detail": detail}, challenged)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"JWT_SECRET_KEY": ""}, "JWT_SECRET_KEY is not set"),
        ({"JWT_SECRET_KEY": SECRET[:31]}, "less than 32 characters"),
        ({"JWT_SECRET_KEY": "aaaaaaaabbbbbbbbaaaaaaaabbbbbbbb"}, "a few repeated bytes"),
        ({"JWT_ALGORITHM": "none"}, "JWT_ALGORITHM is 'NONE'"),
        ({"JWT_SECRET_KEY": SECRET[:63], "JWT_ALGORITHM": "HS512"}, "token_urlsafe(64)"),
    ],
)
def test_weak_001_10_a_misconfigured_application_answers_500_and_logs_why(
    variables: dict[str, str], said: str, settings: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing ever reached the original's answer: its settings refused to load first."""
    for name, value in variables.items():
        settings.setenv(name, value)
    with caplog.at_level(logging.ERROR):
        assert told(ask("Bearer a.b.c")) == (500, {"detail": "Authentication system misconfigured"}, False)
    assert said in caplog.text
    assert SECRET[:31] not in caplog.text
    assert told(ask())[0] == 401, "a request without a token is told that first"


def test_weak_001_11_the_secret_and_the_algorithm_are_those_of_now_and_cost_no_reading(
    settings: pytest.MonkeyPatch,
) -> None:
    token = generate_token(SECRET, algorithm="HS512")
    assert ask(f"Bearer {token}").status_code == 403
    settings.setenv("JWT_ALGORITHM", "HS512")
    assert ask(f"Bearer {token}").json()["sub"] == "client"
    settings.setenv("JWT_SECRET_KEY", secrets.token_urlsafe(64))
    assert ask(f"Bearer {token}").status_code == 403


def test_the_algorithm_may_be_written_as_the_gateway_reads_it(settings: pytest.MonkeyPatch) -> None:
    settings.setenv("JWT_ALGORITHM", " hs512")
    assert ask(f"Bearer {generate_token(SECRET, 'x', 60, 'HS512')}").status_code == 200


def test_the_scheme_stands_in_the_applications_own_document() -> None:
    document = ask(path="/openapi.json").json()
    assert document["components"]["securitySchemes"] == {
        "JWT": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    assert document["paths"]["/claims"]["get"]["security"] == [{"JWT": []}]
