"""What a worker holds to tell upstreams who calls: asked for once, kept for a while, and nothing passes without."""

from typing import Final

import pytest
from msgspec.structs import replace

from jotgate.core.decisions import Asked, DecisionRules, PathRule
from jotgate.core.identity_tokens import Identity, IdentityRules
from jotgate.core.values import Secret
from jotgate.gateway.decisions import DecisionDesk
from jotgate.gateway.identities import PATIENCE_S, Identities
from jotgate.gateway.world import build_world
from jotgate.ports import Running
from jotgate.testing.ports import RecordingCaller, at_once
from tests.callers import NOW_S
from tests.stages import Stage

AUDIENCE: Final = "https://orders.example"
RULES: Final = DecisionRules(
    proxies=("127.0.0.1/32",),
    paths=(PathRule(name="all", scopes=("ai",)), PathRule(name="open", path="/open", public=True)),
    identity=IdentityRules(AUDIENCE, 60),
)


class Desk:
    """A worker that is asked for decisions; `asked` is what control was asked for, in order."""

    def __init__(self, rules: DecisionRules = RULES) -> None:
        self.stage = Stage()
        self.asked: list[tuple[bytes, Secret]] = []
        self.identities: Identities = self.stage.gateway.tell_identities_by(
            lambda digest, shown: self.asked.append((digest, shown)), at_once
        )
        self.enter(rules)

    def enter(self, rules: DecisionRules, jwks: bytes | None = None) -> None:
        """Go on by these rules, and with these keys of ours, if any are given."""
        before = self.stage.world
        ours = before.snapshot.issuers[0]
        issuers = before.snapshot.issuers if jwks is None else (replace(ours, jwks=jwks),)
        snapshot = replace(before.snapshot, decisions=rules, issuers=issuers)
        self.stage.world = build_world(snapshot, before.places, before)
        self.stage.gateway.swap(self.stage.world)
        self.desk = DecisionDesk(self.stage.gateway, rules)

    def ask(self, token: bytes | None = None, path: bytes = b"/orders") -> tuple[RecordingCaller, Running | None]:
        """A proxy asks about a request with a token; by default always the same one."""
        shown = self.stage.issuer.token() if token is None else token
        headers = {b"authorization": b"Bearer " + shown, b"x-jot-identity": b"spoofed"}
        asked = Asked(method=b"GET", path=path, query=b"", headers=headers, address="192.0.2.7")
        caller = RecordingCaller()
        return caller, self.desk.ask(asked, self.stage.clock.monotonic_s())(caller)

    def answer(self, token: str = "a.b.c", *, until_s: float = NOW_S + 45, audience: str = AUDIENCE) -> None:
        """Control answers the last question."""
        self.identities.answered(self.asked[-1][0], Identity(Secret(token), audience, until_s))


TOKEN: Final = Stage().issuer.token()


def test_the_first_request_of_a_token_waits_and_the_others_do_not() -> None:
    desk = Desk()
    caller, running = desk.ask(TOKEN)
    assert (caller.state, running is not None) == ("waiting", True)
    assert [shown.reveal().encode() for _, shown in desk.asked] == [TOKEN]
    desk.answer()
    assert (caller.status, caller.headers["x-jot-identity"]) == (200, "a.b.c")
    again, running = desk.ask(TOKEN)
    assert (again.status, again.headers["x-jot-identity"], running) == (200, "a.b.c", None)
    assert len(desk.asked) == 1


def test_those_who_wait_for_one_token_ask_once() -> None:
    desk = Desk()
    callers = [desk.ask(TOKEN)[0] for _ in range(3)]
    assert len(desk.asked) == 1
    desk.answer()
    assert [one.status for one in callers] == [200, 200, 200]


def test_each_token_has_its_own() -> None:
    desk = Desk()
    first, _ = desk.ask(TOKEN)
    desk.answer("one")
    other = desk.stage.issuer.with_claims(sub="bob", jti="other")
    second, _ = desk.ask(other)
    desk.answer("two")
    assert (first.headers["x-jot-identity"], second.headers["x-jot-identity"]) == ("one", "two")


