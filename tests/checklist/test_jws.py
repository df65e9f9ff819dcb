"""Rows JWS-01 to JWS-11 of the token checklist (RFC 7515, 7518, 7797), one test for each row.

What a row says of algorithms that jotgate does not have is tested as their refusal.
"""

import dis
import hmac
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from jotgate.errors import AlgorithmRefused, Code, KeyRefused, TokenEncrypted, TokenMalformed
from jotgate.jose import jws, jwt
from jotgate.jose.algorithms import ALGORITHMS, Ecdsa, Rsa
from jotgate.jose.encoding import b64url_encode
from jotgate.jose.keys import (
    KeySet,
    SigningKey,
    generate,
    hmac_key,
    public_jwk,
    signing_key_from_jwk,
    signing_key_from_pem,
    signing_key_to_pem,
)
from jotgate.jose.primitives import HmacKey
from jotgate.testing.forge import ABSENT, assemble, to_json
from jotgate.testing.wrong_headers import header_bytes
from tests import tokens

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
EVERY_ALGORITHM = pytest.mark.parametrize("alg", ALGORITHMS)


@EVERY_ALGORITHM
def test_JWS_01_a_token_has_exactly_three_parts_and_others_are_refused_undecoded(alg: str) -> None:
    token = tokens.issuer(alg).token()
    assert tokens.verify(token).key.algorithm.name == alg
    header, payload, signature = token.split(b".")
    for parts in ((), (header,), (header, payload), (header, payload, signature, b""), (header,) * 6, (header,) * 50):
        assert tokens.refusal(b".".join(parts)) == Code.TOKEN_MALFORMED
    assert tokens.refusal(b".".join((header,) * 5)) == Code.TOKEN_ENCRYPTED
    for count in (0, 1, 3, 5):
        with pytest.raises(TokenMalformed, match="3 parts"):
            jws.parse(b"=" + b".=" * count)  # would not decode either: the count comes first
    with pytest.raises(TokenEncrypted, match="JWE"):
        jws.parse(b"=.=.=.=.=")


def test_JWS_02_base64url_has_one_form() -> None:
    parts = tokens.issuer().token().split(b".")
    for number, part in enumerate(parts):
        for spoilt in spoilt_forms(part):
            token = b".".join((*parts[:number], spoilt, *parts[number + 1 :]))
            assert tokens.refusal(token) == Code.TOKEN_MALFORMED, spoilt
    assert tokens.refusal(b" " + b".".join(parts)) == Code.TOKEN_MALFORMED
    assert tokens.refusal(b".".join(parts) + b"\n") == Code.TOKEN_MALFORMED


