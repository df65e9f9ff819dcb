"""Document 003 against running gateways: its own code makes tokens and verifies ours, and what it leaves weak is not.

One gateway signs with the installation's keys; another with the key that JWT_PRIVATE_KEY holds, as the document has it.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx
import jwt as pyjwt
import pytest

from jotgate.core.api_gateway_problems import render_code
from jotgate.errors import IssuerUnavailable
from jotgate.jose.keys import generate, signing_key_to_pem
from jotgate.testing.running import run_command, running_gateway, until
from tests.docs.pages import pages
from tests.documents.excerpts import excerpt
from tests.faces import (
    PEM,
    WITHIN_S,
    Face,
    ask,
    document,
    express_with,
    middleware_with,
    require_npm,
    run_node,
    signed,
    told,
)
from tests.logging_in import JOHN, header_of
from tests.token_stage import claims_of

SECRET: Final = os.urandom(32).hex()
INVALID: Final = (401, {"error": "Invalid refresh token"})
PAGE: Final = "docs/systems/api-gateway.md"
CONFIG: Final = """
[tokens]
refresh_grace = "0s"

[[policies]]
name = "api"
effect = "allow"
issuers = ["api-gateway"]
roles = ["api_access"]
"""


@pytest.fixture(scope="module")
def face() -> Iterator[Face]:
    with running_gateway("", "--preset", "api-gateway", environment={"PORT": "0"}) as gateway:
        yield Face(gateway)


@pytest.fixture(scope="module")
def pem() -> Iterator[Face]:
    variables = {"PORT": "0", "JWT_PRIVATE_KEY": PEM.replace("\n", "\\n"), "JWT_SECRET": SECRET}
    with running_gateway(CONFIG, "--preset", "api-gateway", environment=variables) as gateway:
        yield Face(gateway)


@pytest.fixture(scope="module")
def express(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Start an Express application with these lines; where it listens."""
    require_npm()
    folder = tmp_path_factory.mktemp("express")
    with ExitStack() as stack:
        yield lambda lines: stack.enter_context(express_with(lines, folder))


@pytest.fixture(scope="module")
def middleware(pem: Face, express: Callable[[str], str]) -> str:
    """The document's middleware over the keys of the gateway that signs with JWT_PRIVATE_KEY."""
    return express(middleware_with(f"{pem.url}/.well-known/jwks.json"))


def test_the_documents_own_code_makes_a_token_that_is_taken(pem: Face, tmp_path: Path) -> None:
    printed = run_node(document(range(72, 110)), tmp_path, JWT_PRIVATE_KEY=PEM)
    label, token = printed.strip().rsplit(" ", 1)
    assert label == "Generated JWT:"
    assert header_of(token) == {"alg": "RS256", "typ": "JWT"}, "it names no key"
    assert told(pem.get(token=token)) == (
        200,
        {"message": "Access granted", "user": "user_123", "scopes": ["user", "api_access"]},
    )
    ours, theirs = claims_of(pem.log_in()["access_token"]), claims_of(token)
    assert ours.keys() - theirs.keys() == {"jti"}
    assert {name for name in theirs if ours[name] != theirs[name]} <= {"iat", "exp"}
    assert ours["exp"] - ours["iat"] == theirs["exp"] - theirs["iat"] == 3_600


def test_the_documents_middleware_takes_our_tokens_and_answers_as_we_do(pem: Face, middleware: str) -> None:
    token = pem.log_in()["access_token"]
    assert header_of(token).keys() == {"alg", "typ", "kid"}
    assert ask(middleware, token) == told(pem.get(token=token))
    assert ask(middleware, token)[0] == 200


def test_both_refuse_a_request_without_a_token_in_the_same_words(pem: Face, middleware: str) -> None:
    assert "code: 'MISSING_TOKEN'" in excerpt("003", 142)
    wanted = (401, {"error": "Authentication required", "code": "MISSING_TOKEN"})
    assert ask(middleware) == wanted
    assert told(pem.get()) == wanted
    assert told(pem.get("/api/protected/anything/else")) == wanted


