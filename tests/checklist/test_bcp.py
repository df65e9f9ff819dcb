"""Rows BCP-01 to BCP-18 of the token checklist (RFC 8725 and its revision), one test for each row.

What a row asks of whoever configures an issuer or fetches its keys is tested there too; here it is what the token core
does or offers for it.
"""

import ast
import json
import time
from pathlib import Path
from typing import Final

import pytest

import jotgate.jose
from jotgate.errors import AlgorithmRefused, ClaimRefused, Code, ConfigurationError, KeyRefused, TokenError
from jotgate.jose import jws, jwt
from jotgate.jose.algorithms import ALGORITHMS, READABLE
from jotgate.jose.encoding import b64url_encode
from jotgate.jose.jwt import Expectation
from jotgate.jose.keys import KeySet, SigningKey, generate, hmac_key, public_jwk, signing_key_from_jwk
from jotgate.jose.strength import weakness
from jotgate.testing.forge import ABSENT, Forge, assemble, to_json
from tests import tokens

EVERY_ALGORITHM: Final = pytest.mark.parametrize("alg", ALGORITHMS)


def code_of(token: bytes, keys: KeySet, expected: Expectation) -> Code:
    """The code with which a token is refused; fails if it is not."""
    with pytest.raises(TokenError) as caught:
        jwt.verify(token, keys, expected, tokens.NOW_S)
    return caught.value.code


@EVERY_ALGORITHM
def test_BCP_01_only_algorithms_that_the_verifier_lists_are_tried(alg: str) -> None:
    token = tokens.issuer(alg).token()
    assert jwt.verify(token, tokens.all_keys(), tokens.expectation(alg), tokens.NOW_S).key.algorithm.name == alg
    others = tuple(set(READABLE) - {alg})
    assert code_of(token, tokens.all_keys(), tokens.expectation(*others)) == Code.ALGORITHM_REFUSED
    for name in (alg.lower(), alg.upper(), alg.swapcase(), "noNE", "None", "none"):
        if name != alg:
            assert tokens.refusal(tokens.issuer(alg).with_header(alg=name)) == Code.ALGORITHM_REFUSED
            with pytest.raises(ConfigurationError):  # a list with an unknown name is not one
                tokens.expectation(name)
    with pytest.raises(ConfigurationError):
        Expectation(tokens.ISSUER, (tokens.AUDIENCE,), ("at+jwt",), ())


@EVERY_ALGORITHM
def test_BCP_02_a_key_works_with_its_own_algorithm_and_no_other(alg: str) -> None:
    forge = tokens.issuer(alg)
    for other in set(READABLE) - {alg}:
        assert tokens.refusal(forge.with_header(alg=other)) == Code.ALGORITHM_REFUSED
        with pytest.raises(AlgorithmRefused):
            jws.sign({"alg": other}, b"{}", forge.key)


@pytest.mark.parametrize("kty", ["RSA", "oct"])
def test_BCP_02_the_same_numbers_under_another_algorithm_are_another_key(kty: str) -> None:
    """RS256, RS512 and PS256 of one RSA key, HS256 and HS512 of one secret: enforced when the operation runs."""
    names = [name for name, row in ALGORITHMS.items() if row.kty == kty]
    keys = {name: same_numbers(kty, name) for name in names}
    assert len(names) == (6 if kty == "RSA" else 3)
    for mine in names:
        for other in names:
            signature = keys[other].sign(b"input")
            assert keys[mine].verification_key.verify(b"input", signature) is (mine == other), (mine, other)


def same_numbers(kty: str, alg: str) -> SigningKey:
    """The key of an RFC, or the secret of all tests, bound to this algorithm."""
    if kty == "oct":
        return hmac_key(tokens.SECRET, alg, alg)
    return signing_key_from_jwk(tokens.vector("rfc7515_a2")["jwk"] | {"alg": alg})


