"""The issuers that are trusted, each with its own keys and expectation, and which of them a token claims to be of.

What a token says of its issuer only chooses whose rules it is held to; those rules then demand that very issuer, and
a key of it (RFC 8725 s3.8).
"""

from collections.abc import Iterable
from hashlib import sha256
from math import inf
from typing import Final

from msgspec import structs

from jotgate.core.api_gateway_tokens import read_name
from jotgate.core.issuers import OURS, Issuer, SharedSecret
from jotgate.core.lineage import LINEAGE_CLAIMS, NO_LINEAGE, read_lineage
from jotgate.core.logout import check_no_event, tells_of_events
from jotgate.core.principals import USUAL, Principal, audience_set, find, read_identity, usual_identity
from jotgate.core.revocations import names_of, reach_s
from jotgate.core.status_references import read_reference
from jotgate.core.token_limits import read_claimed, read_token_limits
from jotgate.errors import (
    AlgorithmRefused,
    ClaimFault,
    ClaimRefused,
    ConfigurationError,
    IssuerUnavailable,
    KeyUnknown,
    KeyUnpublished,
)
from jotgate.jose import jwt
from jotgate.jose.jws import Jws
from jotgate.jose.jwt import Claims, Expectation, media_type
from jotgate.jose.keys import KeySet, VerificationKey, hmac_key

_NAMELESS: Final = "secret-{}"  # what we call a secret without a kid, by its place in the list


