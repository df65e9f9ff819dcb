"""Rows E01, E02 and C02 at a gateway that fetches keys: what an issuer answers, and who makes jotgate ask it."""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from msgspec import Struct

from jotgate.errors import Code
from jotgate.jose.keys import SigningKey, generate, public_jwk
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.issuer_server import JWKS_PATH, IssuerServer, issuer_in_thread
from jotgate.testing.running import running_gateway, until
from jotgate.testing.upstream import Answer, End, Gate, chunked, unary, upstream_in_thread
from tests.attacks.target import MODEL, SETTINGS, UPSTREAM, Shot, Target, bearer

AUDIENCE: Final = "https://gate.example"
_FLOOD: Final = 400
_FETCHES_MAX: Final = 10  # fetches_per_minute, of which failures are tried again
_ENTRY: Final = """
[[issuers]]
name = "{name}"
issuer = "{issuer}"
jwks_url = "{jwks_url}"
algorithms = ["ES256"]
audiences = ["https://gate.example"]
timeout = "1s"
refresh = "{refresh}"
cooldown = "{cooldown}"
fetches_per_minute = {per_minute}
"""


class Remote(Struct, frozen=True):
    """The gateway, and the issuer whose keys it fetches."""

    target: Target
    server: IssuerServer

    def token(self) -> bytes:
        """A good token of the issuer."""
        return self.server.mint(AUDIENCE).encode()


def _entry(server: IssuerServer, refresh: str, cooldown: str) -> str:
    at = {"name": "remote", "issuer": server.issuer, "jwks_url": server.jwks_url}
    return _ENTRY.format(refresh=refresh, cooldown=cooldown, per_minute=600, **at)


@pytest.fixture(scope="module")
def calm() -> Iterator[Remote]:
    """Keys are fetched at the start, and then for the sake of unknown ones once within the time of a test."""
    with issuer_in_thread() as server, upstream_in_thread() as upstream:
        config = SETTINGS + UPSTREAM.format(upstream.base_url, MODEL) + _entry(server, "24h", "1h")
        with running_gateway(config, "--workers", "1") as gateway:
            yield Remote(Target(gateway, upstream, gateway.token("--ttl", "1h").encode()), server)


def test_E01_a_flood_of_unknown_kids_asks_once(calm: Remote) -> None:
    """However many keys are named, one fetch is made for them in a cooldown; good tokens go on being taken."""
    calm.target.takes(calm.token())
    before = calm.server.key_fetches
    maker = calm.server.maker(AUDIENCE)
    stranger = TestIssuer(generate("ES256"), maker.issuer, maker.audience, maker.now_s)
    shots: dict[str, Shot] = {}
    for number in range(_FLOOD):
        signer = stranger if number % 2 else maker
        shots[f"kid_{number}"] = bearer(signer.with_header(kid=f"unknown-{number}"), Code.KEY_UNKNOWN)
    calm.target.refuses(shots)
    assert calm.server.key_fetches == before + 1
    calm.target.takes(calm.token())


def test_E01_tokens_that_cannot_be_good_ask_nobody(calm: Remote) -> None:
    """Another algorithm, another issuer, no strict form: a kid that stands in such a token is not looked for."""
    before = len(calm.server.requests)
    maker = calm.server.maker(AUDIENCE)
    stranger = TestIssuer(generate("ES256"), "https://other.example", AUDIENCE, maker.now_s)
    calm.target.refuses(
        {
            "none": bearer(maker.with_header(alg="none", kid="x"), Code.ALGORITHM_REFUSED),
            "hmac": bearer(maker.seal_with_secret(b"secret", kid="x"), Code.ALGORITHM_REFUSED),
            "other_issuer": bearer(stranger.with_claims(), Code.CLAIM_REFUSED),
            "no_kid_of_form": bearer(maker.with_header(kid="\n"), Code.TOKEN_MALFORMED),
            "crit": bearer(maker.with_header(kid="x", crit=["x"]), Code.TOKEN_MALFORMED),
            "two_dots": bearer(b"..", Code.TOKEN_MALFORMED),
        }
    )
    assert len(calm.server.requests) == before


def _bomb() -> bytes:
    return gzip.compress(b'{"keys":[' + b" " * 50_000_000 + b"]}")


def _good_key(server: IssuerServer) -> bytes:
    return json.dumps(public_jwk(server.key.verification_key)).encode()