def test_BCP_03_none_is_neither_made_nor_taken() -> None:
    forge = tokens.issuer()
    header, claims = to_json(forge.header(alg="none")), to_json(forge.claims())
    for signature in (b"", b"\0", tokens.signature_of(forge.token())):
        assert tokens.refusal(assemble(header, claims, signature)) == Code.ALGORITHM_REFUSED
    with pytest.raises(KeyRefused):
        generate("none")
    with pytest.raises(KeyRefused):
        hmac_key(tokens.SECRET, "none", "k")
    with pytest.raises(ConfigurationError):
        tokens.expectation("none")
    assert "none" not in READABLE


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512", "Ed25519"])
def test_BCP_04_ecdsa_is_deterministic_and_the_full_name_is_written(alg: str) -> None:
    key = generate(alg)
    assert key.sign(b"input") == key.sign(b"input") != key.sign(b"other input")
    assert jws.parse(jws.sign({}, b"{}", key)).alg == public_jwk(key.verification_key)["alg"] == alg


@EVERY_ALGORITHM
def test_BCP_05_a_token_within_a_token_is_refused_as_a_whole(alg: str) -> None:
    forge = tokens.issuer(alg)
    inner = forge.token()
    for cty in ("JWT", "jwt", "Jwt", "application/jwt", "APPLICATION/JWT"):
        assert tokens.refusal(forge.seal(forge.header(cty=cty), inner)) == Code.TOKEN_MALFORMED
        assert tokens.refusal(forge.with_header(cty=cty)) == Code.TOKEN_MALFORMED
    assert tokens.refusal(forge.seal(forge.header(), inner)) == Code.TOKEN_MALFORMED
    tokens.verify(forge.with_header(cty="json"))


@EVERY_ALGORITHM
def test_BCP_06_a_signed_token_and_an_encrypted_one_are_never_confused(alg: str) -> None:
    forge = tokens.issuer(alg)
    header, payload, signature = forge.token().split(b".")
    assert tokens.refusal(b".".join((header, b"", payload, payload, signature))) == Code.TOKEN_ENCRYPTED
    assert tokens.refusal(b".".join((header, payload, payload, payload, b""))) == Code.TOKEN_ENCRYPTED
    for enc in ("A256GCM", "", None, 1):
        assert tokens.refusal(forge.with_header(enc=enc)) == Code.TOKEN_ENCRYPTED
    # CVE-2023-51774: the verifier's public key, with which anybody can encrypt, vouches for nothing.
    for jwe_alg in ("RSA-OAEP-256", "ECDH-ES", "dir", "A256KW"):
        encrypted = b64url_encode(to_json({"alg": jwe_alg, "enc": "A256GCM", "kid": forge.key.kid}))
        assert tokens.refusal(encrypted + b".a2V5.aXY." + payload + b".dGFn") == Code.TOKEN_ENCRYPTED
        assert tokens.refusal(forge.with_header(alg=jwe_alg)) == Code.ALGORITHM_REFUSED


@EVERY_ALGORITHM
def test_BCP_07_numbers_of_keys_and_signatures_are_validated(alg: str) -> None:
    """The details are rows JWS-09 to JWS-11 and JWK-04; here that no algorithm is left out."""
    token = tokens.issuer(alg).token()
    size = len(tokens.signature_of(token))
    for wrong in (b"", bytes(size), b"\xff" * size, bytes(size - 1) + b"\1", bytes(size + 1)):
        assert tokens.refusal(tokens.with_signature(token, wrong)) == Code.SIGNATURE_INVALID
    if alg in tokens.ASYMMETRIC:
        for name in ALGORITHMS[alg].members:
            for value in ("", "AA", "AQ", "A" * 44, "not base64url!"):
                assert tokens.key_refusal(tokens.jwk(alg, **{name: value})), (name, value)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_BCP_08_a_secret_that_can_be_guessed_is_refused_or_seen(alg: str) -> None:
    """What cannot be a key is refused here; what looks made up is what configuration asks `weakness` about."""
    for secret in (b"", b"secret", b"password" * 8, b" " * 64, bytes(64), b"a" * 64):
        with pytest.raises(KeyRefused):
            hmac_key(secret, alg, "k")
    for phrase in (
        b"your-super-secret-jwt-key-change-this-in-production-please-123456",
        b"MyVerySecretPasswordForTheTokensOfThisProductionServer2024!!!!!!!",
    ):
        assert hmac_key(phrase, alg, "k").algorithm.name == alg
        assert weakness(phrase)
    assert weakness(tokens.SECRET) is None
    assert weakness(tokens.SECRET[:64].hex().encode()) is None


