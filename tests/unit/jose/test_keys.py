"""Key sets and the naming of keys; what RFC 7517 says of them is in tests/checklist/test_jwk.py."""

import json

import pytest

from jotgate.errors import Code, KeyRefused
from jotgate.jose.algorithms import ALGORITHMS
from jotgate.jose.keys import (
    KeySet,
    VerificationKey,
    generate,
    hmac_key,
    public_jwk,
    signing_key_from_jwk,
    signing_key_from_pem,
    signing_key_to_pem,
    verification_key_from_jwk,
    verification_key_to_pem,
)
from jotgate.jose.material import verifier_from_pem
from tests import tokens

SECRET = bytes(range(32))


def test_a_set_is_looked_up_by_kid_and_by_algorithm() -> None:
    keys = tokens.all_keys()
    assert len(keys) == len(ALGORITHMS)
    for alg in ALGORITHMS:
        key = tokens.key(alg).verification_key
        assert keys.get(key.kid) is key
        assert keys.with_algorithm(alg) == (key,)
    assert keys.get("other") is None
    assert keys.with_algorithm("none") == ()
    assert keys.skipped == ()
    one = tokens.key().verification_key
    assert repr(KeySet([one])) == f"KeySet({one!r})"
    assert repr(KeySet()) == "KeySet()"


def test_a_set_keeps_its_order_and_cannot_be_changed() -> None:
    wanted = [tokens.key(alg).verification_key for alg in ("RS256", "ES256")]
    keys = KeySet(iter(wanted))
    assert keys.keys == tuple(wanted)
    for name in ("keys", "skipped"):
        with pytest.raises(AttributeError):
            setattr(keys, name, ())
    with pytest.raises(AttributeError):
        wanted[0].kid = "other"  # type: ignore[misc]


def test_a_set_goes_through_jwks_and_back() -> None:
    raw = tokens.all_keys().to_jwks()
    again = KeySet.from_jwks(raw)
    assert [key.kid for key in again.keys] == [tokens.key(alg).kid for alg in tokens.ASYMMETRIC]
    for alg in tokens.ASYMMETRIC:
        found = again.get(tokens.key(alg).kid)
        assert found is not None
        assert found.verify(b"input", tokens.key(alg).sign(b"input"))


@pytest.mark.parametrize("alg", tokens.ASYMMETRIC)
def test_a_key_without_kid_is_named_by_its_thumbprint(alg: str) -> None:
    assert verification_key_from_jwk(tokens.jwk(alg, kid=None)).kid == tokens.key(alg).kid


def test_alg_may_be_left_out_where_the_key_type_says_it() -> None:
    assert verification_key_from_jwk(tokens.jwk("ES256", alg=None)).algorithm.name == "ES256"
    assert verification_key_from_jwk(tokens.jwk("Ed25519", alg=None)).algorithm.name == "Ed25519"
    assert "'alg'" in tokens.key_refusal(tokens.jwk("RS256", alg=None))
    assert "'alg'" in tokens.key_refusal(tokens.jwk("ES256", alg="RS256"))
    assert verification_key_from_jwk(tokens.jwk("RS256", crv="P-256")).algorithm.name == "RS256"
    assert verification_key_from_jwk(tokens.jwk("ES512", alg=None)).algorithm.name == "ES512"


def test_an_okp_key_may_have_the_old_name_of_its_algorithm() -> None:
    key = verification_key_from_jwk(tokens.jwk("Ed25519", alg="EdDSA"))
    assert key.algorithm.name == public_jwk(key)["alg"] == "Ed25519"
    assert "'alg'" in tokens.key_refusal(tokens.jwk("ES256", alg="EdDSA"))
    no_names: list[object] = [1, None, ["EdDSA"], {}]
    for value in no_names:
        assert "'alg'" in tokens.key_refusal(tokens.jwk("Ed25519") | {"alg": value})


