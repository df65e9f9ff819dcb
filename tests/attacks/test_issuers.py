"""Rows A01 to A11, B08, C05, D06, D12 and E03 at a gateway that trusts several issuers: whose key, whose token."""

import hmac
import json
import time
from hashlib import sha256
from itertools import permutations
from typing import Final

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from jotgate.errors import Code
from jotgate.jose.encoding import b64url_encode
from jotgate.jose.keys import SigningKey, signing_key_from_pem, signing_key_to_pem
from jotgate.jose.material import PRIVATE_MEMBERS
from jotgate.testing.forge import ABSENT
from jotgate.testing.issuer import TestIssuer, wrong_tokens
from jotgate.testing.public_forms import bare_forms, public_forms
from jotgate.testing.running import Gateway, run_command, until
from tests.attacks.hostile_keys import DIGEST_INFO, Hostile
from tests.attacks.trust import ALGORITHMS, AUDIENCE, PUBLISHED, Trust
from tests.flawed import flawed_key
from tests.integration.exchanges import Caller

_ROWS: Final = ("A01", "A02", "A03", "A04", "A06", "B", "C01", "C02", "C04", "C06", "D01", "D05")
# Here is an issuer whose tokens name none, and one with a single key of an algorithm: those are other refusals.
_NAMELESS: Final = ("A04_stranger", "D01_case_iss", "D01_space_iss")


@pytest.fixture(scope="session", autouse=True)
def every_issuer_is_trusted(trust: Trust) -> None:
    """A good token of each is taken, so that a refusal says something."""
    for kind in trust.keys:
        trust.target.takes(trust.published(kind).with_claims())
    trust.target.takes(trust.twin.with_claims())
    trust.target.takes(trust.shared.with_header(kid=ABSENT))
    trust.target.takes(trust.chain_token())


@pytest.mark.parametrize("kind", ["RS256", "Ed25519", "ES384"])
def test_A01_to_D05_whatever_key_the_issuer_has(trust: Trust, kind: str) -> None:
    """The catalogue once more, around keys of other algorithms."""
    tokens = wrong_tokens(trust.keys[kind], PUBLISHED, AUDIENCE, time.time())
    chosen = {name: one for name, one in tokens.items() if name.startswith(_ROWS) and not name.startswith(_NAMELESS)}
    assert len(chosen) > 500
    trust.target.refuses_tokens(chosen)


@pytest.mark.parametrize("kind", ["RS256", "RS256_e3", "ES256", "ES384", "Ed25519"])
def test_A02_public_key_of_one_issuer_as_secret_of_another(trust: Trust, kind: str) -> None:
    forms = public_forms(trust.keys[kind]) | bare_forms(trust.keys[kind])
    published = trust.published(kind)
    shots: dict[str, tuple[bytes, Code]] = {}
    for name, secret in forms.items():
        shots[f"{name}_shared"] = (trust.shared.seal_with_secret(secret, kid=ABSENT), Code.SIGNATURE_INVALID)
        shots[f"{name}_shared_kid"] = (trust.shared.seal_with_secret(secret, kid=published.key.kid), Code.KEY_UNKNOWN)
        shots[f"{name}_published"] = (published.seal_with_secret(secret), Code.ALGORITHM_REFUSED)
        shots[f"{name}_without_kid"] = (published.seal_with_secret(secret, kid=ABSENT), Code.ALGORITHM_REFUSED)
        for alg in ("HS384", "HS512"):
            shots[f"{name}_{alg}"] = (trust.shared.seal_with_secret(secret, alg, kid=ABSENT), Code.ALGORITHM_REFUSED)
    trust.target.refuses_tokens(shots)


def test_A03_good_keys_and_other_algorithms(trust: Trust) -> None:
    """RS and PS with one RSA key, curves and their neighbours, a secret's hash: the key is bound to its algorithm."""
    shots: dict[str, tuple[bytes, Code]] = {}
    for kind in trust.keys:
        maker = trust.published(kind)
        for alg in ("RS256", "RS384", "PS256", "PS512", "ES256", "ES384", "Ed25519", "EdDSA", "Ed448", "ES256K"):
            if alg != maker.key.algorithm.name:
                shots[f"{kind}_{alg}"] = (maker.with_header(alg=alg), Code.ALGORITHM_REFUSED)
    for alg in ("HS384", "HS512", "ES256", "RS256", "none"):
        shots[f"shared_{alg}"] = (trust.shared.with_header(alg=alg, kid=ABSENT), Code.ALGORITHM_REFUSED)
    trust.target.refuses_tokens(shots)


