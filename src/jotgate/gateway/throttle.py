"""Keeps who sends refused credentials from having more of them looked at; what is known to be good is never held up.

An IPv6 address counts with all of its /64, which is one customer's as a rule. Each failure goes into a bucket of its
address that leaks at a steady rate. Once it is full, one attempt is looked at for each that leaks out, until half has.
"""

import re
from functools import lru_cache
from hashlib import sha256
from ipaddress import AddressValueError, IPv6Address
from math import ceil
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.calls import Request
from jotgate.core.snapshot import Limits
from jotgate.errors import (
    AttemptsThrottled,
    JotgateError,
    ProofNonceWanted,
    TicketRefused,
    TicketUnredeemed,
    TokenBound,
    TokenError,
    TokenExpired,
    TokenImmature,
    TokenMissing,
    TokenRevoked,
)
from jotgate.gateway.credentials import find_token
from jotgate.gateway.world import World
from jotgate.ports import Clock

ADDRESSES_MAX: Final = 16_384
"""Of so many addresses failures are remembered at once; those that failed last."""

_GENERATION: Final = ADDRESSES_MAX // 2
_CREDENTIALS: Final = 4_096
_CLIENT_SECRET: Final = re.compile(rb"(?:^|&)client_secret=([^&]+)")
_UNAUTHENTICATED: Final = 401
_REFUSED: Final = 400
_INVALID_GRANT: Final = b'"invalid_grant"'
_NO_GUESS: Final = (TokenMissing, TokenExpired, TokenImmature, TokenRevoked, TokenBound, ProofNonceWanted)
"""What is said of no token at all, and of those that were good or are: nobody has guessed them."""


class _Shown(Struct, frozen=True):
    """What a client may prove itself by in a body of JSON."""

    client_secret: str = ""


_decode_shown: Final = msgspec.json.Decoder(_Shown).decode


class FailedAttempts:
    """Refused credentials by the address that they came from, for one worker. Mutable: all of it.

    `blocked` has the addresses whose attempts are not looked at, with when the next one is, on the monotonic clock: as
    long as it is empty, good calls cost nothing here.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.blocked: dict[str, float] = {}
        self._young: dict[str, tuple[float, float]] = {}
        self._old: dict[str, tuple[float, float]] = {}
        self._proven: dict[bytes, None] = {}
        self._proven_before: dict[bytes, None] = {}
        self.limit(Limits())

    def limit(self, limits: Limits) -> None:
        """Hold to these limits from now on; 0 of `failed_attempts` blocks nobody."""
        self._most = limits.failed_attempts
        self._interval_s = 60.0 / limits.failed_attempts_per_minute
        if not self._most:
            self.blocked.clear()
            self._young, self._old = {}, {}

    def failed(self, peer: str) -> None:
        """A credential that came from here was refused."""
        if not self._most:
            return
        address, now_s = network_of(peer), self._clock.monotonic_s()
        level = min(float(self._most), self._level(address, now_s) + 1.0)
        if len(self._young) >= _GENERATION and address not in self._young:
            for forgotten in self._old.keys() - self._young.keys():
                self.blocked.pop(forgotten, None)
            self._young, self._old = {}, self._young
        self._young[address] = (level, now_s)
        if level > self._most - 1:
            self.blocked[address] = now_s + self._interval_s

    def note(self, request: Request, refusal: JotgateError) -> None:
        """A request of nobody known was refused: it counts if it carried a token that may have been guessed."""
        if isinstance(refusal, TokenError) and not isinstance(refusal, _NO_GUESS):
            self.failed(request.peer)

    def require(self, request: Request, world: World | None) -> None:
        """Let a request go on whose token is known to be good, or that has none; else it depends on its address.

        Raises:
            AttemptsThrottled: the address is blocked.
        """
        if network_of(request.peer) not in self.blocked or world is None or _is_known(request, world):
            return
        self._require(request.peer)

    def require_client(self, request: Request) -> None:
        """The same for what control is asked, whose body is there: known good is what a client has proved itself by.

        Raises:
            AttemptsThrottled: the address is blocked.
        """
        if network_of(request.peer) not in self.blocked:
            return
        credential = _credential(request)
        if credential not in self._proven and credential not in self._proven_before:
            self._require(request.peer)

    def answered(self, request: Request, status: int, body: bytes) -> None:
        """Control has answered a client, by a form or in JSON: learn whether what it carried was good.

        Whoever proves nothing may still guess grants.
        """
        if status < _REFUSED:
            self._prove(_credential(request))
        elif status == _UNAUTHENTICATED:
            credential = _credential(request)
            self._proven.pop(credential, None)
            self._proven_before.pop(credential, None)
            self.failed(request.peer)
        elif status == _REFUSED and _INVALID_GRANT in body and not _credential(request):
            self.failed(request.peer)

    def passed(self, request: Request, status: int) -> None:
        """Control has answered another request."""
        if status == _UNAUTHENTICATED and b"authorization" in request.headers:
            self.failed(request.peer)

    def _require(self, peer: str) -> None:
        address, now_s = network_of(peer), self._clock.monotonic_s()
        wait_s = self.blocked[address] - now_s
        if wait_s > 0:
            raise AttemptsThrottled(
                "too many credentials that were refused came from this address", retry_after_s=ceil(wait_s)
            )
        if self._level(address, now_s) <= self._most / 2:
            del self.blocked[address]
        else:
            self.blocked[address] = now_s + self._interval_s  # This one is looked at, and the next one only then.

    def _level(self, address: str, now_s: float) -> float:
        level, at_s = self._young.get(address) or self._old.get(address) or (0.0, now_s)
        return max(0.0, level - (now_s - at_s) / self._interval_s)

    def _prove(self, credential: bytes) -> None:
        if not credential or credential in self._proven:
            return
        if len(self._proven) >= _CREDENTIALS:
            self._proven, self._proven_before = {}, self._proven
        self._proven[credential] = None


@lru_cache(maxsize=4_096)
def network_of(peer: str) -> str:
    """What an address counts as: an IPv4 address as itself, also where IPv6 carries it; an IPv6 address as its /64."""
    if ":" not in peer:
        return peer
    try:
        address = IPv6Address(peer.partition("%")[0])
    except AddressValueError:
        return peer
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


def _is_known(request: Request, world: World) -> bool:
    """Whether a request's token was found good before; one that is refused for where it stands is not looked at.

    Of a ticket nobody can know.
    """
    try:
        world = world.of(request.face)
        token = find_token(request, world.credentials)
    except (TicketRefused, TicketUnredeemed):
        return request.redemption is not None
    except JotgateError:
        return True
    return world.verifier.knows(token) or (world.takes_personal and world.personal.knows(token))


def _credential(request: Request) -> bytes:
    """A digest of what a client proves itself by, of the kinds that stay the same; empty: of none."""
    shown = request.headers.get(b"authorization")
    if shown is None:
        shown = _secret_of(request.body)
    return sha256(shown).digest() if shown else b""


def _secret_of(body: bytes) -> bytes:
    """The secret of a client in a form, or among the members of an object; empty: there is none."""
    if not body.startswith(b"{"):
        found = _CLIENT_SECRET.search(body)
        return b"" if found is None else found[1]
    try:
        return _decode_shown(body).client_secret.encode("utf-8", "replace")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return b""
