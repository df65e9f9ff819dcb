"""Beside PyJWT and joserfc: what jotgate takes they take, and where it refuses more, the reason stands here.

A row of STRICTER that no library needs any more is a fault, as is a difference without a row: the list stays exact
when a library changes.
"""

import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from jotgate.errors import TokenError
from jotgate.jose import jwt
from jotgate.jose.jwt import Expectation
from jotgate.jose.keys import KeySet, SigningKey
from jotgate.testing.forge import ABSENT, Forge
from jotgate.testing.issuer import TestIssuer, wrong_tokens
from tests import tokens
from tests.differential.peers import Oracle, joserfc_oracle, pyjwt_oracle

PEERS: Final[dict[str, Callable[[SigningKey, Expectation], Oracle]]] = {
    "PyJWT": pyjwt_oracle,
    "joserfc": joserfc_oracle,
}
BOTH: Final = frozenset(PEERS)
PYJWT: Final = frozenset(("PyJWT",))
JOSERFC: Final = frozenset(("joserfc",))


class Stricter(Struct, frozen=True):
    """Wrong tokens, by a pattern of their names, that these libraries take and jotgate does not, and why not."""

    names: str
    peers: frozenset[str]
    reason: str


STRICTER: Final = (
    Stricter("wrong_type", BOTH, "RFC 9068 s4: an access token says at+jwt"),
    Stricter("C10_typ_[0-9a]*", BOTH, "RFC 9068 s4: an access token says at+jwt"),
    Stricter("C10_typ_form_*", PYJWT, "RFC 7515 s4.1.9: typ is a string"),
    Stricter("B05_padding", PYJWT, "RFC 7515 s2: base64url has no padding"),
    Stricter("C04_unknown_*", BOTH, "the key is the one under kid, and no other is tried"),
    Stricter("C04_other_case", BOTH, "RFC 7515 s4.1.4: kid is compared exactly"),
    Stricter("C04_prefix", BOTH, "RFC 7515 s4.1.4: kid is compared exactly"),
    Stricter("C04_nul_behind", BOTH, "kid is printable ASCII"),
    Stricter("C04_form_*", BOTH, "kid is 1 to 256 printable ASCII characters"),
    Stricter("C02_*_file", PYJWT, "RFC 7515 s4.1.2, s4.1.5: jku and x5u are fetched over HTTP, if at all"),
    Stricter("C06_crit_0", JOSERFC, "RFC 7515 s4.1.11: crit is not empty"),
    Stricter("C06_crit_2", JOSERFC, "RFC 7515 s4.1.11: crit names no standard header member"),
    Stricter("C06_crit_10", JOSERFC, "RFC 7515 s4.1.11: crit names no standard header member"),
    Stricter("C07_b64_1", BOTH, "RFC 7797 s7: no JWT has b64"),
    Stricter("C07_b64_1_crit", BOTH, "RFC 7797 s7: no JWT has b64"),
    Stricter("C07_b64_[23]*", PYJWT, "RFC 7797 s3: b64 is a boolean"),
    Stricter("C08_zip*", BOTH, "RFC 7516 s4.1.3: zip is of encrypted tokens"),
    Stricter("C11_enc", BOTH, "RFC 7516 s9: enc tells an encrypted token from a signed one"),
    Stricter("C11_nested_in_name", BOTH, "RFC 7519 s5.2: cty JWT says that the payload is another token"),
    Stricter("D10_header", PYJWT, "a header has at most 4096 bytes"),
    Stricter("D01_twice*", BOTH, "RFC 7519 s4: a claim name stands there once"),
    Stricter("D08_header_twice_equal", BOTH, "RFC 7515 s4: a header name stands there once"),
    Stricter("D08_header_lone_surrogate", BOTH, "RFC 8259 s8.2: a lone surrogate has no UTF-8 form"),
    Stricter("D08_header_bom", BOTH, "RFC 8259 s8.1: no byte order mark"),
    Stricter("D08_header_utf16", BOTH, "RFC 7515 s3: the header is UTF-8"),
    Stricter("D07_lone_surrogate*", BOTH, "RFC 8259 s8.2: a lone surrogate has no UTF-8 form"),
    Stricter("D08_utf16*", BOTH, "RFC 8725 s3.7: the claims are UTF-8"),
    Stricter("D08_utf32", BOTH, "RFC 8725 s3.7: the claims are UTF-8"),
    Stricter("D08_bom", BOTH, "RFC 8259 s8.1: no byte order mark"),
    Stricter("D08_surrogate_bytes", BOTH, "RFC 3629 s3: UTF-8 has no surrogates"),
    Stricter("D09_members", BOTH, "an object has at most 256 members"),
    Stricter("D03_exp_not_finite_5", BOTH, "an integer has at most 20 digits"),
    Stricter("D03_exp_type_0", PYJWT, "RFC 7519 s2: a NumericDate is a number"),
    Stricter("D03_nbf_type_2", PYJWT, "RFC 7519 s2: a NumericDate is a number and no boolean"),
    Stricter("D03_iat_type_2", PYJWT, "RFC 7519 s2: a NumericDate is a number and no boolean"),
    Stricter("D03_exp_milliseconds", BOTH, "a lifetime has a limit"),
    Stricter("D03_exp_huge", BOTH, "a lifetime has a limit"),
    Stricter("D04_lifetime", BOTH, "a lifetime has a limit"),
    Stricter("D07_sub_8", PYJWT, "a name is not empty"),
    Stricter("D07_jti_8", PYJWT, "a name is not empty"),
    Stricter("D07_sub_*", BOTH, "a name has no control or formatting characters: it goes to logs"),
    Stricter("D07_jti_*", BOTH, "a name has no control or formatting characters: it goes to logs"),
    Stricter("D07_client_id_*", BOTH, "RFC 8693 s4.3: client_id is a string"),
    Stricter("D11_*", BOTH, "RFC 8693 s4.2: scope is one string with single spaces"),
)