def spoilt_forms(part: bytes) -> Iterator[bytes]:
    """The part with every byte in it that has no place in base64url, padded, cut, and with its unused bits set."""
    for byte in set(range(256)) - set(ALPHABET) - set(b"."):
        foreign = bytes((byte,))
        yield part + foreign
        yield foreign + part
        yield part[:4] + foreign + part[4:]
        yield part[:3] + foreign + part[4:]
    yield part + b"="
    yield part + b"=="
    yield part + "\u0661".encode()  # a digit, but not ASCII
    whole = part[: len(part) // 4 * 4]
    yield whole + b"A"
    yield from (whole + b"A" + bytes((last,)) for last in ALPHABET if ALPHABET.index(last) % 16)
    yield from (whole + b"AA" + bytes((last,)) for last in ALPHABET if ALPHABET.index(last) % 4)


def test_JWS_03_the_header_is_one_utf8_json_object_with_unique_names() -> None:
    forge = tokens.issuer()
    for name, raw in header_bytes(forge).items():
        assert tokens.refusal(forge.seal(raw, forge.claims())) == Code.TOKEN_MALFORMED, name
    for raw in (b"null", b"1", b"true", b'"ES256"', b"[]", b"{}"):
        assert tokens.refusal(forge.seal(raw, forge.claims())) == Code.TOKEN_MALFORMED, raw
    spaced = to_json(forge.header()).replace(b",", b" ,\r\n\t").replace(b"typ", b"t\\u0079p")
    assert tokens.verify(forge.seal(spaced, forge.claims())).header == forge.header()


@EVERY_ALGORITHM
def test_JWS_04_alg_is_allowed_and_is_that_of_the_key(alg: str) -> None:
    forge = tokens.issuer(alg)
    payload = forge.claims()
    for value in (ABSENT, None, 1, True, [alg], {alg: alg}):
        assert tokens.refusal(forge.with_header(alg=value)) == Code.TOKEN_MALFORMED
    foreign = ("none", "None", "noNE", "", "EdDSA", "Ed448", "ES256K", "FOO", alg.swapcase(), alg + " ", alg[:-1])
    for name in (*foreign, *(set(ALGORITHMS) - {alg})):
        # The key set holds the named key, and the expectation allows every algorithm: only the pair does not fit.
        assert tokens.refusal(forge.with_header(alg=name)) == Code.ALGORITHM_REFUSED, name
        unsigned = assemble(to_json(forge.header(alg=name)), to_json(payload), b"")
        assert tokens.refusal(unsigned) == Code.ALGORITHM_REFUSED, name
    others = tuple(set(ALGORITHMS) - {alg})
    with pytest.raises(AlgorithmRefused):
        jws.verify(jws.parse(forge.token()), tokens.all_keys(), others)
    with pytest.raises(AlgorithmRefused):
        jws.verify(jws.parse(forge.with_header(alg="none")), tokens.all_keys(), ("none",))


@pytest.mark.parametrize(
    "crit",
    [
        None,
        "exp",
        1,
        True,
        {},
        {"exp": 1},
        [],
        [1],
        [None],
        [["exp"]],
        ["exp", "exp"],
        ["alg"],
        ["kid"],
        ["absent"],
        ["exp"],
        ["b64"],
    ],
    ids=repr,
)
def test_JWS_05_crit_is_refused_even_under_a_good_signature(crit: object) -> None:
    """Jotgate understands no extension, so that no value of `crit` can be met."""
    forge = tokens.issuer()
    assert tokens.refusal(forge.with_header(crit=crit, exp=1, b64=ABSENT)) == Code.TOKEN_MALFORMED
    assert tokens.verify(forge.with_header(exp=1)).header["exp"] == 1


@pytest.mark.parametrize("b64", [False, True, "false", None, 0])
@pytest.mark.parametrize("crit", [ABSENT, ["b64"]], ids=["alone", "crit"])
def test_JWS_06_b64_is_refused_in_every_form(b64: object, crit: object) -> None:
    forge = tokens.issuer()
    header = forge.header(b64=b64, crit=crit)
    assert tokens.refusal(forge.seal(header, forge.claims())) == Code.TOKEN_MALFORMED
    raw_header, raw_payload = to_json(header), b'{"not":"encoded"}'
    signing_input = b64url_encode(raw_header) + b"." + raw_payload
    unencoded = signing_input + b"." + b64url_encode(forge.key.sign(signing_input))
    assert tokens.refusal(unencoded) == Code.TOKEN_MALFORMED


@pytest.mark.parametrize("alg", tokens.ASYMMETRIC)
@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c"])
def test_JWS_07_a_token_never_brings_its_own_key(alg: str, member: str) -> None:
    stranger = generate(alg)
    brought: dict[str, object] = {
        "jwk": public_jwk(stranger.verification_key),
        "jku": "https://attacker.example/jwks.json",
        "x5u": "http://127.0.0.1/certificate.pem",
        "x5c": ["AAAA"],
    }
    forge, thief = tokens.issuer(alg), tokens.issuer(alg)
    thief.key = stranger
    assert tokens.refusal(thief.with_header(**{member: brought[member]})) == Code.KEY_UNKNOWN
    ours = thief.with_header(kid=forge.key.kid, **{member: brought[member]})
    assert tokens.refusal(ours) == Code.SIGNATURE_INVALID
    nameless = thief.with_header(kid=ABSENT, **{member: brought[member]})
    assert tokens.refusal(nameless) == Code.SIGNATURE_INVALID
    good = tokens.verify(forge.with_header(**{member: brought[member]}))
    assert good.key is forge.key.verification_key


def test_JWS_08_json_serializations_are_refused() -> None:
    protected, payload, signature = (part.decode() for part in tokens.issuer().token().split(b"."))
    signed = {"protected": protected, "signature": signature}
    forms = [
        {"payload": payload, **signed},
        {"payload": payload, "header": {"alg": "none"}, "signature": ""},
        {"payload": payload, "signatures": [signed]},
        {"payload": payload, "signatures": []},
        {"payload": payload, "signatures": [{"protected": protected, "signature": "AA"}, signed]},
    ]
    for form in forms:
        for raw in (to_json(form), b" " + to_json(form), b"\n" + to_json(form)):
            with pytest.raises(TokenMalformed, match="JSON serialization"):
                jws.parse(raw)
    token = f"{protected}.{payload}.{signature}".encode()
    for polyglot in (b'{"a":"' + token + b'"}', b"{" + token, token + b"}", b'"' + token + b'"', b"[" + token + b"]"):
        assert tokens.refusal(polyglot) == Code.TOKEN_MALFORMED


@EVERY_ALGORITHM
def test_JWS_09_signatures_have_one_length_and_ecdsa_numbers_their_range(alg: str) -> None:
    token = tokens.issuer(alg).token()
    good = tokens.signature_of(token)
    sizes = {"ES256": 64, "ES384": 96, "ES512": 132, "Ed25519": 64, "HS256": 32, "HS384": 48, "HS512": 64}
    assert len(good) == sizes.get(alg, 256)  # that of RSA is as long as the modulus
    for size in {*range(140), 255, 257, 512} - {len(good)}:
        cut = (good * 16)[:size]
        assert tokens.refusal(tokens.with_signature(token, cut)) == Code.SIGNATURE_INVALID, size
    assert tokens.refusal(tokens.with_signature(token, bytes(len(good)))) == Code.SIGNATURE_INVALID
    assert tokens.refusal(tokens.with_signature(token, b"\xff" * len(good))) == Code.SIGNATURE_INVALID


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512"])
def test_JWS_09_ecdsa_numbers_lie_between_1_and_n(alg: str) -> None:
    token = tokens.issuer(alg).token()
    scheme = ALGORITHMS[alg].scheme
    assert isinstance(scheme, Ecdsa)
    good, size = tokens.signature_of(token), scheme.size
    r, s, n = int.from_bytes(good[:size]), int.from_bytes(good[size:]), scheme.order
    outside = (0, n, n + 1, scheme.prime, 256**size - 1)
    for wrong_r, wrong_s in [(x, y) for x in (*outside, r) for y in (*outside, s) if (x, y) != (r, s)]:
        forged = wrong_r.to_bytes(size) + wrong_s.to_bytes(size)
        assert tokens.refusal(tokens.with_signature(token, forged)) == Code.SIGNATURE_INVALID
    for edge in (1, n - 1):
        forged = edge.to_bytes(size) + edge.to_bytes(size)
        assert tokens.refusal(tokens.with_signature(token, forged)) == Code.SIGNATURE_INVALID
    assert tokens.refusal(tokens.with_signature(token, encode_dss_signature(r, s))) == Code.SIGNATURE_INVALID
    # The one other signature that the mathematics allows is good: nothing may identify a token by its signature.
    assert tokens.verify(tokens.with_signature(token, good[:size] + (n - s).to_bytes(size))).claims.sub == "alice"
    if alg == "ES512":  # numbers have one form: what fits into 66 bytes and is the same modulo n is another
        assert tokens.refusal(tokens.with_signature(token, (r + n).to_bytes(66) + good[66:])) == Code.SIGNATURE_INVALID
        assert tokens.refusal(tokens.with_signature(token, good[:66] + (s + n).to_bytes(66))) == Code.SIGNATURE_INVALID


@pytest.mark.parametrize("alg", ["PS256", "PS384", "PS512"])
def test_JWS_09_the_salt_of_pss_is_as_long_as_the_hash(alg: str) -> None:
    """RFC 7518 s3.5; B08: the same key, hash and input under salts of other lengths, and under PKCS #1 v1.5."""
    key = tokens.key(alg)
    scheme = ALGORITHMS[alg].scheme
    assert isinstance(scheme, Rsa)
    private = load_pem_private_key(signing_key_to_pem(key), password=None)
    assert isinstance(private, rsa.RSAPrivateKey)
    size = scheme.hash.digest_size
    for salt in (0, 1, 20, size - 1, size, size + 1, 256 - size - 2):
        made = private.sign(b"input", padding.PSS(padding.MGF1(scheme.hash), salt), scheme.hash)
        assert key.verification_key.verify(b"input", made) is (salt == size), salt
    for other in (hashed for hashed in (SHA256(), SHA384(), SHA512()) if hashed.name != scheme.hash.name):
        for mask, digest in ((other, scheme.hash), (scheme.hash, other), (other, other)):
            made = private.sign(b"input", padding.PSS(padding.MGF1(mask), digest.digest_size), digest)
            assert not key.verification_key.verify(b"input", made)
    assert not key.verification_key.verify(b"input", private.sign(b"input", padding.PKCS1v15(), scheme.hash))


def test_JWS_09_an_rsa_signature_is_as_long_as_the_modulus() -> None:
    p, q = 2**1024 + 643, 2**1024 + 1081  # their product has 2049 bits: one byte more than 2048
    d = pow(65_537, -1, (p - 1) * (q - 1))
    crt = {"dp": d % (p - 1), "dq": d % (q - 1), "qi": pow(q, -1, p)}
    numbers = {"n": p * q, "e": 65_537, "d": d, "p": p, "q": q, **crt}
    odd = signing_key_from_jwk({"kty": "RSA", "alg": "RS256"} | {name: tokens.uint(numbers[name]) for name in numbers})
    for key, size in ((odd, 257), (tokens.key("RS256"), 256), (rsa_key(3072, 3), 384)):
        signature = key.sign(b"input")
        assert len(signature) == size
        assert key.verification_key.verify(b"input", signature)
        assert not key.verification_key.verify(b"input", b"\0" + signature)
        assert not key.verification_key.verify(b"input", signature[1:])
    # A signature that begins with a zero byte is not good without it.
    messages = (number.to_bytes(2) for number in range(65_536))
    message = next(each for each in messages if tokens.key("RS256").sign(each)[0] == 0)
    signature = tokens.key("RS256").sign(message)
    assert tokens.key("RS256").verification_key.verify(message, signature)
    assert not tokens.key("RS256").verification_key.verify(message, signature[1:])


def test_JWS_10_hmac_keys_are_as_long_as_the_hash_and_are_compared_in_constant_time() -> None:
    secret = bytes(range(65))
    for alg, hash_bytes in (("HS256", 32), ("HS384", 48), ("HS512", 64)):
        for size in range(hash_bytes):
            with pytest.raises(KeyRefused, match=f"at least {hash_bytes} bytes"):
                hmac_key(secret[:size], alg, "k")
        for size in (hash_bytes, hash_bytes + 1):
            key = hmac_key(secret[:size], alg, "k")
            assert key.verification_key.verify(b"input", key.sign(b"input"))
            assert key.sign(b"input") == hmac.digest(secret[:size], b"input", f"sha{alg[2:]}")
    code = list(dis.get_instructions(HmacKey.verify))
    assert "compare_digest" in {step.argval for step in code}
    assert "COMPARE_OP" not in {step.opname for step in code}


@pytest.mark.parametrize("alg", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
def test_JWS_11_rsa_keys_have_2048_bits_and_an_odd_exponent(alg: str) -> None:
    for bits in (1024, 2047):
        with pytest.raises(KeyRefused, match="2048 to 8192 bits"):
            rsa_key(bits, 65_537, alg)
    key = rsa_key(2048, 3, alg)
    token = jwt.sign(tokens.issuer().claims(), "at+jwt", key)
    found = jws.verify(jws.parse(token), KeySet([key.verification_key]), (alg,))
    assert found is key.verification_key
    for exponent in (1, 2, 4, 65_536, 2**32 + 15):
        reason = tokens.key_refusal(tokens.jwk(alg, e=tokens.uint(exponent)))
        assert "expon" in reason or "num" in reason
    modulus = 2**2047 + 1
    assert "bits" in tokens.key_refusal(tokens.jwk(alg, n=tokens.uint(modulus >> 1 | 1)))
    assert "bits" in tokens.key_refusal(tokens.jwk(alg, n=tokens.uint(2**8192 + 1)))
    assert "even" in tokens.key_refusal(tokens.jwk(alg, n=tokens.uint(modulus + 1)))


def rsa_key(bits: int, exponent: int, alg: str = "RS256") -> SigningKey:
    """A signing key of any size and exponent that the library makes."""
    made = rsa.generate_private_key(exponent, bits)
    return signing_key_from_pem(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), alg)
