"""What it costs to verify a token: the first time, once it is known, and what other libraries take for the same."""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import jwt as pyjwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt

from bench.errors import BenchError
from bench.summary import Summary, summarise
from jotgate.core.accounts import DEFAULT_TENANT
from jotgate.core.durable import Revocation, RevocationKind
from jotgate.core.expectations import RouteExpectation, unmet
from jotgate.core.issuers import ACCESS_TOKEN_CLAIMS, OURS, Issuer
from jotgate.core.revocations import Entry, entry_of, token_handle
from jotgate.gateway.world import build_verifier
from jotgate.jose import jwt
from jotgate.jose.jws import parse
from jotgate.jose.keys import KeySet, SigningKey, generate, public_jwk, signing_key_to_pem
from jotgate.services.revocation import RevokedSet
from jotgate.services.verifier import Verifier

BARE: Final = "the bare primitive"
COLD: Final = "jotgate, cold"
WARM: Final = "jotgate, from its cache"
SHUFFLED: Final = "jotgate, from its cache, in random order"
UNREVOKED: Final = "jotgate, from its cache, nothing revoked"
GROWN: Final = "jotgate, from its cache, each token once after a revocation"
PYJWT: Final = "PyJWT"
JOSERFC: Final = "joserfc"
KNOWING: Final = (WARM, SHUFFLED, UNREVOKED, GROWN)
WAYS: Final = (BARE, COLD, *KNOWING, PYJWT, JOSERFC)

TOKEN_BYTES: Final = 700
KEPT_FOR_EACH: Final = 2
"""Room in the cache for each token: it has two generations, and forgets one of them when there is no more."""
REVOKED: Final = 100_000
"""So many revocations live where something is revoked: of tokens, families, clients, subjects, tenants and so on."""
_WATERMARKS: Final = (RevocationKind.CLIENT, RevocationKind.SUBJECT, RevocationKind.TENANT)
_ALGORITHM: Final = "ES256"
_AUDIENCE: Final = "https://gateway.example"
_LIFETIME_S: Final = 86_400
# A verifier that is to be cold has a small cache, which is soon full, as a large one is in the long run.
_FULL_AT: Final = 64
_SIZE: Final = 32  # of each half of an ES256 signature
_ORDERS: Final = 2
"""The rounds are gone through forwards and backwards in turn."""
_TOKENS_A_TURN: Final = 10
"""Each of those that keep nothing takes turns with the bare primitive, so many tokens each: what else the machine does
meets both alike. With nobody else: what a third one's code leaves of the processor's caches is no cost of theirs."""

_Turn = Callable[[slice], None]
"""Verifies those of its tokens that are in a slice."""


@dataclass(frozen=True, slots=True)
class Verification:
    """CPU time in microseconds a token, one figure a round for each way; `tokens` were in the cache.

    `bare_us` is what the bare primitive took while it took turns with a way.
    """

    tokens: int
    us: dict[str, list[float]]
    bare_us: dict[str, list[float]]

    def over_bare(self, way: str) -> Summary | None:
        """The cost of a way over that of the bare primitive, round by round."""
        beside = self.bare_us.get(way, self.us[BARE])
        return summarise([mine / bare for mine, bare in zip(self.us[way], beside, strict=True)])

    def over_unrevoked(self) -> Summary | None:
        """What it costs that other tokens are revoked: the whole over the same with none, round by round."""
        return summarise([with_ / without for with_, without in zip(self.us[WARM], self.us[UNREVOKED], strict=True)])

    def first_look(self) -> Summary | None:
        """What a token's first look costs after a revocation: the whole over the same with none, round by round."""
        return summarise([grown / without for grown, without in zip(self.us[GROWN], self.us[UNREVOKED], strict=True)])

    def summaries(self) -> dict[str, Summary | None]:
        """The figures that gates stand on."""
        return {
            "verify_cold": self.over_bare(COLD),
            "verify_warm_us": summarise(self.us[WARM]),
            "verify_revoked": self.over_unrevoked(),
            "verify_first_look": self.first_look(),
        }


