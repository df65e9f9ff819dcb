"""Who waits for units of an account is told to whoever may hold some that are not used: to workers and other machines.

A hint asks for what happens by itself a second or two later. Nothing is decided by it, so it is believed of anybody,
as far as it is bounded: a worker gives back what no call has need of, in a turn of the ledger as any other.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.ledger import LeaseAnswer, LeaseAsk
from jotgate.jose.encoding import b64url_encode
from jotgate.ports import Clock, Entropy

ACCOUNTS_MAX: Final = 64
"""So many accounts one message names at most."""
MESSAGE_BYTES_MAX: Final = 8_192
AGAIN_S: Final = 0.1
"""An account is told of at most once in so long, and heard of as well."""
KNOWN_MAX: Final = 65_536
"""So many accounts of this machine's workers are known; of others nothing is heard."""

_GENERATIONS: Final = 2
_NAME_BYTES: Final = 12


class Wanted(Struct, frozen=True, tag="wanted"):
    """What one machine tells the others: `accounts` (`Meter.key`) of which it needs units. `of` names it by chance."""

    of: str
    accounts: list[str]


_decode: Final = msgspec.msgpack.Decoder(Wanted).decode
_encode: Final = msgspec.msgpack.Encoder().encode


class _Lately:
    """What was done lately, each for `AGAIN_S`. Mutable."""

    def __init__(self) -> None:
        self._until_s: dict[str, float] = {}

    def first(self, names: Iterable[str], now_s: float) -> list[str]:
        """Those with which it was not done lately; it is now."""
        found = [name for name in dict.fromkeys(names) if self._until_s.get(name, now_s) <= now_s]
        if len(self._until_s) >= KNOWN_MAX // _GENERATIONS:
            self._until_s = {name: until_s for name, until_s in self._until_s.items() if until_s > now_s}
        self._until_s.update(dict.fromkeys(found, now_s + AGAIN_S))
        return found


class UnitHints:
    """Those of one machine. Mutable: the accounts of its workers, what was told and heard lately, and where it goes.

    `tell` tells all workers of this machine that units of these accounts are wanted.
    """

    def __init__(self, clock: Clock, entropy: Entropy, tell: Callable[[list[str]], object]) -> None:
        self._clock = clock
        self._name = b64url_encode(entropy.random_bytes(_NAME_BYTES)).decode("ascii")
        self._tell = tell
        self._publish: Callable[[bytes], object] | None = None
        self._young: dict[str, None] = {}
        self._old: dict[str, None] = {}
        self._said = _Lately()
        self._heard = _Lately()

    def publish_by(self, publish: Callable[[bytes], object]) -> None:
        """Tell other machines by this; it never waits."""
        self._publish = publish

    def answered(self, asks: Sequence[LeaseAsk], answers: Sequence[LeaseAnswer]) -> None:
        """The ledger has answered workers of this machine: ask others for what it had not, if they hold some."""
        self._know(ask.meter.key for ask in asks)
        short = [ask.meter.key for ask, answer in zip(asks, answers, strict=True) if _is_short(ask, answer)]
        if not short:
            return
        wanted = self._said.first(short, self._clock.monotonic_s())
        if wanted:
            self._tell(wanted)
        if self._publish is not None:
            for place in range(0, len(wanted), ACCOUNTS_MAX):
                self._publish(_encode(Wanted(self._name, wanted[place : place + ACCOUNTS_MAX])))

    def hear(self, message: bytes) -> None:
        """Somebody has published this: another machine, this one, or whoever can."""
        if len(message) > MESSAGE_BYTES_MAX:
            return
        try:
            found = _decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if found.of == self._name or len(found.accounts) > ACCOUNTS_MAX:
            return
        known = [name for name in found.accounts if name in self._young or name in self._old]
        wanted = self._heard.first(known, self._clock.monotonic_s())
        if wanted:
            self._tell(wanted)

    def _know(self, accounts: Iterable[str]) -> None:
        self._young.update(dict.fromkeys(accounts))
        if len(self._young) >= KNOWN_MAX // _GENERATIONS:
            self._old, self._young = self._young, {}


def _is_short(ask: LeaseAsk, answer: LeaseAnswer) -> bool:
    """Whether calls wait for what the ledger had not, while somebody else holds units of the account."""
    granted = answer.units - (0 if answer.lost else ask.kept)
    return ask.least > 0 and granted <= 0 and answer.leased > answer.units