BAD: Final[Mapping[str, tuple[Callable[[], str], str]]] = {
    "for another audience": (lambda: signed(aud="other"), "wrong audience"),
    "of another issuer": (lambda: signed(iss="other"), "wrong issuer"),
    "of another key": (lambda: signed(signing_key_to_pem(generate("RS256")).decode()), "invalid signature"),
    "with a changed signature": (lambda: signed()[:-6] + "AAAAAA", "invalid signature"),
    "that names another key": (lambda: signed(header={"kid": "another"}), "unknown signing key"),
    "with HMAC": (lambda: pyjwt.encode(claims_of(signed()), "s" * 32, "HS256"), "algorithm not allowed"),
    "with no signature": (lambda: pyjwt.encode(claims_of(signed()), "", "none"), "algorithm not allowed"),
    "that is none": (lambda: "no.token", "malformed token"),
}


@pytest.mark.parametrize("name", BAD)
def test_both_refuse_what_is_forged_or_for_others(pem: Face, middleware: str, name: str) -> None:
    make, details = BAD[name]
    token = make()
    status, said = ask(middleware, token)
    assert (status, said["error"], said["code"]) == (401, "Invalid token", "INVALID_TOKEN")
    wanted = {"error": "Invalid token", "code": "INVALID_TOKEN", "details": details}
    assert told(pem.get(token=token)) == (401, wanted)


def test_the_algorithm_is_a_setting(pem: Face) -> None:
    """RS256 by default; HS256 for internal systems, whose key set is empty; `none` is no choice."""
    file = pem.gateway.config
    before = pem.log_in()["access_token"]
    assert header_of(before)["alg"] == "RS256"
    try:
        file.write_text(CONFIG + '\n[api_gateway]\nalgorithm = "HS256"\n')
        pem.gateway.reload()
        token = pem.log_in()["access_token"]
        assert header_of(token).keys() == {"alg", "typ", "kid"}
        assert pyjwt.decode(token, SECRET, ["HS256"], audience="openai-api", issuer="api-gateway")["sub"] == "user_123"
        assert pem.get(token=token).status_code == 200
        assert pem.get(token=before).status_code == 401, "its key is no longer this face's"
        assert pem.get("/.well-known/jwks.json").json() == {"keys": []}
        file.write_text(CONFIG + '\n[api_gateway]\nalgorithm = "none"\n')
        refused = run_command("check", "--preset", "api-gateway", "--config", str(file), data=pem.gateway.data)
        assert refused.returncode == 1
        assert '"RS256", "ES256" or "HS256"; a token without a signature ("none") is never' in refused.stderr
    finally:
        file.write_text(CONFIG)
        pem.gateway.reload()
    assert pem.get(token=before).status_code == 200


def test_a_refresh_token_is_long_random_and_good_for_30_days(face: Face) -> None:
    assert "30 days" in excerpt("003", 203)
    found = {face.log_in()["refresh_token"] for _ in range(3)}
    assert len(found) == 3
    assert {len(one) for one in found} == {49}
    row = face.post_form("/oauth/introspect", token=found.pop()).json()
    assert row["exp"] - row["iat"] == 30 * 86_400


def test_a_refresh_answers_with_what_the_document_lists(face: Face) -> None:
    text = excerpt("003", 254)
    pair = face.refresh(face.log_in()["refresh_token"])
    assert all(f"{name}:" in text for name in pair)
    assert (pair["token_type"], pair["expires_in"]) == ("Bearer", 3_600)
    assert "error: 'Refresh token required'" in excerpt("003", 240)
    for body in ({}, {"refreshToken": ""}):
        answer = httpx.post(face.url + "/api/auth/refresh", json=body, timeout=WITHIN_S)
        assert told(answer) == (400, {"error": "Refresh token required"})
    assert "'Invalid refresh token'" in excerpt("003", 219)
    assert told(face.ask_refresh("ab" * 64)) == INVALID


def test_a_refresh_token_can_be_revoked(face: Face) -> None:
    """Giving it back is a logout: its access tokens end with it."""
    pair = face.log_in()
    assert face.get(token=pair["access_token"]).status_code == 200
    assert face.post_form("/oauth/revoke", token=pair["refresh_token"]).status_code == 200
    assert told(face.ask_refresh(pair["refresh_token"])) == INVALID
    until(lambda: face.get(token=pair["access_token"]).status_code == 401, "the session is over")
    assert face.get(token=pair["access_token"]).json()["details"] == "token revoked"


