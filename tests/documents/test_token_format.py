"""What documents 001, 003 and 004 say of every JWT, compared with what `jotgate.jose` makes and takes."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from typing import Final

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from jotgate.errors import AlgorithmRefused, ClaimRefused, KeyRefused, SignatureInvalid, TokenError
from jotgate.jose import jws, jwt, keys
from tests.documents.excerpts import code, excerpt

NOW_S: Final = 1_700_000_000
SECRET: Final = bytes(range(32))
CLAIMS: Final = {
    "iss": "https://issuer.example",
    "aud": "https://gate.example",
    "sub": "user_123",
    "iat": NOW_S,
    "exp": NOW_S + 3600,
    "name": "John Doe",
    "roles": ["user", "api_access"],
    "quota": 100,
}
PARTS: Final = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


def expectation(*algorithms: str) -> jwt.Expectation:
    return jwt.Expectation(
        issuer="https://issuer.example",
        audiences=("https://gate.example",),
        types=("JWT",),
        algorithms=algorithms,
        required=frozenset(("iss", "aud", "sub", "iat", "exp")),
    )


def signing_key(alg: str) -> keys.SigningKey:
    return keys.hmac_key(SECRET, alg, "shared") if alg == "HS256" else keys.generate(alg)


def b64url(raw: bytes) -> bytes:
    """An encoder that owes nothing to the one under test (RFC 7515, appendix C)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def unb64url(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def by_the_formula(header: bytes, payload: bytes, secret: bytes) -> bytes:
    """HMACSHA256(base64UrlEncode(header) + "." + base64UrlEncode(payload), secret), as document 004 prints it."""
    signing_input = b64url(header) + b"." + b64url(payload)
    return signing_input + b"." + b64url(hmac.digest(secret, signing_input, "sha256"))


@pytest.mark.parametrize(("printed", "alg"), [(("001", 117), "HS256"), (("004", 41), "HS256"), (("004", 41), "ES256")])
def test_a_token_is_three_base64url_parts_with_dots_between(printed: tuple[str, int], alg: str) -> None:
    assert re.search("header.payload.signature", excerpt(*printed), re.IGNORECASE)
    token = jwt.sign(CLAIMS, "JWT", signing_key(alg))
    assert PARTS.fullmatch(token)
    header, payload, _ = token.split(b".")
    assert json.loads(unb64url(header))["alg"] == alg
    assert json.loads(unb64url(payload)) == CLAIMS


def test_a_token_needs_nothing_but_itself_and_a_key() -> None:
    key = signing_key("ES256")
    token = jwt.sign(CLAIMS, "JWT", key)
    published = keys.KeySet([key.verification_key]).to_jwks()
    elsewhere = keys.KeySet.from_jwks(published)
    assert jwt.verify(token, elsewhere, expectation("ES256"), NOW_S).claims.sub == "user_123"
    with pytest.raises(TokenError):
        jwt.verify(token, keys.KeySet(), expectation("ES256"), NOW_S)


def test_the_header_names_type_and_algorithm() -> None:
    token = jwt.sign(CLAIMS, "JWT", signing_key("RS256"))
    header = json.loads(unb64url(token.split(b".")[0]))
    assert header["alg"] == "RS256"
    assert header["typ"] == "JWT"


def test_the_payload_carries_claims_of_ones_own() -> None:
    key = signing_key("RS256")
    taken = jwt.verify(jwt.sign(CLAIMS, "JWT", key), keys.KeySet([key.verification_key]), expectation("RS256"), NOW_S)
    assert taken.claims.raw == CLAIMS
    assert taken.claims.sub == "user_123"


@pytest.mark.parametrize("alg", ["HS256", "RS256"])
@pytest.mark.parametrize("part", [0, 1, 2])
def test_every_changed_part_is_refused(alg: str, part: int) -> None:
    key = signing_key(alg)
    known = keys.KeySet([key.verification_key])
    segments = jwt.sign(CLAIMS, "JWT", key).split(b".")
    assert jwt.verify(b".".join(segments), known, expectation(alg), NOW_S).claims.raw == CLAIMS
    change: list[Callable[[bytes], bytes]] = [
        lambda raw: raw.replace(b"JWT", b"jwt"),
        lambda raw: raw.replace(b"user_123", b"user_124"),
        lambda raw: bytes([raw[0] ^ 1]) + raw[1:],
    ]
    segments[part] = b64url(change[part](unb64url(segments[part])))
    with pytest.raises(SignatureInvalid):
        jwt.verify(b".".join(segments), known, expectation(alg), NOW_S)


def test_hs256_is_hmac_with_sha_256_and_stays_internal() -> None:
    key = signing_key("HS256")
    signing_input, _, signature = jwt.sign(CLAIMS, "JWT", key).rpartition(b".")
    assert unb64url(signature) == hmac.digest(SECRET, signing_input, hashlib.sha256)
    assert json.loads(keys.KeySet([key.verification_key]).to_jwks()) == {"keys": []}
    with pytest.raises(KeyRefused):
        keys.public_jwk(key.verification_key)


def test_es256_is_ecdsa_with_sha_256() -> None:
    key = signing_key("ES256")
    signing_input, _, signature = jwt.sign(CLAIMS, "JWT", key).rpartition(b".")
    raw = unb64url(signature)
    jwk = keys.public_jwk(key.verification_key)
    x, y = (int.from_bytes(unb64url(jwk[name].encode())) for name in ("x", "y"))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    der = utils.encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    public.verify(der, signing_input, ec.ECDSA(hashes.SHA256()))  # raises when it is anything else


@pytest.mark.parametrize("spelling", ["none", "None", "NONE", "nOnE"])
@pytest.mark.parametrize("signature", [b"", b"AAAA"])
def test_a_token_without_signature_is_refused(spelling: str, signature: bytes) -> None:
    assert "None" in excerpt("003", 58)
    with pytest.raises(KeyRefused):
        keys.generate(spelling)
    key = signing_key("HS256")
    known = keys.KeySet([key.verification_key])
    header = json.dumps({"alg": spelling, "typ": "JWT", "kid": key.kid}).encode()
    unsigned = b64url(header) + b"." + b64url(json.dumps(CLAIMS).encode()) + b"." + signature
    with pytest.raises(AlgorithmRefused):
        jwt.verify(unsigned, known, expectation("HS256"), NOW_S)


@pytest.mark.parametrize("alg", ["HS256", "RS256", "ES256"])
def test_another_library_reads_our_tokens_and_we_read_its(alg: str) -> None:
    key = signing_key(alg)
    signer: str | bytes = SECRET if alg == "HS256" else keys.signing_key_to_pem(key)
    verifier = SECRET if alg == "HS256" else pyjwt.PyJWK(keys.public_jwk(key.verification_key)).key
    ours = jwt.sign(CLAIMS, "JWT", key)
    options: pyjwt.types.Options = {"verify_exp": False, "verify_iat": False}
    assert pyjwt.decode(ours, verifier, [alg], options, audience="https://gate.example") == CLAIMS
    theirs = pyjwt.encode(CLAIMS, signer, alg).encode()
    taken = jwt.verify(theirs, keys.KeySet([key.verification_key]), expectation(alg), NOW_S)
    assert taken.claims.raw == CLAIMS


def test_the_example_token_is_read_and_never_trusted() -> None:
    token = code("004", 46).strip().encode()
    parsed = jws.parse(token)
    assert parsed.header == {"alg": "HS256", "typ": "JWT"}
    claims = jwt.read_claims(parsed.payload)
    assert claims.raw == {"sub": "1234567890", "name": "John Doe", "iat": 1516239022}
    public = b"your-256-bit-secret"  # the secret that made the token, known to everybody
    assert unb64url(token.split(b".")[2]) == hmac.digest(public, parsed.signing_input, "sha256")
    with pytest.raises(KeyRefused):
        keys.hmac_key(public, "HS256", "public")
    with pytest.raises(ClaimRefused):  # whoever signed it, it has no issuer, no audience and no end
        jwt.check(claims, parsed.typ, expectation("HS256"), NOW_S)


def test_the_printed_header_is_what_is_signed() -> None:
    printed = code("004", 50)
    parsed = jws.parse(code("004", 46).strip().encode())
    assert parsed.header == json.loads(printed)
    key = signing_key("HS256")
    token = by_the_formula(printed.encode(), json.dumps(CLAIMS).encode(), SECRET)
    taken = jwt.verify(token, keys.KeySet([key.verification_key]), expectation("HS256"), NOW_S)
    assert taken.header == json.loads(printed)


def test_the_signature_is_the_printed_formula() -> None:
    assert 'base64UrlEncode(header) + "." + base64UrlEncode(payload)' in code("004", 72)
    key = signing_key("HS256")
    ours = jwt.sign(CLAIMS, "JWT", key)
    header, payload = (unb64url(part) for part in ours.split(b".")[:2])
    assert ours == by_the_formula(header, payload, SECRET)
    with pytest.raises(SignatureInvalid):
        jwt.verify(
            by_the_formula(header, payload, SECRET[::-1]),
            keys.KeySet([key.verification_key]),
            expectation("HS256"),
            NOW_S,
        )
