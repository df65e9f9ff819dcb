"""Refused credentials are not looked at for ever: by address, and never at the expense of what is known to be good."""

import json
from hashlib import sha256

import pytest
from msgspec.structs import replace

from jotgate.core.calls import Request
from jotgate.core.snapshot import Limits
from jotgate.errors import AttemptsThrottled
from jotgate.gateway.throttle import ADDRESSES_MAX, FailedAttempts, network_of
from jotgate.gateway.world import build_world
from jotgate.testing.ports import ManualClock, RecordingCaller
from tests.callers import request
from tests.personal import GOOD, finding
from tests.stages import Stage

THREE = Limits(failed_attempts=3, failed_attempts_per_minute=6)
"""Three failures fill the bucket, and one leaks out each ten seconds."""
FLOOD = "203.0.113.7"
OTHER = "203.0.113.8"


class Gate(Stage):
    """A stage that lets an address fail three times."""

    def __init__(self) -> None:
        super().__init__(THREE)

    def send(self, authorization: bytes | None, peer: str = FLOOD) -> RecordingCaller:
        """Ask for the models from an address."""
        fields = {} if authorization is None else {"authorization": authorization}
        asked = request(method=b"GET", path=b"/v1/models", **fields)
        asked.peer = peer
        return self.ask(asked)[0]

    def good(self, **claims: object) -> bytes:
        return b"Bearer " + self.issuer.token(**claims)

    def statuses(self, authorization: bytes | None, times: int, peer: str = FLOOD) -> list[int]:
        return [self.send(authorization, peer).status for _ in range(times)]


@pytest.fixture
def gate() -> Gate:
    return Gate()


def client_of(**fields: bytes) -> Request:
    """A form of a client at the address of the flood."""
    asked = request(fields.pop("body", b""), path=b"/oauth/token", **fields)
    asked.peer = FLOOD
    return asked


def test_after_so_many_failures_an_address_has_no_more_of_them_looked_at(gate: Gate) -> None:
    assert gate.statuses(b"Bearer x", 5) == [401, 401, 401, 429, 429]
    caller = gate.send(b"Bearer y")
    error = json.loads(caller.body)["error"]
    assert (error["code"], error["type"], caller.headers["retry-after"]) == (
        "attempts_throttled",
        "rate_limit_error",
        "10",
    )
    assert gate.trail.records[-1].code == "attempts_throttled"


def test_another_address_is_not_met_by_it(gate: Gate) -> None:
    gate.statuses(b"Bearer x", 50)
    assert gate.send(gate.good(), OTHER).status == 200
    assert gate.statuses(b"Bearer x", 4, OTHER) == [401, 401, 401, 429]


def test_a_token_that_is_known_to_be_good_is_never_met_by_it(gate: Gate) -> None:
    known, new = gate.good(), gate.good(sub="bob")
    assert gate.send(known).status == 200
    gate.statuses(b"Bearer x", 50)
    assert gate.statuses(known, 20) == [200] * 20
    assert gate.send(new).status == 429, "this one might be anything"


def test_a_known_token_is_known_when_its_issuer_has_got_another_key_beside(gate: Gate) -> None:
    """It is verified anew then, which must not be held up."""
    known = gate.good()
    assert gate.send(known).status == 200
    (issuer,) = gate.world.snapshot.issuers
    snapshot = replace(gate.world.snapshot, version=8, issuers=(replace(issuer, leeway_s=issuer.leeway_s + 1),))
    gate.gateway.swap(build_world(snapshot, gate.world.places, gate.world))
    gate.statuses(b"Bearer x", 50)
    assert gate.send(known).status == 200


def test_a_personal_token_that_is_known_to_be_good_is_never_met_by_it(gate: Gate) -> None:
    personal = gate.world.personal
    personal.version = 1
    personal.learn(sha256(GOOD).digest(), finding(), gate.clock.now_s())
    gate.statuses(b"Bearer x", 50)
    assert gate.send(b"Bearer " + GOOD).status == 200


def test_a_known_token_that_is_revoked_or_ends_is_still_refused_for_that(gate: Gate) -> None:
    known = gate.good()
    gate.send(known)
    gate.statuses(b"Bearer x", 50)
    gate.wait(3_600)
    gate.statuses(b"Bearer x", 50)
    caller = gate.send(known)
    assert json.loads(caller.body)["error"]["code"] == "token_expired"


def test_one_attempt_is_looked_at_for_each_that_leaks_out(gate: Gate) -> None:
    assert gate.statuses(b"Bearer x", 4) == [401, 401, 401, 429]
    gate.wait(10)
    assert gate.statuses(b"Bearer x", 3) == [401, 429, 429]
    gate.wait(10)
    assert gate.send(gate.good()).status == 200
    assert gate.send(gate.good(sub="bob")).status == 429


def test_when_half_has_leaked_out_an_address_is_as_any_other(gate: Gate) -> None:
    gate.statuses(b"Bearer x", 4)
    gate.wait(20)
    assert [gate.send(gate.good(sub=name)).status for name in ("a", "b", "c")] == [200, 200, 200]
    assert gate.gateway.attempts.blocked == {}


@pytest.mark.parametrize("kind", ["missing", "expired", "immature"])
def test_what_nobody_has_guessed_does_not_count(gate: Gate, kind: str) -> None:
    """A fleet whose token has expired gets a new one, and that must not be held up."""
    now_s = int(gate.clock.now_s())
    token = {
        "missing": None,
        "expired": gate.good(exp=now_s - 100, iat=now_s - 200),
        "immature": gate.good(nbf=now_s + 100),
    }[kind]
    assert gate.statuses(token, 20) == [401] * 20
    assert gate.send(gate.good()).status == 200