def test_BCP_09_nothing_is_inflated() -> None:
    """No import of the token core can decompress, so that no token can be a bomb."""
    imported = {name for path in sources() for name in imports(path)}
    assert not imported & {"zlib", "gzip", "bz2", "lzma", "zipfile", "tarfile", "brotli", "zstandard"}
    bomb = b64url_encode(to_json({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}))
    assert tokens.refusal(bomb + b"..aXY." + b"A" * 8_000 + b".dGFn") == Code.TOKEN_ENCRYPTED
    for value in ("DEF", "GZ", "", None):
        assert tokens.refusal(tokens.issuer().with_header(zip=value)) == Code.TOKEN_ENCRYPTED


def sources() -> list[Path]:
    return sorted(Path(str(jotgate.jose.__file__)).parent.glob("*.py"))


def imports(path: Path) -> set[str]:
    """The top-level names of all modules that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    return found


@pytest.mark.parametrize("p2c", [2**31, 1_200_001, 600_000, 1, 0, -1, 1.5, "4096", None, True])
def test_BCP_10_no_key_is_derived_from_a_password(p2c: object) -> None:
    header = {"alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2s": "c2FsdA", "p2c": p2c}
    began_s = time.process_time()
    assert tokens.refusal(b64url_encode(to_json(header)) + b".a2V5.aXY.dGV4dA.dGFn") == Code.TOKEN_ENCRYPTED
    forge = tokens.issuer()
    assert tokens.refusal(forge.with_header(alg="PBES2-HS512+A256KW", p2c=p2c)) == Code.ALGORITHM_REFUSED
    assert time.process_time() - began_s < 0.5  # 600,000 rounds of PBKDF2 would not be done by then


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "cp037"])
def test_BCP_11_header_and_claims_are_utf8(encoding: str) -> None:
    forge = tokens.issuer()
    header, claims = (json.dumps(part) for part in (forge.header(), forge.claims(sub="al\u00efce")))
    assert tokens.refusal(forge.seal(header.encode(encoding), forge.claims())) == Code.TOKEN_MALFORMED
    spoilt = claims.replace("\\u00ef", "\u00ef")
    assert tokens.refusal(forge.seal(forge.header(), spoilt.encode(encoding))) == Code.TOKEN_MALFORMED
    assert tokens.verify(forge.seal(forge.header(), spoilt.encode())).claims.sub == "al\u00efce"


@EVERY_ALGORITHM
def test_BCP_12_the_keys_of_one_issuer_vouch_for_no_other(alg: str) -> None:
    ours, theirs = tokens.key(alg), generate(alg)
    other = "https://other.example"
    expected = tokens.expectation(alg)
    keys = KeySet([ours.verification_key])
    stranger = Forge(theirs, tokens.ISSUER, tokens.AUDIENCE, tokens.NOW_S)
    assert code_of(stranger.with_claims(), keys, expected) == Code.KEY_UNKNOWN
    assert code_of(stranger.with_header(kid=ours.kid), keys, expected) == Code.SIGNATURE_INVALID
    # With the keys of our issuer, a token that says it is another's; and one of the other that says it is ours.
    assert code_of(tokens.issuer(alg).with_claims(iss=other), keys, expected) == Code.CLAIM_REFUSED
    their_set = KeySet([theirs.verification_key])
    their_expected = Expectation(other, (tokens.AUDIENCE,), ("at+jwt",), (alg,))
    assert code_of(stranger.with_claims(), their_set, their_expected) == Code.CLAIM_REFUSED
    assert code_of(tokens.issuer(alg).with_claims(iss=other), their_set, their_expected) == Code.KEY_UNKNOWN


@pytest.mark.parametrize(
    "sub", [ABSENT, None, "", 0, 7, True, [], ["alice"], {}, "a\0b", "a\nb", "\u202ealice"], ids=repr
)
def test_BCP_13_the_subject_is_a_name(sub: object) -> None:
    """Whether there is such a subject at this issuer is the business of whoever maps it to a principal."""
    with pytest.raises(ClaimRefused) as caught:
        tokens.verify(tokens.issuer().with_claims(sub=sub))
    assert caught.value.claim == "sub"


@pytest.mark.parametrize(
    "aud", [ABSENT, None, "", [], "https://other.example", ["https://other.example"], [[]]], ids=repr
)
def test_BCP_14_a_token_without_our_audience_is_refused(aud: object) -> None:
    with pytest.raises(ClaimRefused) as caught:
        tokens.verify(tokens.issuer().with_claims(aud=aud))
    assert caught.value.claim == "aud"
    with pytest.raises(ConfigurationError):
        Expectation(tokens.ISSUER, ("",), ("at+jwt",), ("ES256",))


@EVERY_ALGORITHM
def test_BCP_15_kid_is_a_name_and_no_query_and_no_url_of_a_header_is_followed(alg: str) -> None:
    forge = tokens.issuer(alg)
    for kid in ("' OR 1=1 --", "*)(uid=*", "../../dev/null", "$(id)", "https://attacker.example/key", "__class__"):
        assert tokens.refusal(forge.with_header(kid=kid)) == Code.KEY_UNKNOWN
    no_names: list[object] = ["a\nb", "a\0b", "\u0430", "", "k" * 257, 1, None, [], {}]
    for value in no_names:
        assert tokens.refusal(forge.with_header(kid=value)) == Code.TOKEN_MALFORMED
    imported = {name for path in sources() for name in imports(path)}
    assert not imported & {"socket", "ssl", "http", "urllib", "asyncio", "subprocess", "os", "pathlib", "sqlite3"}
    for url in ("http://127.0.0.1:1/jwks", "http://169.254.169.254/", "https://[::1]/", "https://attacker.example/"):
        for name in ("jku", "x5u"):
            good = tokens.verify(forge.with_header(**{name: url}))  # our signature: the URL is nobody's business
            assert good.key is forge.key.verification_key


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
def test_BCP_16_typ_is_a_media_type_without_its_first_half(typ: str) -> None:
    token = tokens.issuer().with_header(typ=typ)
    tokens.verify(token)
    for wanted in ("at+jwt", "application/at+jwt", "AT+JWT"):
        expected = Expectation(tokens.ISSUER, (tokens.AUDIENCE,), (wanted,), ("ES256",))
        jwt.verify(token, tokens.all_keys(), expected, tokens.NOW_S)
    for other in ("text/at+jwt", "at", "at+jwt; v=1", "application/", "application/application/at+jwt", "", ABSENT):
        assert tokens.refusal(tokens.issuer().with_header(typ=other)) == Code.CLAIM_REFUSED
    assert jws.parse(tokens.issuer().token()).typ == "at+jwt"


KINDS: Final = ("at+jwt", "JWT", "dpop+jwt", "logout+jwt", "secevent+jwt", "oauth-id-jag+jwt", "txntoken+jwt", "rt+jwt")


@pytest.mark.parametrize("kind", KINDS)
def test_BCP_17_a_token_of_one_kind_is_refused_as_another(kind: str) -> None:
    """The same issuer, key, audience and claims: `typ` alone tells the kinds apart, both ways."""
    token = tokens.issuer().with_header(typ=kind)
    for wanted in KINDS:
        expected = Expectation(tokens.ISSUER, (tokens.AUDIENCE,), (wanted,), ("ES256",))
        if wanted == kind:
            assert jwt.verify(token, tokens.all_keys(), expected, tokens.NOW_S).claims.sub == "alice"
        else:
            assert code_of(token, tokens.all_keys(), expected) == Code.CLAIM_REFUSED
    # And one that says the right kind without what the kind requires.
    for claim in sorted(jwt.ACCESS_TOKEN_CLAIMS):
        assert tokens.refusal(tokens.issuer().with_claims(**{claim: ABSENT})) == Code.CLAIM_REFUSED


@EVERY_ALGORITHM
def test_BCP_18_a_token_holds_base64url_and_dots_and_nothing_else(alg: str) -> None:
    token = tokens.issuer(alg).token()
    legal = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert set(token) <= legal
    middle = len(token) // 2
    for byte in set(range(256)) - legal:
        foreign = bytes((byte,))
        for spoilt in (foreign + token, token + foreign, token[:middle] + foreign + token[middle:]):
            assert tokens.refusal(spoilt) in {Code.TOKEN_MALFORMED, Code.TOKEN_ENCRYPTED}
    parts = token.decode().split(".")
    polyglot = json.dumps({"payload": parts[1], "signatures": [{"protected": parts[0], "signature": parts[2]}]})
    for both in (
        polyglot,
        polyglot + token.decode(),
        token.decode() + polyglot,
        "{" + token.decode() + "}",
        f'"{token!r}"',
    ):
        assert tokens.refusal(both.encode()) == Code.TOKEN_MALFORMED