def test_A04_algorithm_chosen_by_the_header(trust: Trust) -> None:
    """A signature that is good by the header's algorithm, with a key that is for another one."""
    shots: dict[str, tuple[bytes, Code]] = {}
    for kind, alg in (("RS256", "RS384"), ("RS256", "RS512"), ("RS256", "PS256"), ("RS256_e3", "PS256")):
        key = trust.keys[kind]
        pem = public_forms(key)["pem"]
        other = _bound_to(key, alg)
        token = TestIssuer(other, PUBLISHED, AUDIENCE, time.time()).with_claims()
        shots[f"{kind}_{alg}"] = (token, Code.ALGORITHM_REFUSED)
        shots[f"{kind}_{alg}_hmac"] = (trust.published(kind).seal_with_secret(pem), Code.ALGORITHM_REFUSED)
    trust.target.refuses_tokens(shots)


def test_A05_A11_no_key_of_a_public_set_is_a_secret(trust: Trust) -> None:
    shots: dict[str, tuple[bytes, Code]] = {}
    maker = trust.of_row("a11")
    for name, one in trust.hostile["a11"].items():
        shots[name] = (one.token(maker, name), Code.ALGORITHM_REFUSED)
        shots[f"{name}_shared"] = (one.token(trust.shared, name), _code_of_shared(one))
    assert len(shots) > 25
    trust.target.refuses_tokens(shots)
    trust.target.takes(maker.with_claims())


def test_A06_a_secret_without_a_name_is_not_found_by_one(trust: Trust) -> None:
    """What jotgate calls it in its records is no kid: the right secret under it is an unknown key."""
    name = trust.target.takes(trust.shared.with_header(kid=ABSENT))
    called = trust.target.record(name)["kid"]
    trust.target.refuses_tokens(
        {
            f"kid_{kid}": (trust.shared.with_header(kid=kid), Code.KEY_UNKNOWN)
            for kid in (called, "secret-0", "secret-1")
        }
    )


def test_A06_empty_secrets_of_an_issuer_with_a_secret(trust: Trust) -> None:
    empties = {"empty": b"", "nul": b"\0", "nuls": bytes(64), "space": b" ", "newline": b"\n", "null": b"null"}
    shots: dict[str, tuple[bytes, Code]] = {}
    for name, secret in empties.items():
        shots[name] = (trust.shared.seal_with_secret(secret, kid=ABSENT), Code.SIGNATURE_INVALID)
        for number, kid in enumerate(
            ("secret-0", "/dev/null", "../../dev/null", "0", "secret", "' UNION SELECT '' -- ")
        ):
            shots[f"{name}_{number}"] = (trust.shared.seal_with_secret(secret, kid=kid), Code.KEY_UNKNOWN)
        signing_input = trust.chain_token().rpartition(b".")[0]
        forged = b64url_encode(hmac.digest(secret, signing_input, "sha256"))
        shots[f"{name}_chain"] = (signing_input + b"." + forged, Code.SIGNATURE_INVALID)
    trust.target.refuses_tokens(shots)


@pytest.mark.parametrize("row", ["A08", "A09", "A10"])
def test_A08_A09_A10_keys_that_must_not_verify(trust: Trust, row: str) -> None:
    """They stand in the published set, beside a good key that goes on verifying, and are known to nobody."""
    maker = trust.of_row(row.lower())
    keys = trust.hostile[row.lower()]
    assert len(keys) > 20
    shots = {name: (one.token(maker, name), Code.KEY_UNKNOWN) for name, one in keys.items()}
    trust.target.refuses_tokens(shots)
    trust.target.takes(maker.with_claims())


def test_A08_a_key_of_a_flawed_generator_is_not_imported(trust: Trust) -> None:
    flawed = flawed_key()
    private = flawed.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = flawed.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for pem in (private, public):
        found = run_command("key", "import", "--algorithm", "RS256", data=trust.target.gateway.data, stdin=pem.decode())
        assert (found.returncode, "CVE-2017-15361" in found.stderr) == (1, True), found
    trust.target.is_unshaken()