def test_tokens_are_blacklisted_by_whoever_may(face: Face) -> None:
    for way in ("jti", "subject", "given back"):
        token = face.log_in(sub=f"user_{way}")["access_token"]
        if way == "given back":
            assert face.post_form("/oauth/revoke", token=token).status_code == 200
        elif way == "jti":
            face.command("token", "revoke", claims_of(token)["jti"], "--yes")
        else:
            face.command("token", "revoke", "--subject", f"user_{way}", "--yes")
        until(lambda token=token: face.get(token=token).status_code == 401, f"it is revoked by {way}")  # type: ignore[misc]


def test_keys_rotate_and_the_documents_middleware_follows(face: Face, express: Callable[[str], str]) -> None:
    url = express(middleware_with(f"{face.url}/.well-known/jwks.json"))
    before = face.log_in()["access_token"]
    assert ask(url, before)[0] == 200
    face.command("key", "rotate")
    until(lambda: header_of(face.log_in()["access_token"]) != header_of(before), "another key signs")
    after = face.log_in()["access_token"]
    for token in (before, after):
        assert ask(url, token) == told(face.get(token=token))
        assert ask(url, token)[0] == 200
    face.command("key", "revoke", header_of(before)["kid"], "--yes")
    until(lambda: face.get(token=before).status_code == 401, "the key is refused")
    assert face.get(token=after).status_code == 200


def test_a_key_for_another_algorithm_than_the_faces_signs_nothing_there(face: Face) -> None:
    """What the document's middleware would not take is not given out, and whoever mends it is told how."""
    face.command("key", "rotate", "--algorithm", "ES256")
    until(lambda: "missing" in face.get("/health").json(), "the face says what it lacks")
    refused = httpx.post(face.url + "/api/auth/login", json=JOHN, auth=face.backend, timeout=WITHIN_S)
    assert (refused.status_code, refused.json()["code"]) == (503, "NOT_READY")
    (missing,) = face.get("/health").json()["missing"]
    command = "jotgate key rotate --algorithm RS256"
    assert command in missing
    assert command in refused.json()["details"]
    face.command(*command.split()[1:])
    until(lambda: face.get("/health").json() == {"status": "ok"}, "it has what it lacked")
    assert header_of(face.log_in()["access_token"])["alg"] == "RS256"


def test_what_the_document_links_to_is_linked_to_what_there_is(face: Face) -> None:
    page = pages()[PAGE]
    for line in (284, 291, 298, 304):
        assert excerpt("003", line)
    for link in ("../token-service.md", "../personal-tokens.md", "../keys.md", "../prices.md", "../running.md"):
        assert link in page.links()
    assert face.get("/health").json() == {"status": "ok"}


def test_weak_003_1_refresh_tokens_outlive_a_request_and_are_kept_as_digests(
    face: Face, express: Callable[[str], str]
) -> None:
    """The document's handler makes a new, empty store for each request, so that it refuses its own tokens."""
    lines = (
        document(range(196, 264)) + "\napp.get('/give', (q, r) => r.send(new TokenService().generateRefreshToken(1)));"
    )
    url = express(lines)
    given = httpx.get(url + "/give", timeout=WITHIN_S).text
    assert told(httpx.post(url + "/api/auth/refresh", json={"refreshToken": given}, timeout=WITHIN_S)) == INVALID
    token = face.log_in()["refresh_token"]
    kept = [path.read_bytes() for path in face.gateway.data.rglob("*.db*")]
    assert any(b"john@example.com" in content for content in kept), "this is where logins are kept"
    assert not any(token.encode() in content for content in kept)
    assert face.refresh(token)["refresh_token"] != token


def test_weak_003_2_a_race_leaves_one_line_and_a_reused_token_ends_the_session(face: Face, pem: Face) -> None:
    token = face.log_in()["refresh_token"]
    with ThreadPoolExecutor(8) as pool:
        pairs = list(pool.map(face.refresh, [token] * 8))
    assert len({pair["refresh_token"] for pair in pairs}) == 1
    stolen = pem.log_in()
    pair = pem.refresh(stolen["refresh_token"])
    assert told(pem.ask_refresh(stolen["refresh_token"])) == INVALID  # There is no grace here.
    assert told(pem.ask_refresh(pair["refresh_token"])) == INVALID
    until(lambda: pem.get(token=pair["access_token"]).status_code == 401, "and its access tokens are refused")