class Trusted:
    """A token that an issuer vouches for. It is good from `not_before_s` to before `not_after_s`, leeway included.

    Mutable in what is found out on demand: `names`, and `spared_at`, which is the growth of the set of revocations as
    it was when that set was last found to spare it; None: not yet. And in `due_s`, when it is to be looked at more
    closely than that it is in a cache: at its end, or, where it has none, when its use is noted again.
    """

    __slots__ = ("_names", "due_s", "issuer", "key", "not_after_s", "not_before_s", "principal", "spared_at")

    def __init__(
        self,
        issuer: "TrustedIssuer",
        key: VerificationKey,
        principal: Principal,
        not_before_s: float,
        not_after_s: float,
    ) -> None:
        self.issuer: Final = issuer
        self.key: Final = key
        self.principal: Final = principal
        self.not_before_s: Final = not_before_s
        self.not_after_s: Final = not_after_s
        self.due_s = not_after_s
        self.spared_at: object = None
        self._names: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All that it can be revoked by; see `core.revocations.names_of`."""
        known = self._names
        if not known:
            known = self._names = self.issuer.names_of(self.principal)
        return known


class TrustedIssuer:
    """One issuer's rules, compiled. Mutable in one thing: a key whose time is over leaves `keys`."""

    __slots__ = (
        "_expectation",
        "_face",
        "_ours",
        "_quota",
        "_renews",
        "_scopes",
        "_tells",
        "_usual",
        "content",
        "ends_s",
        "keys",
        "own_name",
        "reach_s",
    )

    def __init__(self, content: Issuer) -> None:
        """Compile what the snapshot says.

        `own_name` is the `iss` of this installation, if its tokens are made there; empty for another issuer. `reach_s`
        is how far behind its time a watermark refuses tokens of this issuer, in seconds.

        Raises:
            KeyRefused: a secret is no key, or the key set is none.
            ConfigurationError: the expectation contradicts itself.
        """
        self.content = content
        self._scopes = frozenset(content.default_scopes)
        self._usual = content.mapping == USUAL
        self._ours = content.name == OURS
        self._face = bool(content.installation)
        self.own_name: Final = content.issuer if self._ours else content.installation
        self.reach_s: Final = reach_s(content.leeway_s) if self._ours or self._face else content.leeway_s
        self._quota = content.quota
        self._renews = content.renewed_by
        self._tells = tells_of_events(content.types)
        self._expectation = Expectation(
            issuer=content.issuer or None,
            audiences=content.audiences,
            types=content.types,
            algorithms=content.algorithms,
            leeway_s=content.leeway_s,
            lifetime_max_s=content.lifetime_max_s,
            required=frozenset(content.required),
            endless="exp" not in content.required,
        )
        self.keys = KeySet([*_public_keys(content), *_secret_keys(content)])
        self.ends_s = self._next_end(-inf)

    def names_of(self, principal: Principal) -> tuple[str, ...]:
        """All that a token of this issuer can be met by: what is made here is, whatever its form, as what is ours."""
        if self._face:
            principal = structs.replace(principal, issuer=self.own_name)
        found = names_of(principal, self.own_name)
        if self._renews and principal.family:
            found += names_of(structs.replace(principal, issuer=self._renews), self._renews)
        return found

    def drop_ended(self, now_s: float) -> None:
        """Let go of the keys whose time is over; asked when `ends_s` has come."""
        gone = {kid for kid, end_s in _ends(self.content) if end_s <= now_s}
        self.keys = KeySet([key for key in self.keys.keys if key.kid not in gone])
        self.ends_s = self._next_end(now_s)

    def keys_at(self, now_s: float) -> KeySet:
        """The keys that verify what this issuer signs at a time.

        Raises:
            IssuerUnavailable: they were never fetched, or too long ago.
        """
        if self.content.jwks is None and not self.content.secrets:
            raise _out_of_reach(self.content)
        if now_s >= self.ends_s:
            self.drop_ended(now_s)
        return self.keys

    def verify(self, parsed: Jws, claims: Claims, now_s: float, audiences: tuple[str, ...] = ()) -> Trusted:
        """Hold a token, and the claims that are its payload, to this issuer's rules.

        `audiences` are those that it may be for, in place of the issuer's.

        Raises:
            TokenError: one subclass for each reason. KeyUnpublished: the issuer may have published the key since.
            IssuerUnavailable: the issuer's keys were never fetched, or too long ago.
        """
        if self.content.jwks is None and not self.content.secrets:
            raise self._unavailable(parsed, claims, now_s)
        if now_s >= self.ends_s:
            self.drop_ended(now_s)
        expectation = structs.replace(self._expectation, audiences=audiences) if audiences else self._expectation
        try:
            key = jwt.verify_read(parsed, claims, self.keys, expectation, now_s)
        except KeyUnknown as refusal:
            if self.content.remote and parsed.kid is not None:
                # No name is given to what is raised here: it would be a cycle, and each a thing to collect.
                raise KeyUnpublished(self.content.name, refusal.message).showing("kid", None, parsed.kid) from None
            raise
        if self._tells or "events" in claims.raw:
            check_no_event(claims, parsed.typ)
        if self.content.equal:
            self._check_equal(claims)
        leeway_s, begin_s = self.content.leeway_s, claims.iat or 0.0
        not_before_s = (begin_s if claims.nbf is None else max(claims.nbf, begin_s)) - leeway_s
        not_after_s = inf if claims.exp is None else claims.exp + leeway_s
        principal = self._principal(parsed, claims, key.kid)
        return Trusted(self, key, principal, not_before_s, not_after_s)

    def _unavailable(self, parsed: Jws, claims: Claims, now_s: float) -> IssuerUnavailable:
        """That the keys cannot be had. What no key would make good is refused instead: no signature is looked at."""
        if self.content.readable:
            if parsed.alg not in self.content.algorithms:
                raise AlgorithmRefused("the token's 'alg' is not one that its issuer uses")
            jwt.check(claims, parsed.typ, self._expectation, now_s)
            self._check_equal(claims)
        return _out_of_reach(self.content)

    def _check_equal(self, claims: Claims) -> None:
        for one in self.content.equal:
            found = find(claims.raw, one.path)
            if found is None and one.optional:
                continue
            if type(found) is not type(one.value) or found != one.value:
                name = ".".join(one.path)
                reason: ClaimFault = "missing" if found is None else "mismatch"
                what = f"the claim '{name}' is not the one that this issuer's tokens have"
                raise ClaimRefused(name, reason, what).showing(name, one.value, found)

    def _principal(self, parsed: Jws, claims: Claims, kid: str) -> Principal:
        raw, ours, lineage = claims.raw, self._ours, NO_LINEAGE
        identity = usual_identity(claims) if self._usual else read_identity(raw, self.content.mapping)
        if not LINEAGE_CLAIMS.isdisjoint(raw):
            lineage = read_lineage(raw, ours=ours)
        family, client_id = lineage.family, identity.client_id
        limits = lineage.limits if self._quota is None else read_claimed(raw, self._quota)
        if self._face or self._renews:
            family, client_id = read_name(claims.jti)
            if self._renews and family:
                limits += read_token_limits(raw)
        return Principal(  # by place, which costs half of what names do
            claims.iss or self.content.name,
            identity.subject,
            client_id,
            claims.jti or sha256(parsed.signing_input).hexdigest(),
            kid,
            self._scopes if identity.scopes is None else identity.scopes,
            identity.models,
            inf if claims.exp is None else claims.exp,
            claims.nbf or 0.0,
            lineage.tenant if ours else identity.tenant,
            lineage.roles if ours else identity.roles,
            audience_set(claims.aud),
            "" if parsed.typ is None else media_type(parsed.typ),
            claims.iat,
            family,
            lineage.ancestors,
            lineage.origins,
            lineage.actors,
            lineage.may_act,
            lineage.confirmation,
            lineage.session,
            limits,
            read_reference(raw) if self.content.status_lists else None,
        )

    def _next_end(self, now_s: float) -> float:
        return min((end_s for _, end_s in _ends(self.content) if end_s > now_s), default=inf)