def test_B08_forged_padding_under_a_small_exponent(trust: Trust) -> None:
    """Cube roots of numbers that only begin as the padding does (CVE-2006-4339), or have room within."""
    maker = trust.published("RS256_e3")
    token = maker.with_claims()
    signing_input = token.rpartition(b".")[0]
    info = DIGEST_INFO + sha256(signing_input).digest()
    forms = {
        "garbage_behind": b"\0\1" + b"\xff" * 8 + b"\0" + info,
        "no_padding": b"\0\1\0" + info,
        "long_padding": b"\0\1" + b"\xff" * 100 + b"\0" + info,
        "other_block": b"\0\2" + b"\xff" * 8 + b"\0" + info,
        "without_digest_info": b"\0\1" + b"\xff" * 8 + b"\0" + sha256(signing_input).digest(),
    }
    shots: dict[str, tuple[bytes, Code]] = {}
    for name, start in forms.items():
        root = _cube_root(int.from_bytes(start.ljust(256, b"\xff")))
        forged = signing_input + b"." + b64url_encode(root.to_bytes(256))
        shots[name] = (forged, Code.SIGNATURE_INVALID)
    trust.target.refuses_tokens(shots)


def test_B08_paddings_salts_and_numbers(trust: Trust) -> None:
    tokens = wrong_tokens(trust.keys["RS256"], PUBLISHED, AUDIENCE, time.time())
    rows = {name: one for name, one in tokens.items() if name.startswith("B08_")}
    assert len(rows) > 25
    trust.target.refuses_tokens(rows)


def test_C05_kids_of_other_issuers(trust: Trust) -> None:
    """A key is the one of this name of this issuer, whoever else has one of that name."""
    published, twin, own = trust.published(), trust.twin, trust.own
    assert twin.key.kid == published.key.kid
    shots = {
        "own_key_and_kid": (_under(published, own.key), Code.KEY_UNKNOWN),
        "twin_key": (_under(published, twin.key), Code.SIGNATURE_INVALID),
        "published_key": (_under(twin, published.key), Code.SIGNATURE_INVALID),
        "published_key_for_us": (_under(own, published.key), Code.KEY_UNKNOWN),
        "published_key_our_kid": (
            TestIssuer(published.key, own.issuer, own.audience, time.time()).with_header(kid=own.key.kid),
            Code.SIGNATURE_INVALID,
        ),
        "our_key_their_kid": (
            TestIssuer(own.key, PUBLISHED, AUDIENCE, time.time()).with_header(kid=published.key.kid),
            Code.SIGNATURE_INVALID,
        ),
        "several_could_be_meant": (trust.published("RS256").with_header(kid=ABSENT), Code.KEY_AMBIGUOUS),
    }
    trust.target.refuses_tokens(shots)


def test_D06_D12_tokens_of_one_issuer_in_the_name_of_another(trust: Trust) -> None:
    """Every issuer's key under every other issuer's name: who is named must have signed."""
    makers = {
        "own": trust.own,
        "published": trust.published(),
        "rsa": trust.published("RS256"),
        "twin": trust.twin,
        "shared": trust.shared,
    }
    shots: dict[str, tuple[bytes, Code]] = {}
    for (one, signer), (other, named) in permutations(makers.items(), 2):
        if signer.issuer == named.issuer:
            continue
        maker = TestIssuer(signer.key, named.issuer, named.audience, time.time())
        shots[f"{one}_as_{other}"] = (maker.with_claims(), _refusal_of(trust, signer, named))
    for name, maker in makers.items():
        nameless = maker.with_claims(iss=ABSENT)
        in_chain = Code.KEY_UNKNOWN if name == "shared" else Code.ALGORITHM_REFUSED
        shots[f"{name}_without_issuer"] = (nameless, in_chain)
        both = maker.with_claims(iss=[maker.issuer, trust.own.issuer])
        shots[f"{name}_two_issuers"] = (both, Code.CLAIM_REFUSED)  # whoever signed it: an `iss` is one string
    shots["chain_as_shared"] = (
        TestIssuer(trust.chain, trust.shared.issuer, AUDIENCE, time.time()).with_header(kid=ABSENT),
        Code.SIGNATURE_INVALID,
    )
    shots["shared_as_chain"] = (trust.chain_token(trust.shared.key), Code.SIGNATURE_INVALID)
    shots["prefix"] = (trust.published().with_claims(iss=trust.twin.issuer), Code.SIGNATURE_INVALID)
    shots["longer"] = (trust.twin.with_claims(iss=PUBLISHED), Code.SIGNATURE_INVALID)
    trust.target.refuses_tokens(shots)


