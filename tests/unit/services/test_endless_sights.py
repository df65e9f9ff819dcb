"""Tokens that never expire are noted when they are taken and once a minute after, recorded once, and listed."""

import asyncio
import secrets
from collections.abc import Sequence
from typing import Final

import pytest
from msgspec import structs

from jotgate.core.durable import Revocation, RevocationKind
from jotgate.core.endless_tokens import EndlessListing, EndlessToken, EndlessView
from jotgate.core.issuers import Issuer
from jotgate.core.revocations import token_handle
from jotgate.errors import AuditUnavailable, KeyUnknown, SignatureInvalid, TokenExpired, TokenRevoked
from jotgate.gateway.world import build_verifier
from jotgate.jose import jws, jwt
from jotgate.jose.keys import hmac_key
from jotgate.services.endless_sights import SIGHT_S, SIGHTS_MAX, TOLD_AT_ONCE, find_endless, keep_seen
from jotgate.services.recorder import Recorder
from jotgate.services.revocation import PAGE, RevokedSet
from jotgate.services.verifier import Verifier
from jotgate.stores.access import DirectAccess
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock
from tests.callers import NOW_S, make_issuer
from tests.issuers import STRONG, verifier_of
from tests.token_stage import EventLog

CHAIN: Final = '[[issuers]]\nname = "chain"\nprofile = "prompt-chain"\n'
_KEY: Final = hmac_key(STRONG.encode(), "HS256", "k")


def chain() -> Verifier:
    """A verifier that takes tokens without an end of one issuer, beside those of an installation."""
    return verifier_of(CHAIN, {"JWT_SECRET_KEY": STRONG})


def signed(subject: str = "ann", **claims: object) -> bytes:
    return jwt.sign({"sub": subject, "iat": int(NOW_S), **claims}, "JWT", _KEY, with_kid=False)


def told(verifier: Verifier) -> list[EndlessToken]:
    """What it has noted since this was asked before."""
    found: list[EndlessToken] = []

    def take(tokens: Sequence[EndlessToken]) -> bool:
        found.extend(tokens)
        return True

    while verifier.cache.sights.tell(take):
        pass
    return found


