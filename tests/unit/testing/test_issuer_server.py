"""The issuer on loopback publishes what it signs with, and fails as it is told to."""

import http.client
import json
import ssl
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from jotgate.jose import jwt
from jotgate.jose.jwt import Expectation
from jotgate.jose.keys import KeySet
from jotgate.testing.certificates import Authority
from jotgate.testing.issuer_server import DISCOVERY_PATH, IssuerServer, issuer_in_thread
from jotgate.testing.upstream import unary

_AUDIENCE = "https://gate.example"


def get(url: str, tls: ssl.SSLContext | None = None, **headers: str) -> tuple[int, bytes, http.client.HTTPMessage]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    client = (
        http.client.HTTPConnection(host, parts.port, timeout=10)
        if tls is None
        else http.client.HTTPSConnection(host, parts.port, timeout=10, context=tls)
    )
    client.request("GET", parts.path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = client.getresponse()
    found = response.status, response.read(), response.headers
    client.close()
    return found


def verify(server: IssuerServer, token: str) -> str:
    keys = KeySet.from_jwks(get(server.jwks_url)[1])
    expectation = Expectation(
        issuer=server.issuer,
        audiences=(_AUDIENCE,),
        types=("at+jwt",),
        algorithms=("ES256",),
        leeway_s=5,
        lifetime_max_s=3_600,
    )
    verified = jwt.verify(token.encode(), keys, expectation, time.time())
    return verified.key.kid


def test_its_tokens_verify_with_what_its_metadata_leads_to() -> None:
    with issuer_in_thread(path="/tenant") as server:
        status, body, _ = get(server.issuer + DISCOVERY_PATH)
        metadata = json.loads(body)
        assert (status, metadata["issuer"], metadata["jwks_uri"]) == (200, server.issuer, server.jwks_url)
        assert verify(server, server.mint(_AUDIENCE)) == server.key.kid


@pytest.mark.parametrize("drop", [False, True])
def test_a_rotation_publishes_the_key_that_signs_from_then_on(drop: bool) -> None:
    with issuer_in_thread() as server:
        before = server.key
        after = server.rotate(drop=drop)
        assert verify(server, server.mint(_AUDIENCE)) == after.kid != before.kid
        kids = {key.kid for key in KeySet.from_jwks(get(server.jwks_url)[1]).keys}
        assert kids == ({after.kid} if drop else {before.kid, after.kid})
        assert server.key_fetches == 2


def test_an_unchanged_set_is_not_sent_again_to_who_names_its_tag() -> None:
    with issuer_in_thread() as server:
        server.tags = True
        _, _, headers = get(server.jwks_url)
        assert get(server.jwks_url, If_None_Match=headers["ETag"])[:2] == (304, b"")
        server.rotate()
        assert get(server.jwks_url, If_None_Match=headers["ETag"])[0] == 200


def test_it_answers_as_scripted_and_goes_and_comes_back() -> None:
    with issuer_in_thread() as server:
        server.answers["/keys"] = unary(b"<html>", 500)
        assert get(server.jwks_url)[:2] == (500, b"<html>")
        server.do(server.refuse())
        with pytest.raises(ConnectionRefusedError):
            get(server.jwks_url)
        server.answers.clear()
        server.do(server.accept())
        assert get(server.jwks_url)[:2] == (200, server.jwks())


def test_it_serves_under_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("issuer")
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(pair.cert, pair.key)
    with issuer_in_thread(tls=serving) as server:
        trusting = ssl.create_default_context(cafile=str(authority.root))
        assert get(server.jwks_url, trusting)[:2] == (200, server.jwks())
