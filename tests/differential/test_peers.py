"""Beside PyJWT and joserfc: what jotgate takes they take, and where it refuses more, the reason stands here.

A row of STRICTER that no library needs any more is a fault, as is a difference without a row: the list stays exact
when a library changes. docs/tokens.md shows the same list.
"""

import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from jotgate.errors import TokenError
from jotgate.jose import jwt
from jotgate.jose.algorithms import ALGORITHMS, Ecdsa
from jotgate.jose.jwt import Expectation
from jotgate.jose.keys import KeySet, SigningKey
from jotgate.testing.forge import ABSENT, Forge, to_json
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
    """A refusal, by a pattern of its message, of tokens some of which these libraries take, and its reason."""

    refusal: str
    peers: frozenset[str]
    reason: str


STRICTER: Final = (
    # The encoding
    Stricter("a part is not base64url without padding", PYJWT, "RFC 7515 s2: base64url has no padding"),
    # The header
    Stricter("the token's header is not JSON", BOTH, "RFC 8259 s8.1: no byte order mark"),
    Stricter("the token's header is not UTF-8 text", BOTH, "RFC 7515 s3: the header is UTF-8; a lone surrogate is not"),
    Stricter("the token's header has a repeated member name", BOTH, "RFC 7515 s4: a header name stands there once"),
    Stricter("the token's header is longer than 4096 bytes", PYJWT, "it is read before anybody has signed it"),
    Stricter(
        "the token's header asks for an extension ('crit')*",
        JOSERFC,
        "RFC 7515 s4.1.11: crit is not empty and names no standard member",
    ),
    Stricter("the token's header has 'b64'*", BOTH, "RFC 7797 s7: no JWT has b64"),
    Stricter(
        "the token's header is that of an encrypted token ('zip')", BOTH, "RFC 7516 s4.1.3: zip is of encrypted tokens"
    ),
    Stricter(
        "the token's header is that of an encrypted token ('enc')",
        BOTH,
        "RFC 7516 s9: enc tells an encrypted token from a signed one",
    ),
    Stricter(
        "the token is nested in another one ('cty')",
        BOTH,
        "RFC 7519 s5.2: cty JWT says that the payload is another token",
    ),
    Stricter("the token's header has a 'cty' that is not a string", PYJWT, "RFC 7515 s4.1.10"),
    Stricter("the token's header has a 'jwk' that is not an object", PYJWT, "RFC 7515 s4.1.3"),
    Stricter(
        "the token's header has a 'jku' that is not a URL", PYJWT, "RFC 7515 s4.1.2: it is fetched over HTTP, if at all"
    ),
    Stricter(
        "the token's header has an 'x5u' that is not a URL",
        PYJWT,
        "RFC 7515 s4.1.5: it is fetched over HTTP, if at all",
    ),
    Stricter("the token's header has an 'x5c' that is not an array of strings", BOTH, "RFC 7515 s4.1.6"),
    Stricter("the token's header has an 'x5t' that is not a string", PYJWT, "RFC 7515 s4.1.7"),
    Stricter(
        "the token's header has a 'kid' that is not *",
        BOTH,
        "kid goes to logs and look-ups: 1 to 256 printable ASCII characters",
    ),
    Stricter(
        "no key of the issuer is the one that the token names",
        BOTH,
        "RFC 7515 s4.1.4: kid is compared exactly, and no other key is tried",
    ),
    Stricter("the token's header has a 'typ' that is not a string", PYJWT, "RFC 7515 s4.1.9"),
    Stricter("the token has no 'typ'", BOTH, "RFC 9068 s4: an access token says at+jwt"),
    Stricter("the token's 'typ' is of another kind of token", BOTH, "RFC 9068 s4: an access token says at+jwt"),
    Stricter(
        "the token's header has another * than its claims",
        BOTH,
        "RFC 7519 s5.3: a claim that stands in the header is the same there",
    ),
    # Header and claims
    Stricter("the * has a number that is not finite", BOTH, "RFC 8259 s6: there is no NaN and no Infinity"),
    Stricter("the * has an integer of more than 20 digits", BOTH, "2^64 has 20; long ones cost quadratic time"),
    Stricter("the * has more than 256 members in one object", BOTH, "what is read has bounds"),
    Stricter("the * is nested deeper than 32", BOTH, "what is read has bounds"),
    # The claims
    Stricter("the claims set is not JSON", BOTH, "RFC 8259 s8.1: UTF-8 without a byte order mark"),
    Stricter("the claims set is not UTF-8 text", BOTH, "RFC 8725 s3.7: the claims are UTF-8; a lone surrogate is not"),
    Stricter("the claims set has a repeated member name", BOTH, "RFC 7519 s4: a claim name stands there once"),
    Stricter(
        "the claim 'exp' is not a number of seconds",
        PYJWT,
        "RFC 7519 s2: a NumericDate is a number, and no text of one",
    ),
    Stricter(
        "the claim 'nbf' is not a number of seconds", PYJWT, "RFC 7519 s2: a NumericDate is a number, and no boolean"
    ),
    Stricter(
        "the claim 'iat' is not a number of seconds", PYJWT, "RFC 7519 s2: a NumericDate is a number, and no boolean"
    ),
    Stricter("the token lives longer than * seconds", BOTH, "a lifetime has a limit"),
    Stricter(
        "the claim 'sub' is not a non-empty printable string",
        BOTH,
        "it goes to logs: no control or formatting characters",
    ),
    Stricter(
        "the claim 'jti' is not a non-empty printable string",
        BOTH,
        "it goes to logs: no control or formatting characters",
    ),
    Stricter(
        "the claim 'client_id' is not a non-empty printable string",
        BOTH,
        "RFC 8693 s4.3: it is a string; it goes to logs",
    ),
    Stricter("the claim 'scope' is not *", BOTH, "RFC 8693 s4.2: one string with single spaces"),
)