def test_weak_003_3_a_refreshed_token_keeps_name_email_and_roles(face: Face) -> None:
    pair = face.log_in()
    for _ in range(2):
        pair = face.refresh(pair["refresh_token"])
    claims = claims_of(pair["access_token"])
    assert {name: claims[name] for name in JOHN} == JOHN


def test_weak_003_4_each_token_names_its_key_so_that_two_keys_work(face: Face) -> None:
    kids = {one["kid"] for one in face.get("/.well-known/jwks.json").json()["keys"]}
    assert header_of(face.log_in()["access_token"])["kid"] in kids
    face.command("key", "rotate", "--ahead", "1h")
    until(lambda: len(face.get("/.well-known/jwks.json").json()["keys"]) > len(kids), "another key is published")
    assert face.get(token=face.log_in()["access_token"]).status_code == 200


def test_weak_003_5_expired_is_told_as_expired_and_the_tolerance_is_one(pem: Face, middleware: str) -> None:
    now_s = int(time.time())
    late = signed(iat=now_s - 99, exp=now_s - 20)
    assert pem.get(token=late).status_code == 200
    assert ask(middleware, late) == (401, {"error": "Token expired", "code": "TOKEN_EXPIRED"})
    over = signed(iat=now_s - 99, exp=now_s - 31)
    assert told(pem.get(token=over)) == (401, {"error": "Token expired", "code": "TOKEN_EXPIRED"})
    assert ask(middleware, over)[1]["code"] == "INVALID_TOKEN", "there it cannot be told"


def test_weak_003_6_nothing_leaks_and_what_was_only_named_is_there(
    face: Face, pem: Face, express: Callable[[str], str]
) -> None:
    down = express(middleware_with("http://127.0.0.1:9/jwks.json"))
    status, said = ask(down, signed(header={"kid": "any"}))
    assert (status, said["code"]) == (401, "INVALID_TOKEN"), "an outage is the caller's fault there"
    assert "127.0.0.1" in said["details"], "and says where the keys are"
    outage = render_code(IssuerUnavailable("the keys cannot be had now"))
    assert (outage.status, json.loads(outage.body)["code"]) == (503, "ISSUER_UNAVAILABLE")
    unsigned = pyjwt.encode(claims_of(signed()), "", "none")
    assert pem.get(token=unsigned).json()["details"] == "algorithm not allowed"
    pair = face.log_in()
    asked = face.post_form("/oauth/introspect", token=pair["access_token"]).json()
    assert (asked["active"], asked["sub"], asked["iss"]) == (True, "user_123", "api-gateway")
    for grant in ("password", "implicit"):
        refused = face.post_form("/oauth/token", grant_type=grant, username="a", password="b")
        assert refused.json()["error"] == "unsupported_grant_type"
    assert pem.get(token=pem.log_in()["access_token"]).status_code == 200
    status, said = told(pem.get(token=pem.log_in(roles=["user"])["access_token"]))
    assert (status, said["error"], said["code"]) == (403, "Forbidden", "POLICY_DENIED"), "roles are enforced"


def test_a_model_is_called_with_a_token_of_a_login(face: Face) -> None:
    headers = {"Authorization": f"Bearer {face.log_in()['access_token']}"}
    body = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}
    answer = httpx.post(face.url + "/v1/chat/completions", json=body, headers=headers, timeout=WITHIN_S)
    assert answer.json()["choices"][0]["message"]["content"] == "hello"
    native = httpx.post(face.gateway.url + "/v1/chat/completions", json=body, headers=headers, timeout=WITHIN_S)
    assert native.status_code == 401, "its tokens count at this face alone"


def test_nothing_of_all_this_stands_in_a_log(face: Face, pem: Face) -> None:
    token = face.log_in()["access_token"]
    face.get(token=token)
    for one in (face, pem):
        written = one.gateway.errors + "".join(
            path.read_text() for path in (one.gateway.data / "audit").rglob("*") if path.is_file()
        )
        assert "John" not in written
        assert token not in written
        assert PEM.split("\n")[1] not in written
