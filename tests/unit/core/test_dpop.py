"""DPoP proofs: what a proof must say of itself and its request, one refusal for each thing that it does not."""

from typing import Any, Final

import pytest

from jotgate.core.dpop import PROOF_ALGORITHMS, Proof, Target, access_token_hash, normal_url, read_proof
from jotgate.errors import Code, ProofRefused
from jotgate.jose import jws
from jotgate.jose.encoding import b64url_decode, b64url_encode
from jotgate.jose.keys import hmac_key, thumbprint
from tests.proving import Holder

NOW_S: Final = 1_790_000_000.0
URL: Final = "https://gate.example/v1/chat/completions"
TARGET: Final = Target("POST", URL)
TOKEN: Final = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
RFC_KEY: Final = {
    "kty": "EC",
    "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
    "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
    "crv": "P-256",
}
RFC_PROOF: Final = (  # RFC 9449 s4.1, figure 1
    b"eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo"
    b"RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
    b".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0"
    b"IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
)


@pytest.fixture(scope="module")
def holder() -> Holder:
    return Holder()


def read(proof: str, token: str | None = TOKEN, target: Target = TARGET) -> Proof:
    return read_proof(proof.encode(), target, None if token is None else token.encode())


def refused(proof: str, **given: Any) -> ProofRefused:
    with pytest.raises(ProofRefused) as caught:
        read(proof, **given)
    assert caught.value.code is Code.PROOF_REFUSED
    return caught.value


def test_DP_19_the_examples_of_the_rfc() -> None:
    assert thumbprint(RFC_KEY) == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
    assert access_token_hash(TOKEN.encode()) == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
    found = read_proof(RFC_PROOF, Target("POST", "https://server.example.com/token"))
    assert found == Proof("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", "-BwC3ESc6acc2lTc", 1_562_262_616)


@pytest.mark.parametrize("alg", [name for name in PROOF_ALGORITHMS if name != "EdDSA"])
def test_DP_05_every_asymmetric_algorithm_of_the_table_may_sign(alg: str) -> None:
    holder = Holder(alg)
    found = read(holder.prove("POST", URL, NOW_S, TOKEN, nonce="n"))
    assert (found.jkt, found.iat, found.nonce) == (holder.jkt, NOW_S, "n")


def test_DP_05_a_proof_is_never_signed_with_a_secret_or_not_at_all(holder: Holder) -> None:
    secret = hmac_key(b"0123456789abcdefghijklmnopqrstuvwxyz", "HS256", "k")
    good = holder.prove("POST", URL, NOW_S, TOKEN)
    payload = b64url_decode(good.split(".")[1].encode())
    oct_jwk = {"kty": "oct", "k": b64url_encode(b"0123456789abcdefghijklmnopqrstuvwxyz").decode()}
    for jwk in (oct_jwk, holder.jwk):
        signed = jws.sign({"typ": "dpop+jwt", "jwk": jwk}, payload, secret, with_kid=False).decode()
        assert refused(signed).claim == "alg"
    for alg in ("none", "NONE", "es256", "ES256K"):
        assert refused(holder.prove("POST", URL, NOW_S, TOKEN, header={"alg": alg})).claim == "alg"
    assert "signature" in refused(good.rpartition(".")[0] + ".").message


def test_DP_01_there_is_exactly_one_proof(holder: Holder) -> None:
    one, other = (holder.prove("POST", URL, NOW_S, TOKEN) for _ in range(2))
    assert "more than one" in refused(f"{one}, {other}").message
    with pytest.raises(ProofRefused, match="no proof"):
        read_proof(None, TARGET, TOKEN.encode())


def test_DP_02_a_proof_is_one_well_formed_jwt(holder: Holder) -> None:
    good = holder.prove("POST", URL, NOW_S, TOKEN)
    head, payload, signature = good.split(".")
    twice = b'{"htm":"POST","htm":"POST","htu":"x","jti":"1","iat":1}'
    for bad in (
        "",
        "x",
        f"{head}.{payload}",
        f"{good}.x",
        f"{good}=",
        f" {good}",
        f"{head}.{payload}.{signature}\n",
        holder.sign({"typ": "dpop+jwt", "alg": "ES256", "jwk": holder.jwk}, b"[]"),
        holder.sign({"typ": "dpop+jwt", "alg": "ES256", "jwk": holder.jwk}, twice),
        holder.prove("POST", URL, NOW_S, TOKEN, header={"crit": ["x"], "x": 1}),
        "A" * 20_000,
    ):
        assert "malformed" in refused(bad).message, bad


@pytest.mark.parametrize("claim", ["jti", "htm", "htu", "iat", "ath"])
def test_DP_03_every_claim_must_be_there(holder: Holder, claim: str) -> None:
    assert refused(holder.prove("POST", URL, NOW_S, TOKEN, **{claim: None})).claim == claim


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("jti", ""),
        ("jti", 1),
        ("jti", "x" * 257),
        ("jti", ["a"]),
        ("iat", "1"),
        ("iat", True),
        ("htm", ["POST"]),
        ("htu", 1),
        ("htu", URL + "/" + "a" * 9_000),
        ("ath", 1),
        ("nonce", 1),
        ("nonce", "x" * 257),
    ],
)
def test_DP_03_every_claim_has_its_type(holder: Holder, claim: str, value: Any) -> None:
    assert refused(holder.prove("POST", URL, NOW_S, TOKEN, **{claim: value})).claim == claim


