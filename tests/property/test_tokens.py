"""Properties of the token parser: nothing but TokenError leaves it, and nothing that was changed gets through."""

import json
import string
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from jotgate.errors import KeyRefused, TokenError, TokenMalformed
from jotgate.jose import jws, jwt
from jotgate.jose.algorithms import ALGORITHMS
from jotgate.jose.encoding import b64url_decode, b64url_encode, encode_object, parse_object
from jotgate.jose.keys import KeySet, signing_key_from_jwk, signing_key_from_pem, thumbprint, verification_key_from_jwk
from jotgate.testing.forge import ABSENT
from tests import tokens

ALPHABET: Final = (string.ascii_letters + string.digits + "-_").encode()
EVERY_ALGORITHM: Final = pytest.mark.parametrize("alg", ALGORITHMS)
JSON: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
OBJECTS: Final = st.dictionaries(st.text(), JSON, max_size=8)
# Text near JSON: what random bytes never hit.
FRAGMENTS: Final = st.sampled_from(
    [
        *(
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            '"',
            "\\",
            "\\u",
            "\\u0061",
            "\\ud800",
            "\\udc00",
            '"a"',
            '"a":',
            '"\\u0061":1',
        ),
        *("1", "-", "0", "1e999", "1E5", ".", "NaN", "Infinity", "true", "null", " ", "\n", "\0", "\ufeff", "\u00e9"),
        *("9" * 21, '{"a":1}', '{"a":', "//", "'a'"),
    ]
)
NEAR_JSON: Final = st.lists(FRAGMENTS, max_size=30).map(lambda parts: "".join(parts).encode())


@given(st.binary(max_size=200))
def test_base64url_goes_there_and_back(raw: bytes) -> None:
    text = b64url_encode(raw)
    assert b64url_decode(text) == raw
    assert set(text) <= set(ALPHABET)


@given(st.binary(max_size=40) | st.lists(st.sampled_from(ALPHABET + b"=+/ \n"), max_size=40).map(bytes))
def test_base64url_that_is_taken_is_the_one_form_of_its_bytes(text: bytes) -> None:
    try:
        raw = b64url_decode(text)
    except TokenMalformed:
        return
    assert b64url_encode(raw) == text


@given(OBJECTS)
def test_json_goes_there_and_back(members: dict[str, object]) -> None:
    raw = encode_object(members, "thing")
    assert parse_object(raw, "thing") == members
    spaced = json.dumps(members, indent=1).encode()  # escaped, and not what the shortcut takes
    assert parse_object(spaced, "thing") == members


@given(NEAR_JSON | st.binary(max_size=100) | OBJECTS.map(lambda members: json.dumps(members).encode()))
def test_json_that_is_taken_is_what_the_standard_library_reads(raw: bytes) -> None:
    try:
        found = parse_object(raw, "thing")
    except TokenMalformed:
        return
    assert found == json.loads(raw)
    json.dumps(found, allow_nan=False, ensure_ascii=False).encode()


@given(OBJECTS, st.data())
def test_a_repeated_name_is_found_wherever_it_stands(members: dict[str, object], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(members))) if members else "a"
    members.setdefault(name, None)
    raw = json.dumps(members, separators=(",", ":"), ensure_ascii=data.draw(st.booleans()))
    again = f"{json.dumps(name)}:{json.dumps(data.draw(JSON))}"
    spoilt = raw[:-1] + "," + again + "}" if data.draw(st.booleans()) else "{" + again + "," + raw[1:]
    for text in (spoilt, '{"nested":[' + spoilt + "]}"):
        with pytest.raises(TokenMalformed):
            parse_object(text.encode(errors="surrogatepass"), "thing")


@given(
    st.binary(max_size=300)
    | st.lists(st.binary(max_size=40).map(b64url_encode), max_size=6).map(b".".join)
    | st.tuples(NEAR_JSON, NEAR_JSON, st.binary(max_size=70)).map(lambda parts: b".".join(map(b64url_encode, parts)))
)
def test_any_bytes_are_refused_with_a_token_error(token: bytes) -> None:
    with pytest.raises(TokenError):
        tokens.verify(token)


@EVERY_ALGORITHM
@given(header=OBJECTS | st.just({}), claims=OBJECTS)
def test_any_signed_header_and_claims_are_taken_or_refused(
    alg: str, header: dict[str, object], claims: dict[str, object]
) -> None:
    forge = tokens.issuer(alg)
    for token in (
        forge.seal(header, claims),
        forge.seal(forge.header() | header, claims),
        forge.seal(forge.header(), forge.claims() | claims),
    ):
        try:
            verified = tokens.verify(token)
        except TokenError:
            continue
        assert verified.claims.iss == tokens.ISSUER