def test_a_request_without_a_token_is_told_that_it_has_none(gate: Gate) -> None:
    gate.statuses(b"Bearer x", 5)
    assert json.loads(gate.send(None).body)["error"]["code"] == "token_missing"


def test_nought_blocks_nobody() -> None:
    stage = Gate()
    stage.gateway.attempts.limit(Limits(failed_attempts=0))
    assert stage.statuses(b"Bearer x", 1_000) == [401] * 1_000


def test_nought_lets_go_who_is_blocked(gate: Gate) -> None:
    gate.statuses(b"Bearer x", 4)
    gate.gateway.attempts.limit(Limits(failed_attempts=0))
    assert gate.send(gate.good()).status == 200


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", ""),
        ("no:address", "no:address"),
    ],
)
def test_an_address_counts_with_its_network(peer: str, network: str) -> None:
    assert network_of(peer) == network


def test_the_addresses_of_one_customer_count_together(gate: Gate) -> None:
    for count in range(3):
        gate.send(b"Bearer x", f"2001:db8:1:2::{count}")
    assert gate.send(b"Bearer x", "2001:db8:1:2:ffff::1").status == 429
    assert gate.send(b"Bearer x", "2001:db8:1:3::1").status == 401


def test_so_many_addresses_are_remembered_and_no_more() -> None:
    attempts = FailedAttempts(ManualClock())
    attempts.limit(Limits(failed_attempts=1))
    for count in range(3 * ADDRESSES_MAX):
        attempts.failed(f"10.{count >> 16}.{count >> 8 & 255}.{count & 255}")
    assert ADDRESSES_MAX / 2 <= len(attempts.blocked) <= ADDRESSES_MAX


def test_who_goes_on_failing_is_not_forgotten_for_others() -> None:
    attempts = FailedAttempts(ManualClock())
    attempts.limit(Limits(failed_attempts=2, failed_attempts_per_minute=1))
    for count in range(3 * ADDRESSES_MAX):
        attempts.failed(f"10.{count >> 16}.{count >> 8 & 255}.{count & 255}")
        if not count % 1_000:
            attempts.failed(FLOOD)
    assert FLOOD in attempts.blocked


@pytest.mark.parametrize(
    "shown",
    [
        {"authorization": b"Basic YTpi"},
        {"body": b"grant_type=client_credentials&client_id=a&client_secret=b"},
        {"body": b'{"sub": "u", "client_id": "a", "client_secret": "b"}'},
    ],
)
def test_a_client_that_has_proved_itself_is_not_met_by_a_flood_of_others(shown: dict[str, bytes]) -> None:
    attempts = FailedAttempts(ManualClock())
    attempts.limit(THREE)
    good = client_of(**shown)
    attempts.answered(good, 200, b"{}")
    for count in range(5):
        attempts.answered(client_of(authorization=b"Basic %d" % count), 401, b"{}")
    attempts.require_client(good)
    with pytest.raises(AttemptsThrottled):
        attempts.require_client(client_of(authorization=b"Basic other"))


@pytest.mark.parametrize(
    "body", [b"{", b"{}", b'{"client_secret":7}', b'{"client_secret":""}', b'{"client_secret":"\\ud800"}', b"{\xff"]
)
def test_a_body_without_a_secret_proves_nothing(body: bytes) -> None:
    attempts = FailedAttempts(ManualClock())
    attempts.limit(THREE)
    attempts.answered(client_of(body=body), 200, b"{}")
    for _ in range(3):
        attempts.failed(FLOOD)
    with pytest.raises(AttemptsThrottled):
        attempts.require_client(client_of(body=body))


def test_a_secret_that_is_refused_is_known_no_more() -> None:
    attempts = FailedAttempts(ManualClock())
    attempts.limit(THREE)
    one = client_of(authorization=b"Basic YTpi")
    attempts.answered(one, 200, b"{}")
    for _ in range(3):
        attempts.answered(one, 401, b"{}")
    with pytest.raises(AttemptsThrottled):
        attempts.require_client(one)


def test_who_proves_nothing_and_guesses_grants_is_blocked_and_a_client_that_proves_itself_is_not() -> None:
    attempts = FailedAttempts(ManualClock())
    attempts.limit(THREE)
    for _ in range(5):
        attempts.answered(client_of(authorization=b"Basic YTpi"), 400, b'{"error":"invalid_grant"}')
    assert attempts.blocked == {}
    for _ in range(3):
        attempts.answered(client_of(body=b"client_id=a"), 400, b'{"error":"invalid_grant"}')
    assert FLOOD in attempts.blocked


def test_what_was_refused_for_another_reason_does_not_count() -> None:
    attempts = FailedAttempts(ManualClock())
    attempts.limit(THREE)
    for status in (400, 403, 404, 429, 500, 503):
        for _ in range(5):
            attempts.answered(client_of(body=b"client_id=a"), status, b'{"error":"invalid_request"}')
            attempts.passed(client_of(authorization=b"Bearer x"), status)
    attempts.passed(client_of(), 401)
    assert attempts.blocked == {}


def test_a_flood_fills_a_bucket_once_and_not_for_as_long_as_it_lasted() -> None:
    clock = ManualClock()
    attempts = FailedAttempts(clock)
    attempts.limit(THREE)
    for _ in range(1_000):
        attempts.failed(FLOOD)
    assert FLOOD in attempts.blocked
    clock.advance(20.0)
    attempts.require_client(client_of())
    assert FLOOD not in attempts.blocked
