"""The JWT (RFC 7519): claims read strictly, checked against an expectation as a pure function, signed.

Whoever verifies states what is expected, whole: issuer, audience, types, algorithms, leeway, lifetime,
required claims (RFC 8725 s3.12). There is no option that turns a check off.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Final

from msgspec import Struct

from jotgate.errors import ClaimRefused, ConfigurationError, TokenExpired, TokenImmature, TokenMalformed
from jotgate.jose import jws
from jotgate.jose.algorithms import ALGORITHMS, READABLE
from jotgate.jose.encoding import parse_object, write_object
from jotgate.jose.jws import Jws
from jotgate.jose.keys import KeySet, SigningKey, VerificationKey

LEEWAY_S_MAX: Final = 60
ACCESS_TOKEN_TYPE: Final = "at+jwt"
# RFC 9068 s2.2
ACCESS_TOKEN_CLAIMS: Final = frozenset(("iss", "exp", "aud", "sub", "client_id", "iat", "jti"))
# RFC 6749 s3.3: scope-token *( SP scope-token )
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")
_NESTED: Final = "jwt"
_REPLICATED: Final = frozenset(("iss", "sub", "aud"))
_MEANT: Final = _REPLICATED | {"cty"}  # what a header may say of the claims
_USUAL: Final = itemgetter("iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope")


class Expectation(Struct, frozen=True):
    """What a verifier demands of one kind of token from one issuer.

    `issuer` None: the token has no `iss`. One of `audiences` must be in `aud`; none of them: the token has no `aud`.
    `types` are the values of `typ` that are taken, an empty one stands for a token without it; `algorithms` are those
    of `alg`. `leeway_s`, 0 to 60, is what clocks may differ by. `lifetime_max_s` bounds `exp` - `iat`, or `exp` - now
    for a token without `iat`. `required` are the names of claims that must be there. A token without `exp` has no
    bounded lifetime and is refused, unless `endless` says that this issuer's tokens may be such.
    """

    issuer: str | None
    audiences: tuple[str, ...]
    types: tuple[str, ...]
    algorithms: tuple[str, ...]
    leeway_s: int = 5
    lifetime_max_s: int = 31_536_000
    required: frozenset[str] = ACCESS_TOKEN_CLAIMS
    endless: bool = False

    def __post_init__(self) -> None:
        """Refuse an expectation that would let nothing through, or names that no token has.

        Raises:
            ConfigurationError: with every fault.
        """
        faults = [(name, "is empty") for name in ("types", "algorithms") if not getattr(self, name)]
        if self.issuer == "":
            faults.append(("issuer", "is empty"))
        if "" in self.audiences:
            faults.append(("audiences", "has an empty one"))
        if (self.issuer is None and "iss" in self.required) or (not self.audiences and "aud" in self.required):
            faults.append(("required", "names a claim that no token of this issuer has"))
        if not READABLE.keys() >= set(self.algorithms):
            faults.append(("algorithms", f"has one that is not known; use some of {', '.join(ALGORITHMS)}"))
        if not 0 <= self.leeway_s <= LEEWAY_S_MAX:
            faults.append(("leeway_s", f"is not 0 to {LEEWAY_S_MAX} seconds"))
        if self.lifetime_max_s <= 0:
            faults.append(("lifetime_max_s", "is not a positive number of seconds"))
        if faults:
            raise ConfigurationError(faults)


class Claims(Struct, frozen=True, gc=False):
    """A claims set whose registered members have the right types; None where one is absent.

    Times are seconds since the epoch. `scope` is the string of RFC 6749 s3.3. `raw` is the whole set.
    """

    raw: Mapping[str, object]
    iss: str | None = None
    sub: str | None = None
    aud: tuple[str, ...] = ()
    exp: int | float | None = None
    iat: int | float | None = None
    nbf: int | float | None = None
    jti: str | None = None
    client_id: str | None = None
    scope: str | None = None


class Verified(Struct, frozen=True):
    """A token whose signature and claims are good."""

    claims: Claims
    key: VerificationKey
    header: Mapping[str, object]


def verify(token: bytes, keys: KeySet, expectation: Expectation, now_s: float) -> Verified:
    """Verify a JWT at `now_s` (seconds since the epoch): form, algorithm, key, signature, then claims.

    Raises:
        TokenError: one subclass for each reason.
    """
    parsed = jws.parse(token)
    claims = read_claims(parsed.payload)
    return Verified(claims, verify_read(parsed, claims, keys, expectation, now_s), parsed.header)


def verify_read(parsed: Jws, claims: Claims, keys: KeySet, expectation: Expectation, now_s: float) -> VerificationKey:
    """As `verify`, for a token that was read to see whose keys and expectation are meant. `claims` are its payload."""
    key = jws.verify(parsed, keys, expectation.algorithms)
    if not _MEANT.isdisjoint(parsed.header):
        _check_not_nested(parsed.header)
        _check_replicas(parsed.header, claims)
    check(claims, parsed.typ, expectation, now_s)
    return key


def read_claims(payload: bytes) -> Claims:
    """Read a claims set (RFC 7519 s4); nothing but its form is checked.

    Raises:
        TokenMalformed: not one strict JSON object.
        ClaimRefused: a registered claim is not of its type.
    """
    raw = parse_object(payload, "claims set")
    return _read_usual(raw) or _read_each(raw)


def _read_usual(raw: Mapping[str, object]) -> Claims | None:
    """The claims of RFC 9068 s2.2 at one go; None for any other set, and for one that is not right in each of them."""
    try:
        iss, sub, aud, exp, iat, jti, client_id, scope = _USUAL(raw)
        names = (iss, sub, jti, client_id)
        if (
            "".join(names).isprintable()
            and "" not in names
            and _is_scope(scope)
            and type(aud) is str
            and type(exp) is type(iat) is int
            and "nbf" not in raw
        ):
            return Claims(raw, iss, sub, (aud,), exp, iat, None, jti, client_id, scope)
    except (KeyError, TypeError):  # One is not there, or is not the text that it should be.
        pass
    return None


def _read_each(raw: Mapping[str, object]) -> Claims:
    return Claims(
        raw=raw,
        iss=_name(raw, "iss"),
        sub=_name(raw, "sub"),
        aud=_audience(raw),
        exp=_time(raw, "exp"),
        iat=_time(raw, "iat"),
        nbf=_time(raw, "nbf"),
        jti=_name(raw, "jti"),
        client_id=_name(raw, "client_id"),
        scope=_scope(raw),
    )


def check(claims: Claims, typ: str | None, expectation: Expectation, now_s: float) -> None:
    """Compare claims with what is expected at `now_s`; pure.

    Names are compared as whole strings (RFC 7519 s4.1.1, s4.1.3), `typ` as a media type (RFC 9068 s4).

    Raises:
        ClaimRefused: a claim is missing or is not the one expected, or the lifetime is too long.
        TokenExpired: now is on or after `exp` plus leeway.
        TokenImmature: now is before `nbf` or `iat` minus leeway.
    """
    if typ is None or typ not in expectation.types or not typ:
        _check_type(typ, expectation.types)
    if not expectation.required <= claims.raw.keys():
        missing = min(expectation.required - claims.raw.keys())
        raise ClaimRefused(missing, "missing", f"the token has no claim '{missing}'")
    if claims.iss != expectation.issuer:
        raise _mismatch("iss", "the token is of another issuer", expectation.issuer, claims.iss)
    if expectation.audiences:
        if expectation.audiences[0] not in claims.aud and set(expectation.audiences).isdisjoint(claims.aud):
            raise _mismatch("aud", "the token is for another audience", expectation.audiences, claims.aud)
    elif claims.aud:
        raise _mismatch("aud", "the token is for one audience, and its issuer's tokens name none", None, claims.aud)
    _check_times(claims, expectation, now_s)


def sign(claims: Mapping[str, object], typ: str, key: SigningKey, *, with_kid: bool = True) -> bytes:
    """Sign a claims set as a JWT of the given type; `with_kid` as for `jws.sign`.

    Raises:
        TokenMalformed, ClaimRefused: the claims are not such as `read_claims` takes, or the token would be
            too long.
    """
    return jws.sign({"typ": typ}, _payload(claims), key, with_kid=with_kid)


def prepare(claims: Mapping[str, object], typ: str, key: VerificationKey) -> bytes:
    """The signing input of such a JWT, for whoever holds the private part of the key; see `jws.attach`.

    Raises:
        TokenMalformed, ClaimRefused: as `sign`.
    """
    return jws.prepare_typed(typ, _payload(claims), key)


def _payload(claims: Mapping[str, object]) -> bytes:
    payload, written = write_object(claims, "claims set")
    if _read_usual(written) is None:
        _read_each(written)
    return payload


def peek_unverified(token: bytes) -> tuple[dict[str, object], dict[str, object]]:
    """Header and claims of a token that NOTHING vouches for: to show to a person, never to decide by.

    Raises:
        TokenMalformed: not a compact JWS, or its payload is not a JSON object.
    """
    parsed = jws.parse(token)
    return dict(parsed.header), parse_object(parsed.payload, "claims set")


def _check_type(typ: str | None, types: tuple[str, ...]) -> None:
    if typ is None:
        if "" not in types:
            raise ClaimRefused("typ", "missing", "the token has no 'typ'").showing("typ", types, None)
    elif not typ or media_type(typ) not in map(media_type, types):
        raise _mismatch("typ", "the token's 'typ' is of another kind of token", types, typ)


def _check_times(claims: Claims, expectation: Expectation, now_s: float) -> None:
    # Each condition says what is good, so that a time that is not a number is refused.
    exp, iat, nbf, leeway_s = claims.exp, claims.iat, claims.nbf, expectation.leeway_s
    if (
        exp is not None
        and iat is not None
        and nbf is None
        and iat - leeway_s <= now_s < exp + leeway_s
        and 0 <= exp - iat <= expectation.lifetime_max_s
    ):
        return  # As nearly always; what is not so is named below.
    if exp is None and not expectation.endless:
        raise ClaimRefused("exp", "missing", "the token has no claim 'exp'")
    if exp is not None and not now_s < exp + leeway_s:
        raise TokenExpired("the token has expired").showing("exp", f"more than {now_s - leeway_s:.3f}", exp)
    if nbf is not None and not now_s >= nbf - leeway_s:
        refusal = TokenImmature("the token is not valid yet ('nbf')")
        raise refusal.showing("nbf", f"at most {now_s + leeway_s:.3f}", nbf)
    if iat is not None and not now_s >= iat - leeway_s:
        refusal = TokenImmature("the token was issued in the future ('iat')")
        raise refusal.showing("iat", f"at most {now_s + leeway_s:.3f}", iat)
    if exp is None:
        return
    begin_s = now_s if iat is None else iat
    if iat is not None and iat > exp:
        fault = ClaimRefused("iat", "invalid", "the token was issued after it expired")
        raise fault.showing("iat", f"at most {exp}", iat)
    if not exp - begin_s <= expectation.lifetime_max_s:
        fault = ClaimRefused("exp", "invalid", f"the token lives longer than {expectation.lifetime_max_s} seconds")
        raise fault.showing("exp", f"at most {begin_s + expectation.lifetime_max_s:.3f}", exp)


def _check_not_nested(header: Mapping[str, object]) -> None:
    """RFC 7519 s5.2: `cty` "JWT" says that the payload is another token; none is unwrapped."""
    cty = header.get("cty")
    if isinstance(cty, str) and media_type(cty) == _NESTED:
        raise TokenMalformed("the token is nested in another one ('cty')")


def _check_replicas(header: Mapping[str, object], claims: Claims) -> None:
    """RFC 7519 s5.3: a claim that stands in the header too is the same there."""
    if _REPLICATED.isdisjoint(header):
        return
    for name in sorted(_REPLICATED & header.keys()):
        if name not in claims.raw or header[name] != claims.raw[name]:
            what = f"the token's header has another '{name}' than its claims"
            raise _mismatch(name, what, claims.raw.get(name), header[name])


@lru_cache(maxsize=64)
def media_type(text: str) -> str:
    """RFC 7515 s4.1.9: a type without a slash stands for `application/` and itself; case does not matter."""
    return text.lower().removeprefix("application/") if text.isascii() else text


def _mismatch(name: str, what: str, wanted: object, got: object) -> ClaimRefused:
    return ClaimRefused(name, "mismatch", what).showing(name, wanted, got)


def _invalid(raw: Mapping[str, object], name: str, wanted: str) -> ClaimRefused:
    return ClaimRefused(name, "invalid", f"the claim '{name}' is not {wanted}").showing(name, wanted, raw[name])


def _name(raw: Mapping[str, object], name: str) -> str | None:
    """A non-empty string without control, formatting or surrogate characters: it goes to logs and terminals."""
    value = raw.get(name)
    if isinstance(value, str) and value and value.isprintable():
        return value
    if name in raw:
        raise _invalid(raw, name, "a non-empty printable string")
    return None


def _audience(raw: Mapping[str, object]) -> tuple[str, ...]:
    value = raw.get("aud")
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return tuple(value)
    if "aud" in raw:
        raise _invalid(raw, "aud", "a string or a non-empty array of strings")
    return ()


def _time(raw: Mapping[str, object], name: str) -> int | float | None:
    """NumericDate (RFC 7519 s2); the decoder has refused numbers that are not finite, and `bool` is none."""
    value = raw.get(name)
    if type(value) is int or type(value) is float:
        return value
    if name in raw:
        raise _invalid(raw, name, "a number of seconds")
    return None


@lru_cache(maxsize=64)
def _is_scope(text: str) -> bool:
    """Whether it is a list of scopes; most tokens have one of a few."""
    return _SCOPE.fullmatch(text) is not None


def _scope(raw: Mapping[str, object]) -> str | None:
    value = raw.get("scope")
    if isinstance(value, str) and _is_scope(value):
        return value
    if "scope" in raw:
        raise _invalid(raw, "scope", "a list of scopes in one string with single spaces")
    return None
