"""Rows JWK-01 to JWK-07 of the token checklist (RFC 7517, 7518 s6, 7638, 8037), one test for each row.

What a row says of key types that jotgate does not have is tested as their refusal.
"""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from jotgate.errors import Code, KeyRefused
from jotgate.jose.algorithms import ALGORITHMS, Ecdsa
from jotgate.jose.encoding import b64url_decode, b64url_encode
from jotgate.jose.keys import (
    KeySet,
    VerificationKey,
    generate,
    public_jwk,
    signing_key_from_jwk,
    signing_key_from_pem,
    thumbprint,
    verification_key_from_jwk,
)
from jotgate.testing.forge import to_json
from tests import tokens

PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}
EVERY_KEY_PAIR = pytest.mark.parametrize("alg", tokens.ASYMMETRIC)


def jwks(*members: object) -> KeySet:
    """The key set that is read from these members."""
    return KeySet.from_jwks(to_json({"keys": members}))


@EVERY_KEY_PAIR
def test_JWK_01_a_key_without_kty_or_for_another_use_never_verifies(alg: str) -> None:
    for kty in (None, "", alg, "ec", "AKP", 1, ["EC"]):
        assert tokens.key_refusal(tokens.jwk(alg, kty=kty))
    wrong_uses: list[object] = ["enc", "SIG", "", "sig ", 1, True, ["sig"], {}]
    for use in wrong_uses:
        assert "use" in tokens.key_refusal(tokens.jwk(alg, use=use))
    assert "use" in tokens.key_refusal(tokens.jwk(alg) | {"use": None})
    wrong_operations: list[object] = [
        *([], ["encrypt"], ["sign"], ["verify", "sign"], ["verify", "encrypt"], ["verify", "verify"]),
        *("verify", 1, {"verify": True}, [1], ["verify", None], ["VERIFY"], [["verify"]]),
    ]
    for operations in wrong_operations:
        assert "key_ops" in tokens.key_refusal(tokens.jwk(alg, key_ops=operations)), operations
        assert "key_ops" in tokens.key_refusal(tokens.jwk(alg, key_ops=operations, use=None)), operations
    assert "use" in tokens.key_refusal(tokens.jwk(alg, use="enc", key_ops=["verify"]))
    token = tokens.issuer(alg).token()
    for good in (tokens.jwk(alg, key_ops=["verify"]), tokens.jwk(alg, key_ops=["verify"], use=None)):
        assert verification_key_from_jwk(good).verify(*split(token))


def split(token: bytes) -> tuple[bytes, bytes]:
    """The signing input and the raw signature."""
    signing_input, _, signature = token.rpartition(b".")
    return signing_input, b64url_decode(signature)


