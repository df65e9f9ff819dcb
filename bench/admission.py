"""What policies cost on the warm path: admitting a call with a known token, under a thousand of them and under none."""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from bench.summary import Summary, summarise
from jotgate.core.calls import Request
from jotgate.core.claims import ACCESS_TOKEN_TYPE
from jotgate.core.issuers import OURS, Issuer
from jotgate.core.operations import find_operation
from jotgate.core.policy_values import UTC_NAME, Policy, PolicySet, Window
from jotgate.core.routes import Attempt, Route
from jotgate.core.snapshot import Limits, Snapshot
from jotgate.gateway.admission import admit, authenticate
from jotgate.gateway.world import World, build_world
from jotgate.jose import jwt
from jotgate.jose.keys import KeySet, SigningKey, generate
from jotgate.services.policy_decisions import build_desk

NONE: Final = "a call admitted, no policy"
MANY: Final = "a call admitted, 1,000 policies"
PLACED: Final = "a call admitted, 1,000 policies, one of which looks at the address"
CIRCUMSTANTIAL: Final = (
    "a call admitted, 1,000 policies, each of which looks at the address, the time or the token's age"
)
FIRST: Final = "a call admitted, 1,000 policies that have not met its token yet"
WAYS: Final = (NONE, MANY, PLACED, CIRCUMSTANTIAL, FIRST)

POLICIES: Final = 1_000
_NAME: Final = "https://gateway.example"
_MODEL: Final = "gpt-4o-mini"
_LIFETIME_S: Final = 86_400
_CHAT: Final = find_operation(b"POST", b"/v1/chat/completions")
_BODY: Final = b'{"model":"%b","messages":[{"role":"user","content":"%b"}]}' % (_MODEL.encode(), b"x" * 400)
_OTHERS: Final = ("subjects", "clients", "tenants", "roles", "issuers", "actors", "models", "routes")
"""What the policies are about: others than those who call. Each tenth is about all whose name begins so."""
_ORDERS: Final = 2
_DAYS: Final = 7
_DAYS_ON: Final = 3  # so far from today that no window of that day is open


@dataclass(frozen=True, slots=True)
class Admissions:
    """CPU time in microseconds a call, one figure a round for each way."""

    us: dict[str, list[float]]

    def over_none(self, way: str) -> Summary | None:
        """The cost of a way over that without policies, round by round."""
        return summarise([mine / none for mine, none in zip(self.us[way], self.us[NONE], strict=True)])

    def summaries(self) -> dict[str, Summary | None]:
        """The figures that gates stand on."""
        return {"policies_over_none": self.over_none(MANY), "policies_first_look": self.over_none(FIRST)}


def measure_admission(rounds: int, calls: int) -> Admissions:
    """Admit so many calls, each with a token of its own that was verified before, in each of the rounds and ways."""
    key = generate("ES256")
    now_s = time.time()
    tokens = [_token(key, number, int(now_s)) for number in range(calls)]
    worlds = {NONE: _world(key, calls, ()), MANY: _world(key, calls, _policies())}
    network = Policy(name="network", effect="deny", addresses=tuple(f"10.{number}.0.0/16" for number in range(100)))
    worlds[PLACED] = _world(key, calls, (network, *_policies()[1:]))
    worlds[CIRCUMSTANTIAL] = _world(key, calls, _circumstantial(now_s))
    worlds[FIRST] = _world(key, calls, _policies())
    ways = {name: _admitting(world, tokens, now_s) for name, world in worlds.items()}
    us: dict[str, list[float]] = {name: [] for name in WAYS}
    for work in ways.values():
        work()
    for number in range(rounds):
        # The tokens are known, and what policies say of them is not: as after a change of policies.
        ways[FIRST] = _admitting(_forgetting(worlds[FIRST]), tokens, now_s)
        for name in reversed(WAYS) if number % _ORDERS else WAYS:
            us[name].append(_cpu_us(ways[name]) / calls)
    return Admissions(us)


def _forgetting(world: World) -> World:
    """The same, whose policies have decided nothing yet."""
    return replace(
        world, desk=build_desk(world.snapshot.policies, frozenset(world.routes), world.limits.verified_tokens)
    )


def _policies() -> tuple[Policy, ...]:
    """So many that are about others, and one behind them that allows the rest."""
    found = []
    for number in range(POLICIES - 1):
        pattern = f"other-{number}" + "*" * (number % 10 == 0)
        plain = Policy(name=f"p{number}", effect="deny" if number % 2 else "allow")
        found.append(replace(plain, **{_OTHERS[number % len(_OTHERS)]: (pattern,)}))
    return (*found, Policy(name="rest", effect="allow"))


def _circumstantial(now_s: float) -> tuple[Policy, ...]:
    """So many that each deny what comes from elsewhere, at another time, or with an older token; the rest goes on."""
    day = (time.gmtime(now_s).tm_wday + _DAYS_ON) % _DAYS
    found = []
    for number in range(POLICIES - 1):
        network = (f"10.{number // 256}.{number % 256}.0/24",)
        window = (Window((day,), number, number + 1, UTC_NAME),)
        kinds: tuple[dict[str, object], ...] = (
            {"addresses": network},
            {"times": window},
            {"older_s": _LIFETIME_S + number},
        )
        found.append(replace(Policy(name=f"p{number}", effect="deny"), **kinds[number % len(kinds)]))
    return (*found, Policy(name="rest", effect="allow"))


def _world(key: SigningKey, calls: int, policies: tuple[Policy, ...]) -> World:
    own = Issuer(
        name=OURS,
        issuer=_NAME,
        audiences=(_NAME,),
        algorithms=("ES256",),
        types=(ACCESS_TOKEN_TYPE,),
        jwks=KeySet([key.verification_key]).to_jwks(),
    )
    snapshot = Snapshot(
        version=1,
        issuers=(own,),
        upstreams=(),
        routes=(Route(_MODEL, (Attempt("one", _MODEL),)),),
        limits=Limits(verified_tokens=max(2, 2 * calls)),
        policies=PolicySet(policies),
    )
    return build_world(snapshot, {}, None)


def _token(key: SigningKey, number: int, now_s: int) -> bytes:
    claims: dict[str, object] = {
        "iss": _NAME,
        "sub": f"user-{number}",
        "aud": _NAME,
        "exp": now_s + _LIFETIME_S,
        "iat": now_s,
        "jti": f"{number:022d}",
        "client_id": "bench",
        "scope": "ai",
        "models": [_MODEL, "gpt-4o"],
    }
    return jwt.sign(claims, ACCESS_TOKEN_TYPE, key)


def _admitting(world: World, tokens: Sequence[bytes], now_s: float) -> Callable[[], None]:
    """What is done between the head of a call and its upstream."""

    def admit_all() -> None:
        for token in tokens:
            fields = {b"authorization": b"Bearer " + token}
            request = Request(_CHAT.method, _CHAT.path, b"", fields, "192.0.2.1", 0.0, _BODY)
            admit(request, _CHAT, authenticate(request, _CHAT, world, now_s), world, now_s)

    return admit_all


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