def _out_of_reach(issuer: Issuer) -> IssuerUnavailable:
    return IssuerUnavailable(f"the keys of the issuer '{issuer.name}' cannot be had now")


class Federation:
    """All trusted issuers of one snapshot, this installation first. Immutable."""

    def __init__(self, issuers: Iterable[TrustedIssuer]) -> None:
        """Raise ConfigurationError when two have one name or one `iss`: one of them would speak for the other."""
        self.issuers: Final = tuple(issuers)
        self._by_claim: Final = {one.content.issuer: one for one in self.issuers}
        names = {one.content.name for one in self.issuers}
        if not len(self._by_claim) == len(names) == len(self.issuers):
            raise ConfigurationError([("issuers", "has two with one name or one 'iss'")])

    def find(self, claimed: str | None) -> TrustedIssuer:
        """The issuer that a token says it is of. `claimed` is its `iss`; None: it names no issuer.

        Raises:
            ClaimRefused: nobody trusts that issuer, or the token names none and every issuer's tokens do.
        """
        if claimed is None:
            return self._by_claim.get("", self.issuers[0])
        found = self._by_claim.get(claimed) if claimed else None
        if found is None:
            raise ClaimRefused(
                "iss",
                "mismatch",
                "the token is of an issuer that this gateway does not trust",
                hint="Send a token of an issuer that it trusts; 'jotgate token create --subject NAME' makes one",
            ).showing("iss", tuple(self._by_claim), claimed)
        return found


def carry_over(issuers: Iterable[Issuer], before: Federation | None) -> Federation:
    """The federation of these issuers. One whose content is the same goes on as it is, with what is cached of it.

    Raises:
        KeyRefused, ConfigurationError: see `TrustedIssuer`.
    """
    known = {} if before is None else {one.content.name: one for one in before.issuers}
    made: list[TrustedIssuer] = []
    for content in issuers:
        one = known.get(content.name)
        made.append(one if one is not None and one.content == content else TrustedIssuer(content))
    return Federation(made)


def _public_keys(content: Issuer) -> tuple[VerificationKey, ...]:
    return () if content.jwks is None else KeySet.from_jwks(content.jwks, content.algorithms).keys


def _secret_keys(content: Issuer) -> list[VerificationKey]:
    return [_secret_key(one, place) for place, one in enumerate(content.secrets)]


def _secret_key(one: SharedSecret, place: int) -> VerificationKey:
    key = hmac_key(one.secret.reveal().encode(), one.algorithm, one.kid or _NAMELESS.format(place)).verification_key
    return key if one.kid else structs.replace(key, named=False)


def _ends(content: Issuer) -> list[tuple[str, float]]:
    ends: list[tuple[str, float]] = list(content.key_ends.items())
    for place, one in enumerate(content.secrets):
        if one.ends_at_s is not None:
            ends.append((one.kid or _NAMELESS.format(place), one.ends_at_s))
    return ends
