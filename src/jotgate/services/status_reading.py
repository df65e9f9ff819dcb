"""Looks up what other issuers say of their tokens in status lists (draft-ietf-oauth-status-list-21 s8.3).

A list is fetched only from where its issuer or its keys are: where a token says that its list stands is not reason
enough to ask there. It is verified with the issuer's keys, and kept for as long as it says itself.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from jotgate.core.issuers import KeySource
from jotgate.core.key_fetches import Get, Got, KeysOutcome
from jotgate.core.principals import Principal
from jotgate.core.status_lists import LIST_MEDIA_TYPE, LIST_TYPE, VALID, StatusList, read_list
from jotgate.core.status_references import StatusFound, StatusQuestion
from jotgate.errors import JotgateError, KeyUnknown, KeyUnpublished, StatusUnresolved, TokenRevoked
from jotgate.jose import jws, jwt
from jotgate.jose.algorithms import ALGORITHMS
from jotgate.jose.jws import Jws
from jotgate.jose.jwt import Claims, Expectation
from jotgate.ports import Clock, KeyFetch
from jotgate.services.federation import Federation
from jotgate.services.key_seeking import seek

HELD_MAX: Final = 32
"""So many lists are held; the one that was fetched first goes."""
FAILED_S: Final = 5.0
"""A list that could not be had is not asked for again for so long."""
LEAST_S: Final = 1.0
"""However short a list may be kept, it is fetched no oftener."""
KEEP_S: Final = 60.0
"""So long a list is kept that does not say for how long it may be."""
LIST_BYTES_MAX: Final = 262_144
_LIFE_S: Final = 10 * 366 * 86_400


class StatusReader:
    """Control's reader. Mutable: the lists that it holds, those that failed, and what is being fetched.

    `federation` and `sources` are those in effect; `wanted` has the keys of an issuer fetched, as for `seek`. `tell`
    hears of a fault, once for each fetch that failed.
    """

    def __init__(
        self,
        fetch: KeyFetch,
        clock: Clock,
        *,
        federation: Callable[[], Federation],
        sources: Callable[[], tuple[KeySource, ...]],
        wanted: Callable[[str], Awaitable[KeysOutcome]],
        tell: Callable[[str], object],
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._federation = federation
        self._sources = sources
        self._wanted = wanted
        self._tell = tell
        self._held: dict[tuple[str, str], tuple[StatusList | None, float]] = {}
        self._turns: dict[tuple[str, str], asyncio.Lock] = {}

    async def look(self, question: StatusQuestion) -> StatusFound | None:
        """What stands there; None: it cannot be known now. A place that the list does not have is none to rely on."""
        key = (question.issuer, question.uri)
        async with self._turns.setdefault(key, asyncio.Lock()):
            held, until_s = self._held.get(key, (None, 0.0))
            if self._clock.monotonic_s() >= until_s:
                held, until_s = await self._read(question)
                self._hold(key, held, until_s)
        if held is None:
            return None
        try:
            return StatusFound(held.status(question.index), max(LEAST_S, until_s - self._clock.monotonic_s()))
        except JotgateError as refusal:
            self._tell(f"{question.uri}: {refusal.message}")
            return None

    def verifying(self, verify: Callable[[bytes], Awaitable[Principal]]) -> Callable[[bytes], Awaitable[Principal]]:
        """What verifies as `verify` does, and refuses what its issuer's list says does not count.

        Raises:
            TokenRevoked, StatusUnresolved: beside what `verify` does.
        """

        async def verified(token: bytes) -> Principal:
            principal = await verify(token)
            if principal.status is not None:
                place = principal.status
                found = await self.look(StatusQuestion(principal.issuer, place.uri, place.index))
                if found is None:
                    where = (principal.issuer, place.uri, place.index)
                    raise StatusUnresolved(where, "the status list that the token names cannot be had now")
                if found.status != VALID:
                    raise TokenRevoked("the token's issuer says in its status list that it does not count")
            return principal

        return verified

    def _hold(self, key: tuple[str, str], held: StatusList | None, until_s: float) -> None:
        if key not in self._held and len(self._held) >= HELD_MAX:
            oldest = next(iter(self._held))
            del self._held[oldest]
            self._turns.pop(oldest, None)
        self._held[key] = held, until_s

    async def _read(self, question: StatusQuestion) -> tuple[StatusList | None, float]:
        """The list, and until when (monotonic) that is good."""
        try:
            found = await self._fetch_list(question)
        except (JotgateError, ValueError) as fault:
            self._tell(f"{question.uri}: {fault.message if isinstance(fault, JotgateError) else fault}")
            return None, self._clock.monotonic_s() + FAILED_S
        now_s = self._clock.now_s()
        left_s = found.good_until_s(now_s, KEEP_S) - now_s
        return found, self._clock.monotonic_s() + max(LEAST_S, left_s)

    async def _fetch_list(self, question: StatusQuestion) -> StatusList:
        """Fetch and verify. Raises JotgateError, ValueError: there is none to be had."""
        issuer = self._federation().find(question.issuer)
        source = next((one for one in self._sources() if one.name == issuer.content.name), None)
        if source is None or not _is_near(question.uri, source, question.issuer):
            raise ValueError("is at another place than its issuer and that one's keys, and is not asked for")
        got = await self._fetch.get(Get(question.uri, source.timeout_s, roots=source.roots, accept=LIST_MEDIA_TYPE))
        if not isinstance(got, Got):
            raise ValueError(getattr(got, "reason", "answered that nothing has changed, which nobody asked"))
        parsed = jws.parse(got.body.strip(), LIST_BYTES_MAX)
        claims = jwt.read_claims(parsed.payload)
        await seek(lambda: self._verify(question.issuer, parsed, claims), self._wanted)
        return read_list(claims, question.uri)

    def _verify(self, name: str, parsed: Jws, claims: Claims) -> None:
        """Hold a list to the rules of its issuer, as they are now. Raises TokenError, IssuerUnavailable."""
        issuer, now_s = self._federation().find(name), self._clock.now_s()
        content = issuer.content
        expectation = Expectation(
            issuer=content.issuer if claims.iss is not None else None,
            audiences=(),
            types=(LIST_TYPE,),
            algorithms=tuple(name for name in content.algorithms if name in ALGORITHMS and not name.startswith("HS")),
            leeway_s=content.leeway_s,
            lifetime_max_s=_LIFE_S,
            required=frozenset(("sub", "iat")),
            endless=True,
        )
        try:
            jwt.verify_read(parsed, claims, issuer.keys_at(now_s), expectation, now_s)
        except KeyUnknown as refusal:
            raise KeyUnpublished(content.name, refusal.message) from None


def _is_near(uri: str, source: KeySource, issuer: str) -> bool:
    """Whether a list stands at the origin of its issuer, or of that one's keys."""
    return _origin(uri) in {_origin(issuer), _origin(source.location if source.kind != "file" else issuer)}


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