def test_D12_one_issuers_audience_and_type_are_not_anothers(trust: Trust) -> None:
    own, published = trust.own, trust.published()
    bare = trust.shared.seal({"typ": "JWT", "alg": "HS256"}, {"sub": "a"})
    shots = {
        "our_audience": (published.with_claims(aud=own.audience), Code.CLAIM_REFUSED),
        "their_audience": (own.with_claims(aud=AUDIENCE), Code.CLAIM_REFUSED),
        "chain_type": (published.with_header(typ="JWT"), Code.CLAIM_REFUSED),
        "chain_with_issuer": (trust.chain_token(iss="chain"), Code.CLAIM_REFUSED),
        "chain_with_audience": (trust.chain_token(aud=AUDIENCE), Code.CLAIM_REFUSED),
        "shared_without_claims": (bare, Code.SIGNATURE_INVALID),
    }
    trust.target.refuses_tokens(shots)


def test_E03_one_issuers_memory_is_not_anothers(trust: Trust) -> None:
    """A token that was just taken, in other names and under other signatures over the same text."""
    maker = trust.published()
    token = maker.with_claims()
    trust.target.takes(token)
    signing_input = token.rpartition(b".")[0]
    shots = {
        name: (signing_input + b"." + b64url_encode(key.sign(signing_input)), Code.SIGNATURE_INVALID)
        for name, key in {"twin": trust.twin.key, "own": trust.own.key, "shared": trust.shared.key}.items()
    }
    trust.target.refuses_tokens(shots)
    trust.target.takes(token)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (f'audiences = ["{AUDIENCE}"]', 'audiences = ["https://elsewhere.example"]', Code.CLAIM_REFUSED),
        (f'issuer = "{PUBLISHED}"', f'issuer = "{PUBLISHED}/new"', Code.CLAIM_REFUSED),
        (json.dumps(ALGORITHMS[PUBLISHED]), '["RS256"]', Code.ALGORITHM_REFUSED),
    ],
)
def test_E03_a_remembered_token_is_judged_by_the_rules_of_now(trust: Trust, old: str, new: str, code: Code) -> None:
    """After a reload that changes the entry of its issuer; and again when the entry is as before."""
    gateway = trust.target.gateway
    file = gateway.data.parent / "jotgate.toml"
    text = file.read_text()
    before, mark, entry = text.partition('name = "published"')
    assert old in entry
    token = trust.published().with_claims()
    trust.target.takes(token)
    trust.target.takes(token)
    file.write_text(before + mark + entry.replace(old, new, 1))
    try:
        gateway.reload()
        trust.target.refuses_tokens({"remembered": (token, code)})
        trust.target.takes(trust.twin.with_claims())
    finally:
        file.write_text(text)
        gateway.reload()
    until(lambda: not _without_keys(gateway), "the keys of all issuers are there again")
    trust.target.takes(token)


def _without_keys(gateway: Gateway) -> list[str]:
    """The issuers of which the worker has no keys: one that is another source again has its keys fetched first."""
    caller = Caller(gateway)
    answer = caller("GET", "/health/ready")
    caller.close()
    assert answer.status == 200
    return list(answer.json.get("issuers_without_keys", []))


def _under(named: TestIssuer, key: SigningKey) -> bytes:
    """Good claims of one issuer under a key of another."""
    return TestIssuer(key, named.issuer, named.audience, time.time()).with_claims()


def _refusal_of(trust: Trust, signer: TestIssuer, named: TestIssuer) -> Code:
    """What a token meets that names one issuer and was signed by another."""
    if signer.key.algorithm.name not in ALGORITHMS.get(named.issuer, ("ES256",)):
        return Code.ALGORITHM_REFUSED
    published = [key.kid for key in trust.keys.values()] if named.issuer == PUBLISHED else []
    return Code.SIGNATURE_INVALID if signer.key.kid in (named.key.kid, *published) else Code.KEY_UNKNOWN


def _bound_to(key: SigningKey, alg: str) -> SigningKey:
    """The same key, bound to another algorithm."""
    return signing_key_from_pem(signing_key_to_pem(key), alg, key.kid)


def _cube_root(number: int) -> int:
    """The largest whole number whose cube is no larger."""
    low, high = 0, 1 << (number.bit_length() // 3 + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**3 <= number else (low, middle - 1)
    return low


def _code_of_shared(one: Hostile) -> Code:
    """What a token of a published key meets that says it is of the issuer with a shared secret."""
    return Code.KEY_UNKNOWN if one.alg == "HS256" else Code.ALGORITHM_REFUSED


def test_A11_the_own_key_set_has_no_private_part(trust: Trust) -> None:
    caller = Caller(trust.target.gateway)
    answer = caller("GET", "/.well-known/jwks.json")
    caller.close()
    assert answer.status == 200
    assert answer.json["keys"] != []
    for jwk in answer.json["keys"]:
        assert jwk["kty"] in {"EC", "RSA", "OKP"}
        assert PRIVATE_MEMBERS.isdisjoint(jwk)