def test_a_nonce_that_is_no_text_is_there(holder: Holder) -> None:
    found = refused(holder.prove("POST", URL, NOW_S, TOKEN, nonce=3))
    assert ("missing" in found.message, found.got) == (False, 3)


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "dpop", "dpop+jwt;x=1", "", None])
def test_DP_04_its_type_says_that_it_is_a_proof(holder: Holder, typ: str | None) -> None:
    assert refused(holder.prove("POST", URL, NOW_S, TOKEN, header={"typ": typ})).claim == "typ"


@pytest.mark.parametrize("typ", ["DPOP+JWT", "application/dpop+jwt"])
def test_DP_04_the_type_is_a_media_type(holder: Holder, typ: str) -> None:
    assert read(holder.prove("POST", URL, NOW_S, TOKEN, header={"typ": typ})).jkt == holder.jkt


def test_DP_06_the_signature_is_that_of_the_key_in_the_header(holder: Holder) -> None:
    assert "signature" in refused(holder.prove("POST", URL, NOW_S, TOKEN, header={"jwk": Holder().jwk})).message
    mismatched = holder.prove("POST", URL, NOW_S, TOKEN, header={"jwk": Holder("ES384").jwk})
    assert refused(mismatched).claim == "alg"
    for other in ("jku", "x5u"):
        elsewhere = {"jwk": None, other: "https://attacker.example/keys"}
        assert refused(holder.prove("POST", URL, NOW_S, TOKEN, header=elsewhere)).claim == "jwk"


def test_DP_07_the_key_is_public_and_fit(holder: Holder) -> None:
    for member in ({"d": "AAAA"}, {"use": "enc"}, {"key_ops": ["sign"]}, {"x": "AAAA"}, {"crv": "P-999"}):
        found = refused(holder.prove("POST", URL, NOW_S, TOKEN, header={"jwk": {**holder.jwk, **member}}))
        assert found.claim == "jwk"
        assert "AAAA" not in found.message
    for jwk in ({}, {"kty": "oct", "k": "AAAA"}):
        assert refused(holder.prove("POST", URL, NOW_S, TOKEN, header={"jwk": jwk})).claim == "jwk"


def test_DP_08_the_method_is_that_of_the_request(holder: Holder) -> None:
    for method in ("GET", "post", "POST "):
        assert refused(holder.prove(method, URL, NOW_S, TOKEN)).claim == "htm"


@pytest.mark.parametrize(
    "url",
    [
        URL + "?a=1",
        URL + "#part",
        URL + "?a=1#part",
        "HTTPS://gate.example/v1/chat/completions",
        "https://GATE.example:443/v1/chat/completions",
        "https://gate.example/v1/./x/../chat/completions",
        "https://gate.example/v1/%63hat/completions",
    ],
)
def test_DP_09_the_url_counts_however_it_is_spelt(holder: Holder, url: str) -> None:
    assert read(holder.prove("POST", url, NOW_S, TOKEN)).jkt == holder.jkt


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/v1/chat/completions",
        "http://gate.example/v1/chat/completions",
        "https://gate.example:8443/v1/chat/completions",
        "https://gate.example.evil/v1/chat/completions",
        "https://gate.example@evil/v1/chat/completions",
        "https://user@gate.example/v1/chat/completions",
        "https://gate.example/v1/chat/completions/",
        "https://gate.example/v1/Chat/completions",
        "https://gate.example/v1%2Fchat/completions",
        "https://gate.example//v1/chat/completions",
        "https://gate.example/v1/embeddings",
        "https://[gate.example/v1/chat/completions",
        "https://gate.example:x/v1/chat/completions",
    ],
)
def test_DP_09_another_url_is_refused(holder: Holder, url: str) -> None:
    assert refused(holder.prove("POST", url, NOW_S, TOKEN)).claim == "htu"


def test_urls_have_one_form() -> None:
    assert normal_url("https://a.example") == "https://a.example/"
    assert normal_url("http://A.example:80/a/b/..") == "http://a.example/a/"
    assert normal_url("http://[2001:DB8::1]:8080/%7euser%2f") == "http://[2001:db8::1]:8080/~user%2F"
    assert normal_url("ftp://a.example/") == normal_url("https:///x") == ""


def test_DP_12_the_proof_is_of_the_token_that_it_came_with(holder: Holder) -> None:
    found = refused(holder.prove("POST", URL, NOW_S, "another"))
    assert (found.claim, found.wanted) == ("ath", access_token_hash(TOKEN.encode()))
    assert read(holder.prove("POST", URL, NOW_S), token=None).jkt == holder.jkt


def test_a_proof_is_named_by_its_key_and_its_jti_together() -> None:
    one, other = Holder(), Holder()
    handles = {
        read(who.prove("POST", URL, NOW_S, TOKEN, jti=jti)).handle for who in (one, other) for jti in ("a", "b", "a")
    }
    assert len(handles) == 4
