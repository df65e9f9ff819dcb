"""Ends running calls whose token has ended meanwhile: revoked, disabled, expired, or signed with a key that is gone.

Where what was revoked has not been known for too long, all end but those that need not know it: unknown means no.
Whether a token has ended is asked as for a new call, of the newest world; the index of live calls only says which ones
to ask about. A short call is never looked at: what has run for a tick is taken into the index, and looked at then, so
that nothing falls between its admission and the index. The work is done in steps, so that a cut of thousands does not
hold up the others.
"""

import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from msgspec import structs

from jotgate.core.accounts import DEFAULT_TENANT
from jotgate.core.durable import RevocationKind
from jotgate.core.opaque import Mark
from jotgate.core.personal_tokens import AccountNews
from jotgate.core.principals import Principal
from jotgate.core.revocations import Entry, handle_name, names_of, personal_names, token_handle
from jotgate.errors import ControlStale, IssuerUnavailable, TokenError, TokenImmature, TokenUnresolved
from jotgate.gateway.admission import Call
from jotgate.gateway.credentials import find_token
from jotgate.gateway.live_calls import TICKS_PER_S, UNWATCHED, Life, LiveCalls, Name
from jotgate.gateway.relay import Relay
from jotgate.gateway.waits import Soon
from jotgate.gateway.world import World
from jotgate.ports import Clock
from jotgate.services.evidence import examine
from jotgate.services.federation import Federation

QUESTIONS_MAX: Final = 256
"""So many personal tokens control is asked about at once."""
PATIENCE_S: Final = 2.0
"""For so long an answer is waited for before it is asked again."""

_STEP_S: Final = 0.001
_PERSONAL: Final = Mark.PERSONAL.encode("ascii")
_EVERY_PERSONAL: Final = ("personal",)
_BLIND: Final = "whether the token still counts is not known: control or its store has been silent for too long"


class Cuts:
    """What is to be looked at, in the order in which it came.

    Mutable: that, the index, what control is being asked, until when what was revoked is known.

    `live` are the calls that run, kept by the gateway. `soon` does the next step in a coming turn of the event loop;
    `ask` asks control about the personal token with a digest.
    """

    def __init__(self, live: Collection[Relay], clock: Clock, soon: Soon) -> None:
        self._live = live
        self._clock = clock
        self._soon = soon
        self._index: LiveCalls[Relay] = LiveCalls()
        self._queue: deque[list[Relay]] = deque()
        self._stepping = False
        self._world: World | None = None
        self._asked: dict[bytes, float] = {}
        self._known_until_s = math.inf
        self._blind = False
        self.ask: Callable[[bytes], object] | None = None

    def know_until(self, moment_s: float) -> None:
        """Take what was revoked for known until this moment of the monotonic clock; the next word moves it."""
        self._known_until_s = moment_s
        self._blind = self._blind and self._clock.monotonic_s() > moment_s

    def swap(self, world: World) -> None:
        """Look at calls by this world from now on, and at those whose key it has no longer."""
        before, self._world = self._world, world
        if before is not None and before.verifier is not world.verifier:
            self._suspect(name for name in _gone(before.verifier.federation, world.verifier.federation))

    def revoked(self, entries: Sequence[Entry]) -> None:
        """Look at the calls of what was revoked just now."""
        self._suspect(entry.name for entry in entries)
        self.look_at([relay for relay in self._live if relay.watch is None])

    def accounts_changed(self, news: AccountNews) -> None:
        """Look at the calls of personal tokens of which something has changed."""
        self._suspect([_EVERY_PERSONAL] if news.everything else [(one.kind, one.name) for one in news.changes])

    def answered(self, digest: bytes) -> None:
        """Control has answered about a personal token; its calls are looked at again at the next tick."""
        self._asked.pop(digest, None)

    def tick(self) -> None:
        """Look at what ends now. Called a few times a second."""
        now_s = self._clock.monotonic_s()
        for digest in [one for one, until_s in self._asked.items() if until_s <= now_s]:
            del self._asked[digest]
        if now_s > self._known_until_s and not self._blind:
            self._blind = True  # Calls that begin later are looked at too, as all are that are not watched yet.
            self._look_at_all(list(self._live))
        self.look_at(self._index.take_ending(self._clock.now_s()))

    def look_at(self, relays: list[Relay]) -> None:
        """Look at these calls soon: those that are not watched yet, or whose token may have ended."""
        if relays:
            self._queue.append(relays)
            self._go_on()

    def settled(self, relay: Relay) -> None:
        """The call, which was watched, has ended."""
        if relay.watch is not None:
            self._index.remove(relay, relay.watch)

    def _suspect(self, names: Iterable[Name]) -> None:
        for name in names:
            self._look_at_all(list(self._index.named(name)))

    def _look_at_all(self, found: list[Relay]) -> None:
        # What waits goes first: the room that a cut makes would else be given to a call that is cut next.
        waiting = [one for one in found if one.place is None]
        if waiting:
            self._queue.appendleft(waiting)
        self.look_at(found)

    def _go_on(self) -> None:
        if self._queue and not self._stepping:
            self._stepping = True
            self._soon(self._step)

    def _step(self) -> None:
        try:
            self._look_for(_STEP_S)
        finally:  # A fault that nobody foresaw is told by the event loop; the other calls are looked at all the same.
            self._stepping = False
            self._go_on()

    def _look_for(self, span_s: float) -> None:
        end_s = self._clock.monotonic_s() + span_s
        while self._queue and self._clock.monotonic_s() < end_s:
            batch = self._queue[0]
            relay = batch.pop()
            if not batch:
                self._queue.popleft()
            if relay in self._live:
                self._look(relay)

    def _look(self, relay: Relay) -> None:
        """Cut the call if its token has ended or nobody may say so, else watch it by what is known of the token now."""
        call, world, now_s = relay.call, self._world, self._clock.now_s()
        if call.ended_tokens == "finish":
            relay.watch = UNWATCHED
            return
        if self._blind and not call.policy:
            if not call.policy_if_blind:
                relay.cut(ControlStale(_BLIND, hint="Try again in a moment"))
                return
            relay.call = call = structs.replace(call, policy=call.policy_if_blind)  # It is recorded with its name.
        assert world is not None, "no call runs before there is one"
        world = world.of_request(call.request)
        if world.anyone is not None or call.request.vouched is not None:  # No token let it in.
            relay.watch = UNWATCHED
            return
        try:
            life = _life(call, world, now_s)
        except TokenUnresolved as unknown:
            self._ask(unknown.digest)
            life = _unsure(call, world, now_s)
        except (IssuerUnavailable, TokenImmature):  # A clock that goes back ends no token.
            life = _unsure(call, world, now_s)
        except TokenError as refusal:
            relay.cut(refusal)
            return
        if relay.watch is not None:
            self._index.remove(relay, relay.watch)
        relay.watch = self._index.add(relay, life)

    def _ask(self, digest: bytes) -> None:
        """Ask control about a personal token, of which nothing is held at the moment."""
        if self.ask is not None and digest not in self._asked and len(self._asked) < QUESTIONS_MAX:
            self._asked[digest] = self._clock.monotonic_s() + PATIENCE_S
            self.ask(digest)