def expectation(alg: str) -> Expectation:
    """What both sides demand; the libraries read the clock themselves, so that now is really now."""
    return Expectation(tokens.ISSUER, (tokens.AUDIENCE,), ("at+jwt",), (alg,), 0)


def refusal(alg: str, token: bytes) -> str | None:
    """Why jotgate refuses the token now; None if it takes it."""
    try:
        jwt.verify(token, KeySet([tokens.key(alg).verification_key]), expectation(alg), time.time())
    except TokenError as refused:
        return refused.message
    return None


def reasons(peer: str, message: str) -> set[str]:
    """The rows that say why jotgate refuses for this reason what the library takes."""
    return {row.refusal for row in STRICTER if peer in row.peers and fnmatchcase(message, row.refusal)}


@cache
def oracle(peer: str, alg: str) -> Oracle:
    return PEERS[peer](tokens.key(alg), expectation(alg))


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_good_token_is_good_everywhere(alg: str) -> None:
    good = TestIssuer(tokens.key(alg), tokens.ISSUER, tokens.AUDIENCE, time.time() - 1).token()
    assert refusal(alg, good) is None
    assert all(oracle(peer, alg)(good) for peer in PEERS)


@pytest.mark.parametrize("peer", PEERS)
def test_each_difference_is_listed_with_its_reason(peer: str) -> None:
    used: set[str] = set()
    for alg in ALGORITHMS:
        for name, (token, _) in wrong_tokens(tokens.key(alg), tokens.ISSUER, tokens.AUDIENCE, time.time()).items():
            message = refusal(alg, token)
            assert message, name
            if oracle(peer, alg)(token):
                found = reasons(peer, message)
                assert found, f"{peer} takes {name} ({alg}), and STRICTER does not say why not: {message}"
                used |= found
    rows = {row.refusal for row in STRICTER if peer in row.peers}
    assert rows - used == set(), f"{peer} refuses these too: they need no row"


def test_the_documentation_lists_each_difference() -> None:
    page = (Path(__file__).parents[2] / "docs" / "tokens.md").read_text()
    listed = [line for line in page.splitlines() if line.startswith("| `")]
    assert [line for line in listed if line.count("|") == 5] == [as_row(row) for row in STRICTER]


def as_row(row: Stricter) -> str:
    """The difference as docs/tokens.md has it."""
    marks = (" yes " if peer in row.peers else " no " for peer in PEERS)
    return f"| `{row.refusal.replace('*', '…')}` |{'|'.join(marks)}| {row.reason} |"


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


