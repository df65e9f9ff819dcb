"""Parsing, choosing the key and signing; what RFC 7515 says of them is in tests/checklist/test_jws.py."""

import pytest

from jotgate.errors import AlgorithmRefused, KeyUnknown, SignatureInvalid, TokenMalformed
from jotgate.jose import jws
from jotgate.jose.algorithms import ALGORITHMS
from jotgate.jose.encoding import b64url_encode
from jotgate.jose.jws import HEADER_BYTES_MAX, TOKEN_BYTES_MAX
from jotgate.jose.keys import KeySet, generate
from jotgate.testing.forge import ABSENT, to_json
from tests import tokens


@pytest.mark.parametrize("alg", ALGORITHMS)
@pytest.mark.parametrize("payload", [b"", b"\0", b"not JSON", b"{}"])
def test_what_is_signed_is_parsed_and_verified(alg: str, payload: bytes) -> None:
    key = tokens.key(alg)
    token = jws.sign({"typ": "example", "other": [1]}, payload, key)
    parsed = jws.parse(token)
    assert parsed.header == {"typ": "example", "other": [1], "alg": alg, "kid": key.kid}
    assert (parsed.alg, parsed.kid, parsed.typ, parsed.payload) == (alg, key.kid, "example", payload)
    assert token == parsed.signing_input + b"." + b64url_encode(parsed.signature)
    assert jws.verify(parsed, tokens.all_keys(), [alg]) is key.verification_key


def test_the_payload_of_rfc8037_is_signed_but_its_alg_is_refused() -> None:
    """Its header says `EdDSA`, which does not say which curve (RFC 9864)."""
    parsed = jws.parse(tokens.vector("rfc8037_a")["token"].encode())
    assert parsed.payload == b"Example of Ed25519 signing"
    with pytest.raises(AlgorithmRefused):
        jws.verify(parsed, tokens.all_keys(), ("EdDSA", "Ed25519"))


def test_header_members_that_are_absent_are_none() -> None:
    parsed = jws.parse(tokens.issuer().with_header(typ=ABSENT, kid=ABSENT))
    assert parsed.kid is None
    assert parsed.typ is None


def test_a_token_without_kid_needs_a_single_key_of_its_algorithm() -> None:
    key, other, rsa = tokens.key(), generate("ES256"), tokens.key("RS256")
    parsed = jws.parse(tokens.issuer().with_header(kid=ABSENT))
    alone = KeySet([key.verification_key, rsa.verification_key])
    assert jws.verify(parsed, alone, ("ES256", "RS256")) is key.verification_key
    for several in (KeySet([key.verification_key, other.verification_key]), KeySet([rsa.verification_key]), KeySet()):
        with pytest.raises(KeyUnknown):
            jws.verify(parsed, several, ("ES256", "RS256"))
    with pytest.raises(SignatureInvalid):
        jws.verify(parsed, KeySet([other.verification_key]), ("ES256",))


def test_no_other_key_is_tried() -> None:
    """The key under the token's `kid` decides, though another key of the set would fit."""
    key, other = tokens.key(), generate("ES256")
    parsed = jws.parse(tokens.issuer().with_header(kid=other.kid))
    with pytest.raises(SignatureInvalid):
        jws.verify(parsed, KeySet([other.verification_key, key.verification_key]), ("ES256",))


@pytest.mark.parametrize("algorithms", [(), [], frozenset(), ("RS256",), ("es256",), ("none",)])
def test_only_what_is_allowed_is_tried(algorithms: tuple[str, ...]) -> None:
    with pytest.raises(AlgorithmRefused):
        jws.verify(jws.parse(tokens.issuer().token()), tokens.all_keys(), algorithms)


def test_a_token_has_a_greatest_length() -> None:
    key = tokens.key("HS256")
    rest = len(jws.sign({}, b"", key))
    longest = jws.sign({}, b"x" * ((TOKEN_BYTES_MAX - rest) * 3 // 4), key)
    assert TOKEN_BYTES_MAX - 4 < len(longest) <= TOKEN_BYTES_MAX
    assert jws.parse(longest).alg == "HS256"
    with pytest.raises(TokenMalformed, match="longer than 16384 bytes"):
        jws.sign({}, b"x" * ((TOKEN_BYTES_MAX - rest) * 3 // 4 + 4), key)
    for long in (b"A" * (TOKEN_BYTES_MAX + 1), b"." * (TOKEN_BYTES_MAX + 1), b"{" * 10**6):
        with pytest.raises(TokenMalformed, match="longer than 16384 bytes"):
            jws.parse(long)


def test_a_header_has_a_greatest_length() -> None:
    key = tokens.key()
    room = HEADER_BYTES_MAX - len(to_json({"alg": "ES256", "kid": key.kid, "x": ""}))
    assert jws.parse(jws.sign({"x": "x" * room}, b"", key)).header["x"] == "x" * room
    with pytest.raises(TokenMalformed, match="header is longer than 4096 bytes"):
        jws.sign({"x": "x" * (room + 1)}, b"", key)


@pytest.mark.parametrize("kid", ["", "k" * 257, "a\nb", "\x7f", "\u0430", 1, None, True, [], {}], ids=repr)
def test_a_kid_of_another_form_is_refused(kid: object) -> None:
    with pytest.raises(TokenMalformed, match="'kid'"):
        jws.parse(tokens.issuer().with_header(kid=kid))
    assert jws.parse(tokens.issuer().with_header(kid="k" * 256)).kid == "k" * 256


@pytest.mark.parametrize("typ", [1, None, True, [], {}], ids=repr)
def test_a_typ_of_another_form_is_refused(typ: object) -> None:
    with pytest.raises(TokenMalformed, match="'typ'"):
        jws.parse(tokens.issuer().with_header(typ=typ))


@pytest.mark.parametrize("member", ["cty", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256"])
def test_header_members_that_are_not_looked_at_have_their_type_all_the_same(member: str) -> None:
    wrong: list[object] = [
        1,
        None,
        True,
        [],
        [1],
        {} if member != "jwk" else "text",
        "ftp://x" if member in ("jku", "x5u") else 0,
    ]
    for value in wrong:
        with pytest.raises(TokenMalformed, match=f"'{member}'"):
            jws.parse(tokens.issuer().with_header(**{member: value}))
    right: dict[str, object] = {"jku": "https://x", "x5u": "http://x", "jwk": {}, "x5c": ["a", "b"]}
    value = right.get(member, "text")
    assert jws.parse(tokens.issuer().with_header(**{member: value})).header[member] == value


@pytest.mark.parametrize("member", ["enc", "zip"])
def test_headers_of_encrypted_tokens_are_refused(member: str) -> None:
    with pytest.raises(TokenMalformed, match="encrypted"):
        jws.parse(tokens.issuer().with_header(**{member: "DEF"}))


def test_the_header_to_sign_does_not_contradict_the_key() -> None:
    key = tokens.key()
    assert jws.sign({"alg": "ES256", "kid": key.kid}, b"", key)
    with pytest.raises(AlgorithmRefused):
        jws.sign({"alg": "none"}, b"", key)
    with pytest.raises(KeyUnknown):
        jws.sign({"kid": "other"}, b"", key)
    for header in ({"crit": ["exp"], "exp": 1}, {"b64": False}, {"typ": 1}, {"x": object()}, {"x": float("nan")}):
        with pytest.raises(TokenMalformed):
            jws.sign(header, b"", key)
