"""Rows C01 to C12: what a header says of itself."""

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Final

import pytest

from jotgate.errors import Code
from jotgate.jose.keys import generate, thumbprint
from jotgate.testing.forge import ABSENT
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.public_forms import public_forms
from jotgate.testing.running import run_command, running_gateway
from jotgate.testing.upstream import upstream_in_thread
from tests.attacks.catalogue import Catalogue
from tests.attacks.target import MODEL, SETTINGS, UPSTREAM, Target, bearer

_HOSTS: Final = (
    *("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "0.0.0", "[::1]", "[::]"),
    *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "127.0.0.1.nip.io"),
    *("good.example@127.0.0.1", "good.example#@127.0.0.1", "127.0.0.1%00.good.example", "\u0661\u0662\u0667.0.0.1"),
)
_PATHS: Final = ("/jwks.json", "/redirect?to=http://169.254.169.254/", "/.well-known/openid-configuration")


class Ear:
    """Somebody who listens on every address of this machine, and would know of any connection that was begun."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self._sockets = sockets
        self.port = sockets[0].getsockname()[1]

    @property
    def heard(self) -> bool:
        """Whether anybody connected: the system takes connections before they are accepted."""
        return bool(select.select(self._sockets, [], [], 0)[0])


@pytest.fixture
def ear() -> Iterator[Ear]:
    with ExitStack() as stack:
        four = stack.enter_context(closing(socket.create_server(("0.0.0.0", 0))))  # noqa: S104 - it is an attacker's
        port = four.getsockname()[1]
        six = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=False)
        yield Ear([four, stack.enter_context(closing(six))])


def test_C01_the_token_brings_its_key(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("C01", 8))


def test_C02_urls_of_keys(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("C02", 60))


def test_C02_nobody_is_asked_for_a_key(target: Target, forge: TestIssuer, ear: Ear) -> None:
    """Tokens that are good for whoever fetches the key from where they say; the attacker listens there."""
    attacker = TestIssuer(generate("ES256"), forge.issuer, forge.audience, forge.now_s)
    jwk = public_forms(attacker.key)["jwk_of_thumbprint"].decode()
    shots = {}
    for scheme in ("http", "https"):
        urls = [f"{scheme}://{host}:{ear.port}{path}" for host in _HOSTS for path in _PATHS]
        for number, url in enumerate(urls):
            for member in ("jku", "x5u"):
                token = attacker.with_header(**{member: url})
                shots[f"{scheme}_{number}_{member}"] = bearer(token, Code.KEY_UNKNOWN)
                ours = attacker.with_header(kid=forge.key.kid, **{member: url})
                shots[f"{scheme}_{number}_{member}_our_kid"] = bearer(ours, Code.SIGNATURE_INVALID)
    everything = attacker.with_header(jku=f"http://127.0.0.1:{ear.port}/", x5u=f"http://127.0.0.1:{ear.port}/", x=jwk)
    elsewhere = attacker.with_claims(iss=f"http://127.0.0.1:{ear.port}")
    target.refuses(
        {
            **shots,
            "everything": bearer(everything, Code.KEY_UNKNOWN),
            "issuer_elsewhere": bearer(elsewhere, Code.CLAIM_REFUSED),
        }
    )
    assert not ear.heard
    with socket.create_connection(("127.0.0.1", ear.port)):
        assert ear.heard  # It would have.


def test_C03_certificate_chains_of_ones_own(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("C03", 15))


def test_C04_kids_that_mean_something_elsewhere(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("C04", 70))


@pytest.mark.parametrize("size", [8_000, 20_000, 100_000, 1_000_000])
def test_C04_a_kid_without_end(target: Target, forge: TestIssuer, size: int) -> None:
    token = forge.with_header(kid="k" * size)
    fits = size < 24_000  # in base64url, of 32 KiB for a head
    code, status = (Code.TOKEN_MALFORMED, 401) if fits else (Code.HEADERS_TOO_LARGE, 431)
    target.refuses({"kid": bearer(token, code, status, recorded=fits)})


def test_C05_kids_of_other_keys(target: Target, forge: TestIssuer) -> None:
    """A token that names a key which this issuer has not, though somebody has."""
    stranger = TestIssuer(generate("ES256"), forge.issuer, forge.audience, forge.now_s)
    names = ("next", "retired", "pending", "active", forge.key.kid.lower(), thumbprint({"kty": "oct", "k": "AA"}))
    tokens = {f"own_signature_{number}": forge.with_header(kid=kid) for number, kid in enumerate(names)}
    tokens |= {f"other_signature_{number}": stranger.with_header(kid=kid) for number, kid in enumerate(names)}
    shots = {name: (token, Code.KEY_UNKNOWN) for name, token in tokens.items()}
    twice = b'{"typ":"at+jwt","alg":"ES256","kid":"%b","kid":"%b"}' % (b"other", forge.key.kid.encode())
    shots["twice"] = (forge.seal(twice, forge.claims()), Code.TOKEN_MALFORMED)
    shots["under_ours"] = (stranger.with_header(kid=forge.key.kid), Code.SIGNATURE_INVALID)
    shots["without"] = (stranger.with_header(kid=ABSENT), Code.SIGNATURE_INVALID)
    target.refuses_tokens(shots)


def test_C06_critical_extensions(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("C06", 30))


def test_C07_unencoded_and_detached_payloads(target: Target, forge: TestIssuer, catalogue: Catalogue) -> None:
    tokens = dict(catalogue.row("C07", 16))
    header, payload, signature = forge.with_header(b64=False, crit=["b64"]).split(b".")
    tokens["raw_payload"] = (header + b'.{"sub":"alice"}.' + signature, Code.TOKEN_MALFORMED)
    tokens["detached"] = (header + b".." + signature, Code.TOKEN_MALFORMED)
    tokens["good_but_for_b64"] = (b".".join((header, payload, signature)), Code.TOKEN_MALFORMED)
    target.refuses_tokens(tokens)


def test_C08_compressed_tokens(target: Target, catalogue: Catalogue) -> None:
    before = target.memory_bytes()
    target.refuses_tokens(catalogue.row("C08", 12))
    assert target.memory_bytes() - before < 8_000_000  # what the bomb would have become


def test_C09_passwords_that_take_for_ever(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("C09", 20))


def test_C10_types_of_other_tokens(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("C10", 45))


def test_C11_nested_and_encrypted_tokens(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("C11", 10))


def test_C12_encrypted_tokens_with_bad_tags(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("C12", 10))


def test_C05_a_key_that_was_revoked_signs_for_nobody() -> None:
    """Its tokens, old ones and new ones, are of a key that is not known any more, on every worker at once."""
    with upstream_in_thread() as upstream:
        config = SETTINGS + UPSTREAM.format(upstream.base_url, MODEL)
        with running_gateway(config, "--workers", "1") as gateway:
            target = Target(gateway, upstream, gateway.token("--ttl", "1h").encode())
            stolen = target.own_issuer()
            target.takes(stolen.token())
            revoked = run_command("key", "revoke", stolen.key.kid, "--yes", data=gateway.data)
            assert revoked.returncode == 0, revoked.stderr
            after = Target(gateway, upstream, gateway.token("--ttl", "1h").encode())
            tokens = {
                "old": target.good,
                "new": stolen.token(),
                "retyped": stolen.with_header(typ="application/at+jwt"),
            }
            after.refuses_tokens({name: (token, Code.KEY_UNKNOWN) for name, token in tokens.items()})
            fresh = after.own_issuer()
            renamed = stolen.with_header(kid=fresh.key.kid)
            after.refuses_tokens({"kid_of_the_new": (renamed, Code.SIGNATURE_INVALID)})