# Text that goes before the last brace of a header or a claims set, or takes its place.
TAILS: Final = st.sampled_from(
    [
        *(b"}", b" }", b"\n}\t", b"}}", b"", b",}", b"}{}", b"}x", b"}\0", b'}"', b"\xff}", b"\x00}", b"\xef\xbb\xbf}"),
        *(b',"x":NaN}', b',"x":-Infinity}', b',"x":1e999}', b',"x":01}', b',"x":.5}', b',"x":1.}', b',"x":0x1}'),
        *(b',"x":' + digits * b"9" + b"}" for digits in (20, 21, 4_000, 5_000)),
        *(b',"x":' + depth * b"[" + depth * b"]" + b"}" for depth in (31, 32, 40, 900)),
        *(
            b',"x":"\\ud800"}',
            b',"\\udc00":1}',
            b',"x":"\\ud83d\\ude00"}',
            b',"x":"\xed\xa0\x80"}',
            b',"x":"\xc0\xaf"}',
        ),
        *(
            b',"x":"\t"}',
            b',"x":"\x7f"}',
            b',"x":"\\x"}',
            b",'x':1}",
            b",x:1}",
            b',"x":1,"x":1}',
            b',"x":{"a":1,"a":2}}',
        ),
        *(b',"x":[1,]}', b',"x":true}', b',"x":True}', b',"x":undefined}', b"//\n}", b"/**/}"),
        b"".join(b',"%d":0' % number for number in range(300)) + b"}",
    ]
)


@st.composite
def sealed(draw: st.DrawFn, forge: Forge) -> bytes:
    """A token under a good signature whose header or claims are changed, as values or as text."""
    header, claims = (
        to_json(make(**draw(changes))) for make, changes in ((forge.header, HEADERS), (forge.claims, CLAIMS))
    )
    if draw(st.booleans()):
        where = draw(st.booleans())
        tail = draw(TAILS)
        header, claims = (header[:-1] + tail, claims) if where else (header, claims[:-1] + tail)
    return forge.seal(header, claims)


@st.composite
def changed(draw: st.DrawFn, token: bytes) -> bytes:
    """A good token with one place of its text changed."""
    place = draw(st.integers(0, len(token) - 1))
    piece = draw(st.binary(max_size=2) | st.sampled_from([b"=", b"==", b".", b"\n", b" ", b"+", b"/", b"-", b"A"]))
    return token[:place] + piece + token[place + draw(st.integers(0, 1)) :]


@pytest.mark.parametrize("alg", ALGORITHMS)
@given(data=st.data())
def test_generated_tokens_are_judged_alike_or_for_a_listed_reason(alg: str, data: st.DataObject) -> None:
    """What jotgate takes the others take; what it refuses and another takes, it refuses for a reason in the list."""
    forge = Forge(tokens.key(alg), tokens.ISSUER, tokens.AUDIENCE, time.time() - 1)
    token = data.draw(sealed(forge) | changed(forge.with_claims()))
    message = refusal(alg, token)
    for peer in PEERS:
        taken = oracle(peer, alg)(token)
        if message is None:
            assert taken, f"{peer} refuses what jotgate takes"
        elif taken:
            assert reasons(peer, message), f"{peer} takes what jotgate refuses: {message}"


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512"])
@pytest.mark.parametrize("peer", PEERS)
def test_both_signatures_of_ecdsa_are_good(alg: str, peer: str) -> None:
    """B04: s and n - s are one signature to the mathematics, which is why nothing identifies a token by it."""
    token = TestIssuer(tokens.key(alg), tokens.ISSUER, tokens.AUDIENCE, time.time() - 1).token()
    scheme = ALGORITHMS[alg].scheme
    assert isinstance(scheme, Ecdsa)
    r, s = (tokens.signature_of(token)[part] for part in (slice(scheme.size), slice(scheme.size, None)))
    other = tokens.with_signature(token, r + (scheme.order - int.from_bytes(s)).to_bytes(scheme.size))
    for either in (token, other):
        assert refusal(alg, either) is None
        assert oracle(peer, alg)(either)