def expectation(alg: str) -> Expectation:
    """What both sides demand; the libraries read the clock themselves, so that now is really now."""
    return Expectation(tokens.ISSUER, tokens.AUDIENCE, ("at+jwt",), (alg,), 0)


def takes(alg: str, token: bytes) -> bool:
    """Whether jotgate takes the token now."""
    try:
        jwt.verify(token, KeySet([tokens.key(alg).verification_key]), expectation(alg), time.time())
    except TokenError:
        return False
    return True


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("alg", tokens.ASYMMETRIC)
def test_each_difference_is_listed_with_its_reason(alg: str, peer: str) -> None:
    oracle = PEERS[peer](tokens.key(alg), expectation(alg))
    good = TestIssuer(tokens.key(alg), tokens.ISSUER, tokens.AUDIENCE, time.time() - 1)
    assert takes(alg, good.token())
    assert oracle(good.token())
    rows = [row for row in STRICTER if peer in row.peers]
    used: set[str] = set()
    for name, (token, _) in wrong_tokens(tokens.key(alg), tokens.ISSUER, tokens.AUDIENCE, time.time()).items():
        assert not takes(alg, token), name
        if oracle(token):
            reasons = [row.names for row in rows if fnmatchcase(name, row.names)]
            assert reasons, f"{peer} takes {name}, and STRICTER does not say why jotgate does not"
            used.update(reasons)
    assert {row.names for row in rows} - used == set(), f"{peer} refuses these too: they need no row"


VALUES: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**15), 10**15),
    st.text(max_size=8),
    st.lists(st.text(max_size=4), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers(0, 9), max_size=2),
    st.sampled_from(
        [tokens.ISSUER, tokens.AUDIENCE, [tokens.AUDIENCE, "other"], "at+jwt", "AT+JWT", "https://x.example"]
    ),
    st.just(ABSENT),
)
CLAIMS: Final = st.dictionaries(
    st.sampled_from(
        ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "act", "models", "cnf", "x"]
    ),
    VALUES | st.integers(-900, 900).map(lambda seconds: int(time.time()) // 1_000 * 1_000 + seconds),
    max_size=3,
)
HEADERS: Final = st.dictionaries(
    st.sampled_from(
        ["typ", "kid", "cty", "jku", "jwk", "x5u", "x5c", "x5t", "crit", "b64", "zip", "enc", "nonce", "x"]
    ),
    VALUES,
    max_size=3,
)


@pytest.mark.parametrize("alg", tokens.ASYMMETRIC)
@given(header=HEADERS, claims=CLAIMS, sealed=st.booleans(), data=st.data())
def test_what_jotgate_takes_the_others_take(
    alg: str, header: dict[str, object], claims: dict[str, object], sealed: bool, data: st.DataObject
) -> None:
    forge = Forge(tokens.key(alg), tokens.ISSUER, tokens.AUDIENCE, time.time() - 1)
    token = forge.seal(forge.header(**header), forge.claims(**claims))
    if not sealed:
        place = data.draw(st.integers(0, len(token) - 1))
        token = token[:place] + bytes((data.draw(st.integers(0, 255)),)) + token[place + 1 :]
    if takes(alg, token):
        for peer, make in PEERS.items():
            assert make(tokens.key(alg), expectation(alg))(token), peer
