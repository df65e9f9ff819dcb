"""Control that hangs: after its first silence no call waits for it, and it is believed again when it speaks."""

from jotgate.core.ledger import LeaseAnswer
from jotgate.errors import QuotaUnavailable
from jotgate.services.meter_post import SILENT_S
from tests.metering import MeteredStage, quota
from tests.unit.services.test_meter_outages import Bench

TICK_S = 0.25


def hang(bench: Bench) -> None:
    bench.wait()
    for _ in range(int(SILENT_S / TICK_S) + 1):
        bench.tick(TICK_S)


def test_calls_are_refused_at_once_when_nothing_was_answered_for_long() -> None:
    bench = Bench()
    hang(bench)
    assert bench.refusal is QuotaUnavailable
    bench.told.clear()


def test_it_is_believed_again_as_soon_as_it_speaks() -> None:
    bench = Bench()
    hang(bench)
    number, (ask,) = bench.asks[-1]
    bench.metering.leases_answered(number, [LeaseAnswer(ask.lease_id, 5, 10.0, 15.0, leased=5)])
    assert bench.reserve() is not None


def test_answers_that_are_late_are_no_silence() -> None:
    bench = Bench()
    for _ in range(4):
        bench.wait()
        for _ in range(int(SILENT_S / TICK_S) - 1):
            bench.tick(TICK_S)
        number, asks = bench.asks[-1]
        bench.metering.leases_answered(
            number, [LeaseAnswer(ask.lease_id, ask.kept, 10.0, 15.0, posted=99) for ask in asks]
        )
        for _ in range(5):
            bench.tick(TICK_S)


def test_who_has_to_know_its_quotas_first_is_refused_too() -> None:
    stage = MeteredStage(quota(100))
    stage.mute = True
    waiting, _ = stage.begin(sub="ann")
    stage.tick(int(SILENT_S / TICK_S) + 1)
    assert waiting.status == 503
    at_once, _ = stage.begin(sub="bob")
    assert at_once.status == 503
    assert int(at_once.headers["retry-after"]) >= 1
    stage.mute = False
    stage.run()
    stage.begin(sub="bob")
    assert len(stage.one.exchanges) == 1