@dataclass(frozen=True, slots=True)
class _Home:
    """An issuer: what signs its tokens, and what the gateway is told of it."""

    key: SigningKey
    content: Issuer

    def mint(self, number: int, now_s: int) -> bytes:
        """A token of `TOKEN_BYTES`, give or take a few."""
        claims: dict[str, object] = {
            "iss": self.content.issuer,
            "sub": f"user-{number}",
            "aud": _AUDIENCE,
            "exp": now_s + _LIFETIME_S,
            "iat": now_s,
            "jti": f"{number:022d}",
            "client_id": "bench",
            "scope": "ai",
            "models": ["gpt-4o-mini", "gpt-4o", "text-embedding-3-small"],
            "groups": [],
        }
        if self.content.name == OURS:  # Nobody else's tokens name what they were narrowed from.
            claims["ancestors"] = [f"{number:022x}"]
        token = jwt.sign(claims, jwt.ACCESS_TOKEN_TYPE, self.key)
        claims["groups"] = ["g" * max(1, (TOKEN_BYTES - len(token)) * 3 // 4 - 2)]
        return jwt.sign(claims, jwt.ACCESS_TOKEN_TYPE, self.key)


def measure_verifier(rounds: int, cold: int, warm: int) -> Verification:
    """Verify `cold` tokens that are new to the verifier and `warm` that are not, in each of the rounds, in each way.

    Raises:
        BenchError: one of them refuses a good token.
    """
    homes = [_home(OURS), _home("partner")]
    now_s = time.time()
    tokens = [homes[number % len(homes)].mint(number, int(now_s)) for number in range(max(cold, warm))]
    tokens.sort(key=lambda token: token.rpartition(b".")[2])  # by signature: any order but that of their making
    issuers = tuple(home.content for home in homes)
    room = max(2, KEPT_FOR_EACH * len(tokens))
    revoked = _others_revoked(homes, now_s)
    known = {
        WARM: build_verifier(issuers, room, revoked=revoked),
        UNREVOKED: build_verifier(issuers, room),
        GROWN: build_verifier(issuers, room, revoked=_others_revoked(homes, now_s)),
    }
    known[SHUFFLED] = known[WARM]
    bare, turns = _forgetful_ways(homes, tokens[:cold])
    ways: dict[str, Callable[[], None]] = {}
    us: dict[str, list[float]] = {name: [] for name in WAYS}
    bare_us: dict[str, list[float]] = {COLD: [], **{name: [] for name in turns}}

    for name, verifier in known.items():
        asked = sorted(tokens[:warm], key=lambda token: token[::-1]) if name == SHUFFLED else tokens[:warm]
        ways[name] = _knowing(verifier, asked, now_s)
        ways[name]()
    for number in range(rounds):
        # A verifier that has seen none of the tokens, but is compiled: that is done once for each snapshot.
        turns[COLD] = _unknowing(issuers, tokens[:cold], now_s)
        for name, verify in turns.items():
            spent_us = _in_turns_us({BARE: bare, name: verify}, cold)
            us[name].append(spent_us[name])
            bare_us[name].append(spent_us[BARE])
        us[BARE].append(bare_us[COLD][-1])
        known[GROWN].revoked.take([Entry(f"token revoked in round {number}", None)])
        for name in reversed(KNOWING) if number % _ORDERS else KNOWING:
            us[name].append(_cpu_us(ways[name]) / warm)
    if misses := [one.misses for one in known.values() if one.misses != len(tokens[:warm])]:
        raise BenchError(f"the cache forgot tokens: {max(misses)} misses for {warm} of them")
    return Verification(warm, us, bare_us)


def _home(name: str) -> _Home:
    key = generate(_ALGORITHM)
    content = Issuer(
        name=name,
        issuer=f"https://{name}.example",
        audiences=(_AUDIENCE,),
        algorithms=(_ALGORITHM,),
        types=(jwt.ACCESS_TOKEN_TYPE,),
        jwks=KeySet([key.verification_key]).to_jwks(),
    )
    return _Home(key, content)


def _others_revoked(homes: Sequence[_Home], now_s: float) -> RevokedSet:
    """Live revocations that nobody's token is met by, in equal parts of each kind and of each issuer.

    Two of them name every token that this installation issued, as its client and its tenant were disabled for a while:
    the tokens are younger, and a look at them finds that out.
    """
    revoked, at_s = RevokedSet(), int(now_s)
    kinds = tuple(RevocationKind)
    named = [(RevocationKind.CLIENT, "bench"), (RevocationKind.TENANT, DEFAULT_TENANT)]
    for number in range(REVOKED - len(named)):
        handle = token_handle(homes[number % len(homes)].content.issuer, f"revoked{number:015d}")
        named.append((kinds[number // len(homes) % len(kinds)], handle))
    for kind, handle in named:
        before_s = at_s - _LIFETIME_S if kind in _WATERMARKS else None
        revoked.take([entry_of(Revocation(kind, handle, at_s, at_s + _LIFETIME_S, before_s))])
    if len(revoked) != REVOKED:
        raise BenchError("two of the revocations are one")
    return revoked


def _knowing(verifier: Verifier, tokens: Sequence[bytes], now_s: float) -> Callable[[], None]:
    """The whole of what is asked of a token on a call whose route expects something, too."""
    expectation = RouteExpectation(frozenset({_AUDIENCE}), frozenset({jwt.ACCESS_TOKEN_TYPE}), _LIFETIME_S)

    def verify_known() -> None:
        verify = verifier.verify
        for token in tokens:
            if unmet(expectation, verify(token, now_s), now_s) is not None:
                raise BenchError("a route's expectation is not met")

    return verify_known


def _unknowing(issuers: tuple[Issuer, ...], tokens: Sequence[bytes], now_s: float) -> _Turn:
    verify = build_verifier(issuers, _FULL_AT).verify

    def verify_new(some: slice) -> None:
        for token in tokens[some]:
            verify(token, now_s)

    return verify_new


def _forgetful_ways(homes: Sequence[_Home], tokens: Sequence[bytes]) -> tuple[_Turn, dict[str, _Turn]]:
    """The bare primitive, and the other libraries, on the same tokens; each is given its key ready for use."""
    by_kid = {home.key.kid: home for home in homes}
    owners = [by_kid[parse(token).kid or ""] for token in tokens]
    return _bare(owners, tokens), {PYJWT: _pyjwt(owners, tokens), JOSERFC: _joserfc(owners, tokens)}


def _bare(owners: Sequence[_Home], tokens: Sequence[bytes]) -> _Turn:
    """`cryptography`'s verify call alone: parts decoded, signature in DER, nothing of the token looked at."""
    public = {home.key.kid: _public_key(home.key) for home in owners}
    mode = ec.ECDSA(SHA256())
    work = []
    for home, token in zip(owners, tokens, strict=True):
        parsed = parse(token)
        r, s = (int.from_bytes(half) for half in (parsed.signature[:_SIZE], parsed.signature[_SIZE:]))
        work.append((public[home.key.kid].verify, encode_dss_signature(r, s), parsed.signing_input))

    def verify_some(some: slice) -> None:
        for verify, signature, signing_input in work[some]:
            verify(signature, signing_input, mode)

    return verify_some


def _public_key(key: SigningKey) -> ec.EllipticCurvePublicKey:
    public = load_pem_private_key(signing_key_to_pem(key), None).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey), "an ES256 key is one"
    return public


def _public_jwks(owners: Sequence[_Home]) -> dict[str, dict[str, str]]:
    return {home.key.kid: public_jwk(home.key.verification_key) for home in owners}


def _pyjwt(owners: Sequence[_Home], tokens: Sequence[bytes]) -> _Turn:
    public = {kid: pyjwt.PyJWK(jwk).key for kid, jwk in _public_jwks(owners).items()}
    work = [(token, public[home.key.kid], home.content.issuer) for home, token in zip(owners, tokens, strict=True)]

    def verify_some(some: slice) -> None:
        for token, key, issuer in work[some]:
            pyjwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                issuer=issuer,
                audience=_AUDIENCE,
                options={"require": list(ACCESS_TOKEN_CLAIMS)},
            )

    return verify_some


def _joserfc(owners: Sequence[_Home], tokens: Sequence[bytes]) -> _Turn:
    public = {kid: joserfc_jwk.ECKey.import_key(dict(jwk)) for kid, jwk in _public_jwks(owners).items()}
    expected = {
        home.key.kid: joserfc_jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": home.content.issuer},
            aud={"essential": True, "value": _AUDIENCE},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            jti={"essential": True},
        )
        for home in owners
    }
    work = [
        (token.decode("ascii"), public[home.key.kid], expected[home.key.kid])
        for home, token in zip(owners, tokens, strict=True)
    ]

    def verify_some(some: slice) -> None:
        for token, key, expectation in work[some]:
            expectation.validate(joserfc_jwt.decode(token, key, algorithms=[_ALGORITHM]).claims)

    return verify_some


def _cpu_us(work: Callable[[], None]) -> float:
    """The CPU time of this thread that it takes."""
    gc.collect()
    gc.disable()
    try:
        began = time.thread_time_ns()
        work()
        return (time.thread_time_ns() - began) / 1e3
    finally:
        gc.enable()


def _in_turns_us(ways: Mapping[str, _Turn], tokens: int) -> dict[str, float]:
    """The CPU time of this thread that each of the ways takes for a token, while they take turns: the median turn's."""
    spent_ns: dict[str, list[int]] = {name: [] for name in ways}
    order = tuple(ways.items())
    gc.collect()
    gc.disable()
    try:
        for begin in range(0, tokens, _TOKENS_A_TURN):
            order = order[::-1]
            for name, verify in order:
                began = time.thread_time_ns()
                verify(slice(begin, begin + _TOKENS_A_TURN))
                spent_ns[name].append(time.thread_time_ns() - began)
    finally:
        gc.enable()
    return {name: median(spent) / 1e3 / min(tokens, _TOKENS_A_TURN) for name, spent in spent_ns.items()}