@given(st.sampled_from(sorted(("iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "scope"))), JSON)
def test_a_registered_claim_of_any_value_is_taken_only_in_its_type(claim: str, value: object) -> None:
    raw = encode_object(tokens.issuer().claims(**{claim: value}), "claims set")
    try:
        claims = jwt.read_claims(raw)
    except TokenError:
        return
    assert claims.raw[claim] == value
    assert all(isinstance(name, str) and name for name in (claims.iss, claims.sub, claims.jti, claims.client_id))
    assert all(type(time) in (int, float) for time in (claims.exp, claims.iat))


@given(st.sampled_from(("iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope")), JSON | st.just(ABSENT))
def test_usual_claims_are_read_like_those_with_one_more(claim: str, value: object) -> None:
    usual = tokens.issuer().claims(**{claim: value})
    read = [_read({**usual, "nbf": now_s} if now_s else usual) for now_s in (None, 1)]
    assert read[0] == read[1]


def _read(claims: dict[str, object]) -> object:
    """The registered claims but `nbf`, or what is said of the one that is wrong."""
    try:
        found = jwt.read_claims(encode_object(claims, "claims set"))
    except TokenError as refusal:
        return refusal.message, refusal.claim
    return structs.replace(found, raw={}, nbf=None)


@EVERY_ALGORITHM
@given(data=st.data())
def test_a_token_with_one_character_changed_is_refused(alg: str, data: st.DataObject) -> None:
    token = tokens.token(alg)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(ALPHABET + b".=+/ ") | st.integers(0, 255))
    change = data.draw(st.sampled_from(["replace", "insert", "delete"]))
    if change == "replace" and token[place] == other:
        return
    changed = {
        "replace": token[:place] + bytes((other,)) + token[place + 1 :],
        "insert": token[:place] + bytes((other,)) + token[place:],
        "delete": token[:place] + token[place + 1 :],
    }[change]
    with pytest.raises(TokenError):
        tokens.verify(changed)


@EVERY_ALGORITHM
@given(data=st.data())
def test_parts_of_two_tokens_do_not_make_a_third(alg: str, data: st.DataObject) -> None:
    parts = [tokens.token(alg).split(b"."), tokens.issuer(alg).token(sub="bob").split(b".")]
    picks = data.draw(st.tuples(*[st.integers(0, 1)] * 3))
    mixed = b".".join(parts[pick][place] for place, pick in enumerate(picks))
    if mixed in (b".".join(parts[0]), b".".join(parts[1])) or picks[1] == picks[2]:  # the headers are equal
        tokens.verify(mixed)
        return
    with pytest.raises(TokenError):
        tokens.verify(mixed)


@EVERY_ALGORITHM
@given(payload=st.binary(max_size=300), changed=st.binary(max_size=300))
def test_what_is_signed_is_what_is_verified(alg: str, payload: bytes, changed: bytes) -> None:
    key = tokens.key(alg)
    parsed = jws.parse(jws.sign({"typ": "x"}, payload, key))
    assert parsed.payload == payload
    assert jws.verify(parsed, tokens.all_keys(), (alg,)) is key.verification_key
    assert key.verification_key.verify(changed, parsed.signature) is (changed == parsed.signing_input)


@given(
    st.binary(max_size=300)
    | NEAR_JSON
    | st.lists(OBJECTS, max_size=4).map(lambda keys: json.dumps({"keys": keys}).encode())
)
def test_any_bytes_make_a_key_set_or_are_refused(raw: bytes) -> None:
    try:
        keys = KeySet.from_jwks(raw)
    except KeyRefused:
        return
    assert len(keys) + len(keys.skipped) == len(json.loads(raw)["keys"])


@given(st.data())
def test_a_jwk_with_any_members_is_a_key_or_is_refused(data: st.DataObject) -> None:
    members = tokens.jwk(data.draw(st.sampled_from(tokens.ASYMMETRIC)))
    names = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "d", "k", "alg", "use", "key_ops", "kid", "oth", "p"])
    short = st.binary(max_size=40).map(lambda raw: b64url_encode(raw).decode())
    spoilt = members | data.draw(st.dictionaries(names, JSON | short, max_size=4))
    for read in (verification_key_from_jwk, signing_key_from_jwk, thumbprint):
        try:
            read(spoilt)
        except KeyRefused:
            continue


@given(st.binary(max_size=200), st.sampled_from(sorted(ALGORITHMS)))
def test_any_bytes_are_no_pem(raw: bytes, alg: str) -> None:
    for pem in (raw, b"-----BEGIN PRIVATE KEY-----\n" + b64url_encode(raw) + b"\n-----END PRIVATE KEY-----\n"):
        with pytest.raises(KeyRefused):
            signing_key_from_pem(pem, alg)
