"""The app of Coze's stand-in refuses every JWT but a good one, and that one the second time."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import serialization

from jotgate.testing.coze import CozeServer, coze_in_thread
from jotgate.testing.coze_app import generate
from tests.coze_clients import Plain, assertion


@pytest.fixture(scope="module")
def server() -> Iterator[CozeServer]:
    with coze_in_thread() as running:
        yield running


@pytest.fixture(scope="module")
def stranger() -> str:
    """The PEM of a key that the app does not have."""
    return (
        generate()
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def refused(server: CozeServer, token: str) -> str:
    """How the token endpoint refuses this JWT; nothing else but a 401 will do."""
    status, answer = Plain(server).exchange(token)
    assert (status, answer["error_code"]) == (401, "invalid_client"), answer
    assert server.exchanges[-1].error == "invalid_client"
    return str(answer["error_message"])


def test_a_good_one_is_taken_once(server: CozeServer) -> None:
    token = assertion(server)
    status, answer = Plain(server).exchange(token)
    assert (status, set(answer)) == (200, {"access_token", "expires_in", "token_type"})
    assert "jti" in refused(server, token)


@pytest.mark.parametrize(
    ("claims", "word"),
    [
        ({"aud": "api.coze.cn"}, "aud"),
        ({"aud": "https://api.coze.com"}, "aud"),
        ({"aud": ["api.coze.com"]}, "Expected"),
        ({"aud": None}, "aud"),
        ({"iss": "1105000000000002"}, "iss"),
        ({"iss": None}, "iss"),
        ({"jti": None}, "jti"),
        ({"jti": ""}, "jti"),
        ({"exp": 1_000_000_000, "iat": 999_999_000}, "expired"),
        ({"exp": None}, "exp"),
        ({"iat": None}, "iat"),
        ({"iat": 4_000_000_000, "exp": 4_000_000_600}, "valid yet"),
        ({"session_name": 7}, "session_name"),
    ],
)
def test_a_wrong_claim_is_refused(server: CozeServer, claims: dict[str, Any], word: str) -> None:
    assert word in refused(server, assertion(server, **claims))


def test_its_own_host_is_an_audience_as_sdks_derive_it(server: CozeServer) -> None:
    assert Plain(server).exchange(assertion(server, aud=f"127.0.0.1:{server.port}"))[0] == 200


def test_a_time_that_is_over_here_is_over(server: CozeServer) -> None:
    token = assertion(server)
    server.advance(601)
    try:
        assert "expired" in refused(server, token)
    finally:
        server.advance(-601)


@pytest.mark.parametrize(
    ("header", "word"), [({"kid": None}, "kid"), ({"kid": "x"}, "registred"), ({"typ": "at+jwt"}, "typ")]
)
def test_a_wrong_header_is_refused(server: CozeServer, header: dict[str, Any], word: str) -> None:
    good = assertion(server)
    payload = good.split(".")[1]
    members = {"alg": "RS256", "typ": "JWT", "kid": server.key_id, **header}
    named = json.dumps({name: value for name, value in members.items() if value is not None}).encode()
    token = f"{base64.urlsafe_b64encode(named).decode().rstrip('=')}.{payload}.{good.split('.')[2]}"
    assert word in refused(server, token)


def test_only_the_key_that_is_named_verifies(server: CozeServer, stranger: str) -> None:
    assert "signature" in refused(server, assertion(server, pem=stranger))


def test_only_rs256_is_taken(server: CozeServer) -> None:
    claims = pyjwt.decode(assertion(server), options={"verify_signature": False})
    for algorithm, key in (("RS384", server.private_key_pem), ("HS256", "k" * 64), ("none", "")):
        token = pyjwt.encode(claims, key, algorithm=algorithm, headers={"kid": server.key_id})
        assert "alg" in refused(server, token)


@pytest.mark.parametrize("token", ["", "x", "a.b", "a.b.c", "\xe9.b.c", "..."])
def test_what_is_no_jwt_is_refused(server: CozeServer, token: str) -> None:
    assert refused(server, token)


def test_three_pairs_of_keys_are_the_most(server: CozeServer) -> None:
    first, first_pem = server.key_id, server.private_key_pem
    added = [server.add_key() for _ in range(2)]
    with pytest.raises(ValueError, match="3 key pairs"):
        server.add_key()
    for key_id, pem in [(first, first_pem), *added]:
        assert Plain(server).exchange(assertion(server, pem=pem, header={"kid": key_id}))[0] == 200
        assert server.exchanges[-1].key_id == key_id
    for key_id, _ in added:
        server.drop_key(key_id)
    assert server.key_id == first
    assert "registred" in refused(server, assertion(server, pem=added[0][1], header={"kid": added[0][0]}))


def test_what_was_asked_is_kept(server: CozeServer) -> None:
    context = {"device_info": {"device_id": "d", "custom_consumer": "c"}}
    Plain(server).exchange(assertion(server, session_name="ann", session_context=context), duration_seconds=60)
    seen = server.exchanges[-1]
    assert (seen.grant, seen.session, seen.duration_s, seen.error) == ("jwt", "ann", 60, "")
    assert json.loads(seen.context) == context