_ANSWERS: Final[dict[str, Callable[[IssuerServer], Answer]]] = {
    "500": lambda _: unary(b"{}", 500),
    "404": lambda _: unary(b'{"error":"not_found"}', 404),
    "204": lambda _: unary(b"", 204),
    "206": lambda server: unary(server.jwks(), 206),
    "nothing": lambda _: [End()],
    "reset": lambda _: [End("reset")],
    "silence": lambda _: [Gate()],
    "slow_drip": lambda _: [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"{", Gate()],
    "torn": lambda server: [b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + server.jwks(), End()],
    "redirect_to_metadata": lambda _: unary(b"", 302, b"Location: http://169.254.169.254/latest/meta-data/"),
    "redirect_to_file": lambda _: unary(b"", 302, b"Location: file:///etc/passwd"),
    "redirect_to_itself": lambda _: unary(b"", 302, b"Location: /keys/redirect_to_itself"),
    "html": lambda _: unary(b"<html><body>Sign in</body></html>", 200),
    "bom": lambda server: unary(b"\xef\xbb\xbf" + server.jwks()),
    "utf16": lambda server: unary(server.jwks().decode().encode("utf-16")),
    "not_utf8": lambda server: unary(server.jwks()[:-1] + b',"x":"\xff"}'),
    "100_mb": lambda _: [b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b" " * 1_000_000, Gate()],
    "endless_chunks": lambda _: chunked(*[b" " * 65_536] * 100, Gate(), content_type=b"application/json"),
    "gzip_bomb": lambda _: unary(_bomb(), 200, b"Content-Encoding: gzip"),
    "empty": lambda _: unary(b""),
    "null": lambda _: unary(b"null"),
    "empty_object": lambda _: unary(b"{}"),
    "empty_keys": lambda _: unary(b'{"keys":[]}'),
    "keys_null": lambda _: unary(b'{"keys":null}'),
    "keys_object": lambda _: unary(b'{"keys":{}}'),
    "array": lambda server: unary(b"[" + _good_key(server) + b"]"),
    "only_bad_keys": lambda _: unary(b'{"keys":[{"kty":"oct","k":"AAAA","kid":"a"},{"kty":"RSA","n":"AQ","e":"AQ"}]}'),
    "deep": lambda _: unary(b'{"keys":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "keys_twice": lambda server: unary(b'{"keys":[],' + server.jwks()[1:]),
    "two_documents": lambda server: unary(server.jwks() * 2),
    "comment": lambda server: unary(server.jwks() + b"//"),
    "thousand_keys": lambda server: unary(b'{"keys":[' + b",".join([_good_key(server)] * 1_000) + b"]}"),
    "one_malformed_key": lambda server: unary(server.jwks()),
    "digits": lambda _: unary(b'{"keys":[],"x":' + b"9" * 100_000 + b"}"),
}


@pytest.fixture
def crowd() -> Iterator[Remote]:
    """A gateway that trusts an issuer for each bad answer; all of them publish the same key, each at its own path."""
    with issuer_in_thread() as server, upstream_in_thread() as upstream:
        config = SETTINGS + UPSTREAM.format(upstream.base_url, MODEL)
        for name in _ANSWERS:
            server.answers[_path_of(name)] = unary(server.jwks())
            at = {"name": name, "issuer": _issuer_of(name), "jwks_url": server.origin + _path_of(name)}
            config += _ENTRY.format(refresh="24h", cooldown="1h", per_minute=_FETCHES_MAX, **at)
        with running_gateway(config, "--workers", "1") as gateway:
            yield Remote(Target(gateway, upstream, gateway.token("--ttl", "1h").encode()), server)


def test_E02_no_answer_takes_good_keys_out_of_use(crowd: Remote) -> None:
    """Each bad answer is asked for by an unknown key; the tokens of before are taken as before, and memory stays."""
    target, server = crowd.target, crowd.server
    makers = {name: TestIssuer(server.key, _issuer_of(name), AUDIENCE, time.time()) for name in _ANSWERS}
    for maker in makers.values():
        target.takes(maker.token())
    memory = target.memory_bytes("control")
    for name, answer in _ANSWERS.items():
        server.answers[_path_of(name)] = answer(server)
    new = _with_bad_neighbours(server)
    unknown = {name: maker.with_header(kid="unknown") for name, maker in makers.items()}
    found = {name: target.status_of(token) for name, token in unknown.items()}
    assert set(found.values()) <= {401, 503}, found
    asked = {name: server.count(_path_of(name)) for name in _ANSWERS}
    assert all(2 <= count <= _FETCHES_MAX for count in asked.values()), asked
    for maker in makers.values():
        target.takes(maker.token())
    target.takes(TestIssuer(new, _issuer_of("one_malformed_key"), AUDIENCE, time.time()).token())
    target.is_unshaken()
    assert target.memory_bytes("control") - memory < 60_000_000
    assert {request.target for request in server.requests} == {_path_of(name) for name in _ANSWERS}


def _path_of(name: str) -> str:
    return f"/keys/{name}"


def _issuer_of(name: str) -> str:
    return f"https://{name.replace('_', '-')}.example"


def _with_bad_neighbours(server: IssuerServer) -> SigningKey:
    """Publish a new key of an issuer among keys that are none. Returns the new one."""
    new = server.make_key()
    bad: tuple[object, ...] = (None, 1, "key", [], {}, {"kty": "EC"}, {"kty": "RSA", "n": 1, "e": 1}, {"kty": "oct"})
    good = [public_jwk(key.verification_key) for key in (server.key, new)]
    keys = [*bad, good[0], {"kid": new.kid}, good[1]]
    server.answers[_path_of("one_malformed_key")] = unary(json.dumps({"keys": keys}).encode())
    return new


def test_E02_an_issuer_that_never_answered_is_503_and_no_401() -> None:
    """Unreachable is not wrong: the answer says when to come again, and nothing is believed meanwhile."""
    with issuer_in_thread() as server, upstream_in_thread() as upstream:
        server.answers[server.path + JWKS_PATH] = unary(b"{}", 500)
        entry = _entry(server, "5m", "1s")
        config = SETTINGS + UPSTREAM.format(upstream.base_url, MODEL) + entry
        with running_gateway(config, "--workers", "1") as gateway:
            target = Target(gateway, upstream, gateway.token("--ttl", "1h").encode())
            maker = server.maker(AUDIENCE)
            target.refuses(
                {
                    "good": bearer(maker.token(), Code.ISSUER_UNAVAILABLE, 503),
                    "unknown": bearer(maker.with_header(kid="x"), Code.ISSUER_UNAVAILABLE, 503),
                    "wrong": bearer(maker.stripped_signature(), Code.ISSUER_UNAVAILABLE, 503),
                    "malformed": bearer(b"..", Code.TOKEN_MALFORMED),
                }
            )
            server.answers.clear()
            until(lambda: target.status_of(server.mint(AUDIENCE).encode()) == 200, "the issuer is there again")
