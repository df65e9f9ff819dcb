"""The order of the visits, and the count of streamed events."""

from bench.plan import Stream
from bench.rounds import chunk_fault, orders
from tests.unit.bench.test_load import result

STREAM = Stream(connections=4, rounds=2, chunks=100, interval_us=20_000)


def test_every_round_visits_all_and_each_comes_first_in_turn() -> None:
    assert orders(["straight", "nginx", "jotgate"], 4) == [
        ["straight", "nginx", "jotgate"],
        ["nginx", "jotgate", "straight"],
        ["jotgate", "straight", "nginx"],
        ["straight", "nginx", "jotgate"],
    ]


def test_all_events_arrived() -> None:
    assert chunk_fault(result(chunks=800), STREAM) is None


def test_a_lost_or_a_doubled_event_is_a_fault() -> None:
    assert chunk_fault(result(chunks=799), STREAM) == "of 800 streamed chunks 799 arrived"
    assert chunk_fault(result(chunks=801), STREAM) == "of 800 streamed chunks 801 arrived"
