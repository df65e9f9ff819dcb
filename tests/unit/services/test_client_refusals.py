"""Who was refused by the token service is recorded, by what is known of them and without a word of what they sent."""

from jotgate.errors import GrantRefused
from jotgate.services.client_refusals import ClientRefusals
from jotgate.services.recorder import Recorder
from jotgate.services.refusal_log import RECORDED_PER_MINUTE
from jotgate.testing.ports import ManualClock
from tests.token_stage import EventLog


def test_a_client_that_proved_nothing_is_recorded_by_what_it_says() -> None:
    clock, log = ManualClock(), EventLog()
    refusals = ClientRefusals(Recorder(log, clock), clock)
    for place in range(RECORDED_PER_MINUTE + 5):
        refusals.note(f"{place}" + "x" * 10_000, "none", "192.0.2.1")
    assert len(log.named("client.refused")) == RECORDED_PER_MINUTE, "whatever names they make up"
    assert len(log.events[0].actor) == 256
    assert log.events[0].details == {"method": "none", "peer": "192.0.2.1"}


def test_a_refused_grant_is_recorded_by_its_word_and_code() -> None:
    clock, log = ManualClock(), EventLog()
    refusals = ClientRefusals(Recorder(log, clock), clock)
    refusal = GrantRefused("a", hint="b", debug="c")
    refusals.note_grant(refusal, "192.0.2.1")
    refusals.note_grant(refusal, "192.0.2.1", client_id="ci", grant="refresh_token")
    told = {"error": "invalid_grant", "code": "grant_refused", "peer": "192.0.2.1"}
    assert [(one.event, one.actor) for one in log.events] == [("token.refused", ""), ("token.refused", "ci")]
    assert [one.details for one in log.events] == [told, {**told, "grant": "refresh_token"}]
