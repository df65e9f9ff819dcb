"""E04, F19: the streams of a personal token end with it, with its owner and with the owner's tenant."""

from hashlib import sha256

import pytest

from jotgate.core.accounts import AccountChange
from jotgate.core.opaque import Mark, make_opaque
from jotgate.core.personal_tokens import AccountNews, PersonalFinding
from jotgate.gateway.cuts import PATIENCE_S, QUESTIONS_MAX
from jotgate.gateway.relay import Relay
from jotgate.testing.ports import at_once
from tests.callers import request
from tests.cutting import EVENT, TICK_S, Streams, token_name, told
from tests.personal import GOOD, finding


class Personal(Streams):
    """A running stream of the personal token GOOD, with a control that is asked about tokens."""

    def __init__(self, found: PersonalFinding | None = None) -> None:
        super().__init__()
        self.asked: list[bytes] = []
        self.gateway.find_tokens_by(self.asked.append, at_once)
        self.learn(found or finding())
        self.caller, running = self.ask(request(b'{"model":"a","stream":true}', authorization=b"Bearer " + GOOD))
        assert isinstance(running, Relay)
        self.one.last.stream(EVENT)
        self.wait(TICK_S)

    def learn(self, found: PersonalFinding) -> None:
        digest = sha256(GOOD).digest()
        self.world.personal.learn(digest, found, self.clock.now_s())
        self.gateway.cuts.answered(digest)

    def change(self, *changes: AccountChange, everything: bool = False) -> None:
        """Control tells which accounts have changed."""
        news = AccountNews(2, changes, everything)
        self.world.personal.forget(news)
        self.gateway.cuts.accounts_changed(news)


ABOUT_ITS_OWNER = AccountChange("principal", "alice", 2)


def test_a_personal_token_that_is_revoked_or_expires_cuts_its_streams() -> None:
    ending = Personal(finding(until_s=1_800_000_005))
    ending.wait(4)
    assert ending.caller.state == "begun"
    ending.wait(1)
    assert told(ending.caller)["code"] == "token_unknown", "another secret stands for it"
    revoked = Personal()
    revoked.revoke(token_name("t-1"))
    assert told(revoked.caller)["code"] == "token_revoked"
    assert revoked.trail.only.token == "t-1"


@pytest.mark.parametrize("kind", ["personal_token", "principal", "tenant", ""])
def test_what_an_account_rests_on_changes_and_control_says_that_it_counts_no_more(kind: str) -> None:
    one = Personal()
    names = {"personal_token": "t-1", "principal": "alice", "tenant": "default"}
    if kind:
        one.change(AccountChange(kind, names[kind], 2))  # type: ignore[arg-type] # one of its words
    else:
        one.change(everything=True)
    assert (one.caller.state, one.asked) == ("begun", [sha256(GOOD).digest()])
    one.learn(PersonalFinding(version=2, reason="disabled", token_id="t-1"))
    one.wait(TICK_S)
    assert told(one.caller)["code"] == "token_revoked"
    assert one.trail.only.outcome == "cut"


def test_a_change_of_something_else_asks_nothing() -> None:
    one = Personal()
    for kind, name in (("principal", "bob"), ("tenant", "acme"), ("client", "alice"), ("personal_token", "t-2")):
        one.change(AccountChange(kind, name, 2))  # type: ignore[arg-type] # one of its words
    one.wait(TICK_S)
    assert (one.caller.state, one.asked) == ("begun", [])


def test_a_change_that_does_it_no_harm_lets_the_stream_go_on_and_the_next_is_asked_of_too() -> None:
    one = Personal()
    for _ in range(2):
        one.change(ABOUT_ITS_OWNER)
        one.learn(finding(until_s=1_800_000_005))
        one.wait(TICK_S)
        assert one.caller.state == "begun"
    assert len(one.asked) == 2
    one.wait(5)
    assert told(one.caller)["code"] == "token_unknown"


def test_control_is_asked_again_when_it_does_not_answer_and_nothing_is_cut_meanwhile() -> None:
    one = Personal()
    one.change(ABOUT_ITS_OWNER)
    for _ in range(int(PATIENCE_S / TICK_S)):
        assert len(one.asked) == 1
        one.wait(TICK_S)
    one.wait(TICK_S)
    assert (one.caller.state, len(one.asked)) == ("begun", 2)


def test_looking_again_is_no_use_of_the_token() -> None:
    one = Personal()
    one.world.personal.take_uses()
    one.change(ABOUT_ITS_OWNER)
    one.learn(finding())
    one.wait(TICK_S)
    assert one.world.personal.take_uses() == []


def test_control_is_asked_of_so_many_tokens_at_once_and_of_the_others_when_it_has_answered() -> None:
    one = Personal()
    secrets = [make_opaque(Mark.PERSONAL, b"x" * 30 + number.to_bytes(2, "big")) for number in range(QUESTIONS_MAX)]
    for secret in secrets:
        text = secret.reveal().encode()
        one.world.personal.learn(sha256(text).digest(), finding(), one.clock.now_s())
        one.ask(request(b'{"model":"a","stream":true}', authorization=b"Bearer " + text))
    one.wait(TICK_S)
    one.change(ABOUT_ITS_OWNER)
    assert len(set(one.asked)) == len(one.asked) == QUESTIONS_MAX
    for digest in tuple(one.asked):
        one.world.personal.learn(digest, PersonalFinding(version=2), one.clock.now_s())
        one.gateway.cuts.answered(digest)
    one.wait(TICK_S)
    assert (len(one.asked), len(one.gateway.live)) == (QUESTIONS_MAX + 1, 1)