@EVERY_KEY_PAIR
def test_JWK_02_a_key_that_cannot_be_used_does_not_kill_the_set(alg: str) -> None:
    known = tokens.jwk(alg, x5t="AAAA", x5u="file:///etc/passwd", nbf=0, ext=True, **{"": None, "unknown": {"a": [1]}})
    useless: list[object] = [
        *(None, 1, "key", [], {}, [tokens.jwk(alg)]),
        *({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"}, {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}),
        *({"kty": "OKP", "crv": "Ed448", "x": "AAAA"}, {"kty": "OKP", "crv": "X25519", "x": "A" * 43}),
        *(tokens.jwk(alg, alg="Ed448"), tokens.jwk(alg, alg="none"), tokens.jwk(alg, alg=1), tokens.jwk(alg, kid="")),
        *(tokens.jwk(alg, kid=1), tokens.jwk(alg, kid="k" * 257), tokens.jwk(alg, kid="a\nb")),
        *(tokens.jwk("RS256", n="AA"), tokens.jwk("RS256", n=None), tokens.jwk("RS256", e="not base64url")),
        *(tokens.jwk("RS256", alg=None), tokens.jwk("RS256", n="\u0661"), tokens.jwk("RS256", n=5)),
        {"kty": "oct", "alg": "HS256", "kid": "secret", "k": "A" * 43},
        {"kty": "oct", "alg": "HS256", "kid": "secret"},
        {**tokens.jwk(alg), "d": "A" * 43},
    ]
    keys = jwks(*useless, known, *useless)
    (key,) = keys.keys
    assert key.algorithm.name == alg
    assert key.verify(*split(tokens.issuer(alg).token()))
    assert [skipped.index for skipped in keys.skipped] == [
        *range(len(useless)),
        *range(len(useless) + 1, 2 * len(useless) + 1),
    ]
    assert all(skipped.reason for skipped in keys.skipped)


def test_JWK_02_what_is_no_set_at_all_is_refused_as_a_whole() -> None:
    for raw in (
        b"",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":null}',
        b'{"keys":[],"keys":[]}',
        b'{"keys":[]}x',
        b"<html>",
    ):
        with pytest.raises(KeyRefused):
            KeySet.from_jwks(raw)
    assert KeySet.from_jwks(b'{"keys":[]}').keys == ()
    assert len(jwks(*[{}] * 100).skipped) == 100
    assert KeySet.from_jwks(b'{"keys":[]}' + b" " * (262_144 - 11)).keys == ()
    with pytest.raises(KeyRefused, match="100 keys"):
        jwks(*[{}] * 101)
    with pytest.raises(KeyRefused, match="262144 bytes"):
        KeySet.from_jwks(b'{"keys":[]}' + b" " * 262_144)


@EVERY_KEY_PAIR
def test_JWK_03_different_keys_under_one_kid_are_refused(alg: str) -> None:
    ours = tokens.jwk(alg, kid="one")
    bystander = tokens.jwk(alg, kid="bystander")
    for other in tokens.ASYMMETRIC:
        stranger = public_jwk(generate(other).verification_key) | {"kid": "one"}
        keys = jwks(ours, bystander, stranger, ours)
        assert keys.get("one") is None
        assert [key.kid for key in keys.keys] == ["bystander"]
        assert [skipped.index for skipped in keys.skipped] == [0, 2, 3]
        named = [verification_key_from_jwk(member) for member in (ours, stranger)]
        with pytest.raises(KeyRefused, match="key ID"):
            KeySet(named)
    assert len(jwks(ours, ours).keys) == 1
    assert len(KeySet([verification_key_from_jwk(ours), verification_key_from_jwk(ours)])) == 1
    assert tokens.refusal(tokens.issuer(alg).with_header(kid="one")) == Code.KEY_UNKNOWN


def test_JWK_03_two_hmac_keys_under_one_kid_are_refused() -> None:
    one = tokens.key("HS256").verification_key
    other = VerificationKey(one.algorithm, one.kid, generate("HS256").verification_key.primitive)
    with pytest.raises(KeyRefused, match="key ID"):
        KeySet([one, other])
    assert KeySet([one, one]).keys == (one,)


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512"])
def test_JWK_04_an_ec_point_lies_on_the_curve_and_has_fixed_coordinates(alg: str) -> None:
    good, scheme = tokens.jwk(alg), ALGORITHMS[alg].scheme
    assert isinstance(scheme, Ecdsa)
    x, y = (b64url_decode(str(good[name]).encode()) for name in ("x", "y"))
    prime, size = scheme.prime, scheme.size
    crv = {"ES256": "P-384", "ES384": "P-521", "ES512": "P-256"}[alg]
    wrong: list[dict[str, object]] = [
        {"x": encoded(y), "y": encoded(x)},
        {"x": encoded(bytes(size)), "y": encoded(bytes(size))},
        {"x": encoded(bytes(size)), "y": encoded(bytes(size - 1) + b"\1")},
        {"x": encoded(b"\xff" * size)},
        {"x": encoded(int.from_bytes(x).to_bytes(size + 1))},
        {"x": encoded(x[1:])},
        {"y": encoded(y[:-1])},
        {"y": encoded(b"\0" + y)},
        {"y": tokens.uint((prime - int.from_bytes(y)) ^ 1, size)},
        {"x": ""},
        {"x": None},
        {"y": None},
        {"x": str(good["x"]) + "="},
        {"x": [1]},
        {"crv": crv},
        {"crv": crv, "alg": None},
        {"crv": "secp256k1"},
        {"crv": "Ed25519"},
        {"crv": None},
    ]
    for change in wrong:
        assert tokens.key_refusal(tokens.jwk(alg, **change)), change


def test_JWK_04_a_coordinate_is_less_than_the_prime() -> None:
    """66 bytes hold more than P-521 needs, and the library takes x + p for x: one key would have several forms."""
    good, scheme = tokens.jwk("ES512"), ALGORITHMS["ES512"].scheme
    assert isinstance(scheme, Ecdsa)
    for name in ("x", "y"):
        number = int.from_bytes(b64url_decode(str(good[name]).encode()))
        for multiple in (1, 2, 127):
            spoilt = tokens.uint(number + multiple * scheme.prime, 66)
            assert "coordinates" in tokens.key_refusal(tokens.jwk("ES512", **{name: spoilt}))


def test_JWK_04_an_okp_key_has_32_bytes_and_is_no_weak_point() -> None:
    good = b64url_decode(str(tokens.jwk("Ed25519")["x"]).encode())
    for size in (0, 31, 33, 57, 64):
        assert "32 bytes" in tokens.key_refusal(tokens.jwk("Ed25519", x=encoded((good * 2)[:size])))
    prime = 2**255 - 19
    order_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD83D3D706A17C7
    for y in (0, 1, prime - 1, prime, prime + 1, order_8, prime - order_8, 2):
        for sign in (0, 2**255):
            raw = (y | sign).to_bytes(32, "little")
            assert "usable point" in tokens.key_refusal(tokens.jwk("Ed25519", x=encoded(raw))), y


def encoded(raw: bytes) -> str:
    """The base64url of bytes as text."""
    return b64url_encode(raw).decode()


@pytest.mark.parametrize("name", ["rfc7515_a2", "rfc7515_a3", "rfc7515_a4", "rfc7520_4_2", "rfc8037_a"])
def test_JWK_04_private_and_public_part_belong_together(name: str) -> None:
    vector = tokens.vector(name)
    private = vector["jwk"] | {"alg": vector["alg"]}
    key = signing_key_from_jwk(private)
    assert key.verification_key.verify(b"input", key.sign(b"input"))
    stranger = public_jwk(generate(vector["alg"]).verification_key)
    foreign_public = {member: stranger[member] for member in ("x", "y", "n") if member in stranger}
    with pytest.raises(KeyRefused):
        signing_key_from_jwk(private | foreign_public)
    for member in private.keys() & {"d", "p", "q", "dp", "dq", "qi"}:
        for value in ("", "AA", "AQAB", str(private[member])[:-4] + "AAAA", None):
            with pytest.raises(KeyRefused):
                signing_key_from_jwk(private | {member: value})
    with pytest.raises(KeyRefused):
        signing_key_from_jwk({member: value for member, value in private.items() if member != "d"})


def test_JWK_04_a_pem_whose_public_part_is_another_key_is_refused() -> None:
    ours, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    der = ours.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    one, two = (tokens.uint(key.public_key().public_numbers().x, 32) for key in (ours, other))
    assert one != two
    spoilt = der.replace(b64url_decode(one.encode()), b64url_decode(two.encode()))
    assert spoilt != der
    body = b64url_encode(spoilt).replace(b"-", b"+").replace(b"_", b"/")
    pem = b"-----BEGIN PRIVATE KEY-----\n" + body + b"=" * (-len(body) % 4) + b"\n-----END PRIVATE KEY-----\n"
    with pytest.raises(KeyRefused):
        signing_key_from_pem(pem, "ES256")


def test_JWK_05_a_published_set_holds_nothing_private() -> None:
    published = json.loads(tokens.all_keys().to_jwks())
    assert {member["alg"] for member in published["keys"]} == set(tokens.ASYMMETRIC)
    for member in published["keys"]:
        assert not PRIVATE & member.keys()
        row = ALGORITHMS[member["alg"]]
        assert member.keys() == {"kid", "alg", "use", *row.members}
    with pytest.raises(KeyRefused, match="no public form"):
        public_jwk(tokens.key("HS256").verification_key)
    again = KeySet.from_jwks(tokens.all_keys().to_jwks())
    assert again.skipped == ()
    assert again.to_jwks() == tokens.all_keys().to_jwks()


@pytest.mark.parametrize("member", sorted(PRIVATE))
@EVERY_KEY_PAIR
def test_JWK_05_a_published_private_key_is_never_used(alg: str, member: str) -> None:
    """Whoever fetched the set has the key: it proves nothing any more."""
    assert "private" in tokens.key_refusal(tokens.jwk(alg) | {member: "AAAA"})
    assert "private" in tokens.key_refusal(tokens.jwk(alg) | {member: None})


@EVERY_KEY_PAIR
def test_JWK_06_every_published_key_states_kid_alg_and_use(alg: str) -> None:
    key = generate(alg)
    (member,) = json.loads(KeySet([key.verification_key]).to_jwks())["keys"]
    assert (member["kid"], member["alg"], member["use"]) == (key.kid, alg, "sig")
    assert member["kid"] == thumbprint(member)


def test_JWK_07_thumbprint_of_rfc7638_and_rfc8037() -> None:
    vector = tokens.vector("rfc7638_3_1")
    assert thumbprint(vector["jwk"]) == vector["thumbprint"] == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    okp = tokens.vector("rfc8037_a")
    assert thumbprint(okp["jwk"]) == okp["thumbprint"]
    assert signing_key_from_jwk(okp["jwk"]).kid == okp["thumbprint"]


@EVERY_KEY_PAIR
def test_JWK_07_only_the_required_members_count_in_any_order(alg: str) -> None:
    members = tokens.jwk(alg)
    required = ALGORITHMS[alg].members
    assert list(required) == sorted(required)
    turned = dict(reversed(list(members.items()))) | {"kid": "other", "use": "enc", "x5t": "AAAA"}
    assert thumbprint(turned) == thumbprint(members) == tokens.key(alg).kid
    for member in required:
        for value in (None, 1, "\u00e9"):
            with pytest.raises(KeyRefused):
                thumbprint(members | {member: value})
    with pytest.raises(KeyRefused):
        thumbprint({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"})
