"""Parsing, choosing the key and signing; what RFC 7515 says of them is in tests/checklist/test_jws.py."""

import pytest

from jotgate.errors import (
    AlgorithmRefused,
    Code,
    KeyAmbiguous,
    KeyUnknown,
    SignatureInvalid,
    TokenEncrypted,
    TokenMalformed,
)
from jotgate.jose import jws, jwt
from jotgate.jose.algorithms import ALGORITHMS
from jotgate.jose.encoding import b64url_encode
from jotgate.jose.jws import HEADER_BYTES_MAX, TOKEN_BYTES_MAX
from jotgate.jose.keys import KeySet, generate, hmac_key, signing_key_from_jwk
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
    """Its header says `EdDSA`, which does not say which curve (RFC 9864): an issuer's list must have it."""
    vector = tokens.vector("rfc8037_a")
    parsed = jws.parse(vector["token"].encode())
    assert parsed.payload == b"Example of Ed25519 signing"
    keys = KeySet([signing_key_from_jwk(vector["jwk"]).verification_key])
    with pytest.raises(AlgorithmRefused):
        jws.verify(parsed, keys, ("Ed25519",))
    assert jws.verify(parsed, keys, ("EdDSA",)).algorithm.name == "Ed25519"


def test_the_old_name_and_the_new_one_are_one_algorithm_and_two_permissions() -> None:
    forge = tokens.issuer("Ed25519")
    old, new = (jws.parse(forge.with_header(alg=name)) for name in ("EdDSA", "Ed25519"))
    for parsed, listed in ((old, ("EdDSA",)), (new, ("Ed25519",)), (old, ("EdDSA", "Ed25519"))):
        assert jws.verify(parsed, tokens.all_keys(), listed) is forge.key.verification_key
    for parsed, listed in ((old, ("Ed25519",)), (new, ("EdDSA",))):
        with pytest.raises(AlgorithmRefused):
            jws.verify(parsed, tokens.all_keys(), listed)
    for alg in set(ALGORITHMS) - {"Ed25519"}:  # a key of another type is not one for the old name
        with pytest.raises(AlgorithmRefused):
            jws.verify(jws.parse(tokens.issuer(alg).with_header(alg="EdDSA")), tokens.all_keys(), ("EdDSA", alg))
    with pytest.raises(AlgorithmRefused):  # and it is never written
        jws.sign({"alg": "EdDSA"}, b"", tokens.key("Ed25519"))


def test_header_members_that_are_absent_are_none() -> None:
    parsed = jws.parse(tokens.issuer().with_header(typ=ABSENT, kid=ABSENT))
    assert parsed.kid is None
    assert parsed.typ is None


def test_a_token_without_kid_needs_a_single_key_of_its_algorithm() -> None:
    key, other, rsa = tokens.key(), generate("ES256"), tokens.key("RS256")
    parsed = jws.parse(tokens.issuer().with_header(kid=ABSENT))
    alone = KeySet([key.verification_key, rsa.verification_key])
    assert jws.verify(parsed, alone, ("ES256", "RS256")) is key.verification_key
    for none in (KeySet([rsa.verification_key]), KeySet()):
        with pytest.raises(KeyUnknown):
            jws.verify(parsed, none, ("ES256", "RS256"))
    with pytest.raises(KeyAmbiguous) as caught:
        jws.verify(parsed, KeySet([key.verification_key, other.verification_key]), ("ES256", "RS256"))
    assert (caught.value.code, caught.value.wanted) == (Code.KEY_AMBIGUOUS, [key.kid, other.kid])
    with pytest.raises(SignatureInvalid):
        jws.verify(parsed, KeySet([other.verification_key]), ("ES256",))


def test_a_token_without_kid_may_be_made_with_one_of_two_secrets() -> None:
    """One that signs now and the one before it; a third, and it would be a search for a key that fits."""
    secrets = [hmac_key(bytes(range(first, first + 32)), "HS256", f"secret-{first}") for first in range(3)]
    found = [key.verification_key for key in secrets]
    for place, key in enumerate(secrets):
        parsed = jws.parse(jws.sign({"typ": "JWT"}, b"{}", key, with_kid=False))
        assert parsed.header == {"typ": "JWT", "alg": "HS256"}
        assert jws.verify(parsed, KeySet([found[place]]), ("HS256",)) is found[place]
        assert jws.verify(parsed, KeySet([found[place], found[place - 1]]), ("HS256",)) is found[place]
        assert jws.verify(parsed, KeySet([found[place - 1], found[place]]), ("HS256",)) is found[place]
        with pytest.raises(SignatureInvalid):
            jws.verify(parsed, KeySet([found[place - 1], found[place - 2]]), ("HS256",))
        with pytest.raises(KeyAmbiguous, match="several"):
            jws.verify(parsed, KeySet(found), ("HS256",))
        with pytest.raises(KeyUnknown):
            jws.verify(parsed, KeySet([hmac_key(bytes(range(64)), "HS512", "k").verification_key]), ("HS256",))


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_token_is_signed_without_kid_only_when_asked_for(alg: str) -> None:
    key = tokens.key(alg)
    bare = jws.sign({"typ": "JWT", "kid": key.kid}, b"{}", key, with_kid=False)
    assert jws.parse(bare).header == {"typ": "JWT", "alg": alg}
    assert jws.verify(jws.parse(bare), tokens.all_keys(), (alg,)) is key.verification_key
    assert jws.parse(jws.sign({"typ": "JWT"}, b"{}", key)).kid == key.kid
    claims: dict[str, object] = {"sub": "alice", "exp": 1}
    assert jws.parse(jwt.sign(claims, "JWT", key, with_kid=False)).header == {"typ": "JWT", "alg": alg}


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
    with pytest.raises(TokenEncrypted, match="encrypted"):
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
