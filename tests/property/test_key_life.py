"""The life of keys under any sequence of steps and times: one key signs, and what was signed is verified to its end."""

from collections.abc import Sequence

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from jotgate.core import key_life
from jotgate.core.durable import KeyRecord, KeyRing, KeyState
from jotgate.core.key_life import KeyRules
from jotgate.errors import CommandError

_ORDER = [KeyState.PENDING, KeyState.ACTIVE, KeyState.RETIRED, KeyState.GONE]
_RULES = KeyRules("ES256", rotate_after_s=10_000, publish_ahead_s=100)


class Keys(RuleBasedStateMachine):
    """Keys of one installation, with the tokens that were signed: (kid, end)."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1_800_000_000
        self.made = 0
        self.tokens: list[tuple[str, int]] = []
        first = replace(self.new(), state=KeyState.ACTIVE, activated_at_s=self.now_s)
        self.ring = KeyRing(1, (first,))

    def new(self) -> KeyRecord:
        self.made += 1
        kid = f"k{self.made}"
        jwk = msgspec.json.encode({"kid": kid})
        return KeyRecord(kid, "ES256", jwk, b"sealed", KeyState.PENDING, self.now_s)

    def put(self, changed: Sequence[KeyRecord]) -> None:
        keys = {key.kid: key for key in self.ring.keys}
        for key in changed:
            before = keys.get(key.kid)
            if before is not None and before.state in _ORDER and key.state in _ORDER:
                assert _ORDER.index(before.state) <= _ORDER.index(key.state), "a life goes one way"
            assert before is None or before.state is not KeyState.COMPROMISED, "nothing follows that"
            keys[key.kid] = key
        self.ring = KeyRing(self.ring.version + 1, tuple(keys.values()))

    def some(self, place: int) -> str:
        return self.ring.keys[place % len(self.ring.keys)].kid

    def do(self, decide: object, place: int) -> None:
        try:
            self.put(decide(self.ring, self.some(place), self.now_s))  # type: ignore[operator]
        except CommandError:
            pass

    @rule(span_s=st.integers(0, 20_000))
    def wait(self, span_s: int) -> None:
        self.now_s += span_s

    @rule(life_s=st.integers(1, 20_000))
    def sign(self, life_s: int) -> None:
        key = key_life.signer(self.ring.keys, self.now_s)
        if key is None:
            return
        later = key_life.horizon(key, self.now_s + life_s)
        self.put([] if later is None else [later])
        self.tokens.append((key.kid, self.now_s + life_s))

    @rule(ahead_s=st.integers(0, 200))
    def make(self, ahead_s: int) -> None:
        self.put([replace(self.new(), signs_from_s=self.now_s + ahead_s)])

    @rule(place=st.integers(0, 50))
    def activate(self, place: int) -> None:
        self.do(key_life.activate, place)

    @rule(place=st.integers(0, 50))
    def retire(self, place: int) -> None:
        self.do(key_life.retire, place)

    @rule(place=st.integers(0, 50))
    def revoke(self, place: int) -> None:
        kid = self.some(place)
        signs = key_life.find(self.ring, kid).state is KeyState.ACTIVE
        new = replace(self.new(), state=KeyState.ACTIVE, activated_at_s=self.now_s)
        try:
            self.put([*key_life.revoke(self.ring, kid, self.now_s), *([new] if signs else [])])
        except CommandError:
            pass

    @rule()
    def bury(self) -> None:
        self.put(key_life.bury(self.ring, self.now_s))

    @rule()
    @precondition(lambda self: key_life.next_signer_at_s(self.ring, _RULES, self.now_s) is not None)
    def plan(self) -> None:
        at_s = key_life.next_signer_at_s(self.ring, _RULES, self.now_s)
        assert at_s is not None
        assert at_s >= self.now_s + _RULES.publish_ahead_s, "others get the time to learn of it"
        self.put([replace(self.new(), signs_from_s=at_s)])
        assert key_life.next_signer_at_s(self.ring, _RULES, self.now_s) is None, "one is enough"

    @rule()
    def take_what_is_due(self) -> None:
        key = key_life.due(self.ring, self.now_s)
        if key is not None:
            self.put(key_life.activate(self.ring, key.kid, self.now_s))
            assert key_life.due(self.ring, self.now_s) is None, "none that is older comes after it"

    @invariant()
    def one_key_signs(self) -> None:
        active = [key for key in self.ring.keys if key.state is KeyState.ACTIVE]
        assert len(active) == 1
        assert key_life.signer(self.ring.keys, self.now_s) == active[0]
        assert key_life.is_published(active[0], self.now_s)

    @invariant()
    def what_was_signed_is_verified_to_its_end_unless_its_key_was_revoked(self) -> None:
        own = key_life.own_keys(self.ring, self.now_s)
        kids = {entry["kid"] for entry in msgspec.json.decode(own.jwks)["keys"]}
        for kid, end_s in self.tokens:
            if key_life.find(self.ring, kid).state is KeyState.COMPROMISED:
                assert kid not in kids
            elif self.now_s < end_s + 60:
                assert kid in kids
                assert own.ends.get(kid, end_s + 60) >= end_s + 60

    @invariant()
    def what_is_published_has_not_ended(self) -> None:
        own = key_life.own_keys(self.ring, self.now_s)
        assert all(end_s > self.now_s for end_s in own.ends.values())
        for key in self.ring.keys:
            if key.state in (KeyState.GONE, KeyState.COMPROMISED):
                assert key.sealed is None
                assert f'"{key.kid}"'.encode() not in own.jwks


TestKeys = Keys.TestCase