def _life(call: Call, world: World, now_s: float) -> Life:
    """What can end the token of a call that runs.

    Raises:
        TokenError: it has ended; it has its evidence.
        TokenUnresolved, IssuerUnavailable, TokenImmature: that cannot be known now.
    """
    request = call.request
    token = find_token(request, call.world.credentials)
    try:
        if token.startswith(_PERSONAL) and world.takes_personal:
            held = world.personal.look_again(token, now_s)
            return Life((*held.names, *_accounts(held.principal)), held.until_s)
        found = world.verifier.look_again(token, now_s)
    except TokenError as refusal:
        examine(token, refusal, world.verifier.federation, now_s, request.credential_place)
        raise
    return Life(found.names, min(found.not_after_s, found.issuer.ends_s))


def _unsure(call: Call, world: World, now_s: float) -> Life:
    """The same where it cannot be known: it is looked at again soon."""
    principal = call.principal
    names: tuple[Name, ...] = (*personal_names(principal), *_accounts(principal))
    if principal.kid:
        names = names_of(principal, world.own_issuer)
    return Life(names, now_s + 1 / TICKS_PER_S)


def _accounts(principal: Principal) -> tuple[Name, ...]:
    """The accounts on which a personal token rests, as `AccountNews` names them."""
    return (
        _EVERY_PERSONAL,
        ("personal_token", principal.token_id),
        ("principal", principal.subject),
        ("tenant", principal.tenant or DEFAULT_TENANT),
    )


def _gone(before: Federation, after: Federation) -> list[Name]:
    """The keys that an issuer had and has no longer, as revocations name them."""
    held = {one.content.name: one.keys for one in after.issuers}
    return [
        handle_name(RevocationKind.KEY, token_handle(one.content.issuer or one.content.name, key.kid))
        for one in before.issuers
        for key in one.keys.keys
        if one.content.name not in held or not held[one.content.name].has_same(key)
    ]