class Archive:
    """A store and an audit log."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.log = EventLog()
        self.access = DirectAccess(self.store)

    def keep(self, tokens: Sequence[EndlessToken]) -> list[str]:
        """Whom those speak for that are new."""
        recorder = Recorder(self.log, ManualClock())
        return [one.subject for one in asyncio.run(keep_seen(self.access, recorder, tokens))]

    def listed(self, revoked: RevokedSet | None = None, **wanted: object) -> list[EndlessView]:
        listing = structs.replace(EndlessListing(), **wanted)
        return find_endless(self.store, revoked or RevokedSet(), listing).tokens


def test_a_token_without_an_end_is_noted_when_it_is_first_taken() -> None:
    verifier = chain()
    principal = verifier.verify(signed(), NOW_S)
    (one,) = told(verifier)
    assert (one.issuer, one.subject, one.token_id) == ("chain", "ann", principal.token_id)
    assert (one.first_seen_at_s, one.last_seen_at_s) == (int(NOW_S), int(NOW_S))


def test_one_that_ends_is_not_noted_and_nor_is_one_that_is_refused() -> None:
    verifier = chain()
    verifier.verify(signed(exp=int(NOW_S) + 60), NOW_S)
    forged = jwt.sign({"sub": "ann", "iat": 1}, "JWT", hmac_key(secrets.token_bytes(32), "HS256", "k"), with_kid=False)
    with pytest.raises(SignatureInvalid):
        verifier.verify(forged, NOW_S)
    assert told(verifier) == []


def test_a_remembered_one_is_noted_once_a_minute_and_in_between_not() -> None:
    verifier = chain()
    token = signed()
    for _ in range(3):
        verifier.verify(token, NOW_S)
    assert len(told(verifier)) == 1
    verifier.verify(token, NOW_S + SIGHT_S - 0.001)
    assert told(verifier) == []
    for late_s in (0.0, 0.001, 1.0):
        verifier.verify(token, NOW_S + SIGHT_S + late_s)
    (one,) = told(verifier)
    assert one.last_seen_at_s == int(NOW_S + SIGHT_S)
    assert verifier.misses == 1


def test_a_remembered_one_that_was_revoked_is_refused_and_not_noted_when_it_comes_due() -> None:
    verifier = chain()
    token = signed()
    principal = verifier.verify(token, NOW_S)
    told(verifier)
    handle = token_handle("chain", principal.token_id)
    verifier.revoked.take_rows([Revocation(RevocationKind.TOKEN, handle, int(NOW_S), number=1)])
    for at_s in (NOW_S + 1, NOW_S + SIGHT_S, NOW_S + 9 * SIGHT_S):
        with pytest.raises(TokenRevoked):
            verifier.verify(token, at_s)
    assert told(verifier) == []


def test_a_remembered_token_with_an_end_still_ends() -> None:
    verifier = chain()
    token = signed(exp=int(NOW_S) + 600)
    for at_s in (NOW_S, NOW_S + 5 * SIGHT_S, NOW_S + 599):
        assert verifier.verify(token, at_s).subject == "ann"
    with pytest.raises(TokenExpired):
        verifier.verify(token, NOW_S + 600)


def test_a_key_that_has_left_refuses_a_token_that_never_ends() -> None:
    verifier = chain()
    token = signed()
    verifier.verify(token, NOW_S)
    verifier.federation.issuers[1].keys._by_kid.clear()
    with pytest.raises((KeyUnknown, SignatureInvalid)):
        verifier.verify(token, NOW_S + SIGHT_S)


def test_what_nobody_could_be_told_of_is_told_later() -> None:
    verifier = chain()
    verifier.verify(signed("ann"), NOW_S)
    assert not verifier.cache.sights.tell(lambda _: False)
    verifier.verify(signed("bob"), NOW_S)
    assert [one.subject for one in told(verifier)] == ["ann", "bob"]
    assert told(verifier) == []


def test_many_are_told_some_at_a_time_and_too_many_are_left_for_their_next_use() -> None:
    verifier = verifier_of(CHAIN, {"JWT_SECRET_KEY": STRONG})
    issuer = verifier.federation.issuers[1]
    tokens = [signed(f"s{number}") for number in range(SIGHTS_MAX + 2)]
    for number, token in enumerate(tokens):
        parsed = jws.parse(token)
        found = issuer.verify(parsed, jwt.read_claims(parsed.payload), NOW_S)
        verifier.cache.sights.see(found, number.to_bytes(4, "big"), NOW_S)
    sizes: list[int] = []

    def take(some: Sequence[EndlessToken]) -> bool:
        sizes.append(len(some))
        return True

    while verifier.cache.sights.tell(take):
        pass
    assert (sum(sizes), max(sizes)) == (SIGHTS_MAX, TOLD_AT_ONCE)


def test_a_new_cache_goes_on_with_the_sights_of_the_one_before() -> None:
    before = chain()
    before.verify(signed(), NOW_S)
    issuers: tuple[Issuer, ...] = tuple(one.content for one in before.federation.issuers)
    after = build_verifier(issuers, before.cache.capacity + 1, before)
    assert after.cache is not before.cache
    assert [one.subject for one in told(after)] == ["ann"]


def test_own_tokens_are_never_without_an_end() -> None:
    assert "exp" in make_issuer().claims()
    assert "exp" in chain().federation.issuers[0].content.required


def test_each_token_is_recorded_at_its_first_sight_alone() -> None:
    archive, verifier = Archive(), chain()
    for subject in ("ann", "bob"):
        verifier.verify(signed(subject), NOW_S)
    assert archive.keep(told(verifier)) == ["ann", "bob"]
    verifier.verify(signed("ann"), NOW_S + SIGHT_S)
    assert archive.keep(told(verifier)) == []
    first, second = archive.log.named("token.endless_seen")
    assert (first.subject, second.subject, first.actor) == ("ann", "bob", "jotgate")
    (ann,) = archive.listed(subject="ann")
    assert first.details == {"issuer": "chain", "jti": ann.token_id, "digest": ann.digest}
    assert (ann.first_seen_at_s, ann.last_seen_at_s) == (int(NOW_S), int(NOW_S + SIGHT_S))
    assert ann.issued_at_s == int(NOW_S)


def test_what_cannot_be_recorded_is_not_kept_and_stays_new() -> None:
    archive, verifier = Archive(), chain()
    verifier.verify(signed(), NOW_S)
    tokens = told(verifier)
    archive.log.full = True
    with pytest.raises(AuditUnavailable):
        archive.keep(tokens)
    assert archive.listed() == []
    archive.log.full = False
    assert archive.keep(tokens) == ["ann"]


def test_a_revoked_one_is_shown_so_however_it_was_revoked_and_left_out_of_the_live_ones() -> None:
    archive, verifier = Archive(), chain()
    for subject in ("ann", "bob", "cid", "dot"):
        verifier.verify(signed(subject), NOW_S)
    archive.keep(told(verifier))
    (ann,) = archive.listed(subject="ann")
    revoked = RevokedSet()
    late = int(NOW_S) + 1
    revoked.take_rows(
        [
            Revocation(RevocationKind.TOKEN, token_handle("chain", ann.token_id), late, number=1),
            Revocation(RevocationKind.SUBJECT, token_handle("chain", "bob"), late, before_s=late, number=2),
            Revocation(RevocationKind.SUBJECT, token_handle("chain", "cid"), late, before_s=int(NOW_S) - 1, number=3),
        ]
    )
    states = {one.subject: one.revoked for one in archive.listed(revoked)}
    assert states == {"ann": True, "bob": True, "cid": False, "dot": False}
    assert {one.subject for one in archive.listed(revoked, live=True)} == {"cid", "dot"}


def test_they_are_listed_page_by_page() -> None:
    archive = Archive()
    sample = archive_sample()
    archive.store.see_endless_tokens(
        [structs.replace(sample, digest=f"{number:064d}", subject=f"s{number}") for number in range(PAGE + 1)]
    )
    first = find_endless(archive.store, RevokedSet(), EndlessListing())
    assert (len(first.tokens), first.after) == (PAGE, first.tokens[-1].digest)
    last = find_endless(archive.store, RevokedSet(), EndlessListing(after=first.after))
    assert ([one.subject for one in last.tokens], last.after) == ([f"s{PAGE}"], "")


def archive_sample() -> EndlessToken:
    verifier = chain()
    verifier.verify(signed(), NOW_S)
    return told(verifier)[0]