def test_another_token_with_the_same_jti_is_told_of_by_its_own() -> None:
    desk = Desk()
    desk.ask(TOKEN)
    desk.answer("one")
    claims = desk.stage.issuer.claims()
    other, _ = desk.ask(desk.stage.issuer.with_claims(sub="mallory", jti=claims["jti"]))
    assert other.state == "waiting"
    desk.answer("two")
    assert other.headers["x-jot-identity"] == "two"


def test_it_is_asked_for_again_shortly_before_its_end() -> None:
    desk = Desk()
    desk.ask(TOKEN)
    desk.answer()
    desk.stage.clock.advance(44)
    assert desk.ask(TOKEN)[0].status == 200
    desk.stage.clock.advance(1)
    caller, _ = desk.ask(TOKEN)
    assert (caller.state, len(desk.asked)) == ("waiting", 2)
    desk.answer("new", until_s=NOW_S + 90)
    assert caller.headers["x-jot-identity"] == "new"


def test_nothing_passes_while_nobody_can_sign() -> None:
    """Control says no, or says nothing in time."""
    desk = Desk()
    caller, _ = desk.ask(TOKEN)
    desk.identities.answered(desk.asked[-1][0], None)
    assert caller.status == 503
    assert b"control_unreachable" in caller.body
    late, _ = desk.ask(TOKEN)
    desk.stage.clock.advance(PATIENCE_S)
    desk.stage.gateway.check_deadlines()
    assert (late.status, len(desk.identities)) == (503, 0)


def test_control_that_was_started_again_is_asked_again() -> None:
    desk = Desk()
    caller, _ = desk.ask(TOKEN)
    desk.identities.ask_again()
    assert desk.asked[0] == desk.asked[1]
    desk.answer()
    assert caller.status == 200


def test_one_that_has_ended_when_it_comes_is_asked_for_once_more_and_no_oftener() -> None:
    desk = Desk()
    caller, _ = desk.ask(TOKEN)
    desk.answer(until_s=NOW_S)
    assert (caller.state, len(desk.asked)) == ("waiting", 2)
    desk.answer(until_s=NOW_S)
    assert (caller.status, len(desk.asked)) == (503, 2)


def test_a_refused_token_is_refused_for_what_it_is_and_asks_nobody() -> None:
    desk = Desk()
    caller, _ = desk.ask(b"x" + TOKEN)
    assert (caller.status, desk.asked) == (401, [])


def test_who_needs_no_token_is_not_told_of_and_where_it_is_off_nobody_is() -> None:
    desk = Desk()
    caller, _ = desk.ask(TOKEN, b"/open")
    assert (caller.status, caller.headers["x-jot-identity"], desk.asked) == (200, "", [])
    off = Desk(replace(RULES, identity=None))
    caller, _ = off.ask(TOKEN)
    assert (caller.status, caller.headers["x-jot-identity"], off.asked) == (200, "", [])


@pytest.mark.parametrize("what", ["audience", "keys"])
def test_another_audience_and_other_keys_need_new_ones(what: str) -> None:
    desk = Desk()
    desk.ask(TOKEN)
    desk.answer()
    if what == "audience":
        desk.enter(replace(RULES, identity=IdentityRules("https://else.example", 60)))
    else:
        ours = desk.stage.world.snapshot.issuers[0]
        assert ours.jwks is not None
        desk.enter(RULES, ours.jwks + b" ")
    assert desk.ask(TOKEN)[0].state == "waiting"


def test_what_is_held_is_bounded_and_the_newest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jotgate.gateway.identities.HELD_MAX", 4)
    desk = Desk()
    tokens = [desk.stage.issuer.with_claims(jti=f"t-{index}") for index in range(9)]
    for token in tokens:
        desk.ask(token)
        desk.answer()
    assert desk.ask(tokens[-1])[0].status == 200
    assert desk.ask(tokens[0])[0].state == "waiting"