def test_an_rsa_key_without_alg_is_for_the_only_rsa_algorithm_of_its_issuer() -> None:
    bare = tokens.jwk("RS256", alg=None)
    raw = json.dumps({"keys": [bare]}).encode()
    for alg in ("RS256", "PS384"):
        (key,) = KeySet.from_jwks(raw, ("ES256", alg)).keys
        assert key.algorithm.name == verification_key_from_jwk(bare, (alg, "HS256")).algorithm.name == alg
    for several in ((), ("ES256",), ("RS256", "PS256"), ("RS256", "RS512")):
        assert "'alg'" in KeySet.from_jwks(raw, several).skipped[0].reason
    for value in ("RS512", "none", None):  # what the key says of itself counts, whatever the issuer lists
        stated = verification_keys([bare | {"alg": value}], ("RS256",))
        assert [key.algorithm.name for key in stated] == (["RS512"] if value == "RS512" else [])


def verification_keys(members: list[dict[str, object]], algorithms: tuple[str, ...]) -> tuple[VerificationKey, ...]:
    return KeySet.from_jwks(json.dumps({"keys": members}).encode(), algorithms).keys


@pytest.mark.parametrize("kid", ["", "a\n", "\x7f", "é", "k" * 257])
def test_a_kid_is_short_printable_ascii(kid: str) -> None:
    pem = signing_key_to_pem(tokens.key())
    members = tokens.vector("rfc7515_a3")["jwk"]
    with pytest.raises(KeyRefused, match="1 to 256 printable ASCII"):
        signing_key_from_pem(pem, "ES256", kid)
    with pytest.raises(KeyRefused, match="1 to 256 printable ASCII"):
        signing_key_from_jwk(members | {"kid": kid})
    with pytest.raises(KeyRefused, match="1 to 256 printable ASCII"):
        hmac_key(SECRET, "HS256", kid)
    assert "1 to 256 printable ASCII" in tokens.key_refusal(tokens.jwk(kid=kid))
    for good in ("a", "k" * 256, " ~", "http://issuer.example/keys#1"):
        assert signing_key_from_pem(pem, "ES256", good).kid == good


def test_a_private_jwk_is_one_that_may_sign() -> None:
    members = tokens.vector("rfc8037_a")["jwk"]
    for good in ({}, {"use": "sig"}, {"key_ops": ["sign"]}, {"key_ops": ["sign", "verify"]}):
        assert signing_key_from_jwk(members | good).algorithm.name == "Ed25519"
    wrong: list[dict[str, object]] = [{"use": "enc"}, {"key_ops": ["verify"]}, {"key_ops": ["sign", "decrypt"]}]
    for bad in wrong:
        with pytest.raises(KeyRefused):
            signing_key_from_jwk(members | bad)


def test_only_hmac_algorithms_take_a_secret_and_only_they_have_no_pem() -> None:
    for alg in tokens.ASYMMETRIC:
        with pytest.raises(KeyRefused, match="key pair"):
            hmac_key(SECRET, alg, "k")
    secret = hmac_key(SECRET, "HS256", "k")
    with pytest.raises(KeyRefused, match="no PEM form"):
        signing_key_to_pem(secret)
    with pytest.raises(KeyRefused, match="no public form"):
        verification_key_to_pem(secret.verification_key)


@pytest.mark.parametrize("alg", ["ES256", "RS256", "Ed25519"])
def test_a_public_key_in_pem_verifies_what_the_private_one_signed(alg: str) -> None:
    key = generate(alg)
    pem = verification_key_to_pem(key.verification_key)
    assert pem.startswith(b"-----BEGIN PUBLIC KEY-----")
    assert verifier_from_pem(ALGORITHMS[alg], pem).verify(b"signed", key.sign(b"signed"))


@pytest.mark.parametrize("alg", ["none", "", "EdDSA", "ES256K", "es256"])
def test_an_unknown_algorithm_has_no_keys(alg: str) -> None:
    with pytest.raises(KeyRefused, match="not one that jotgate knows") as caught:
        generate(alg)
    assert caught.value.code is Code.KEY_REFUSED
    assert "ES256" in caught.value.hint
    with pytest.raises(KeyRefused):
        hmac_key(SECRET, alg, "k")


def test_a_public_jwk_names_what_it_is_for() -> None:
    assert list(public_jwk(tokens.key().verification_key)) == ["kty", "use", "alg", "kid", "crv", "x", "y"]
