"""What the verifier says of good logs, torn logs and logs that somebody changed."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jotgate.core.audit import PREFIX_BYTES, RECORD_BYTES_MAX, START_DIGEST, Link, digest_text, encode
from jotgate.core.audit_verifier import (
    Fault,
    RowTally,
    SegmentReport,
    SegmentVerifier,
    TornTail,
    check_links,
    last_digest,
)
from tests.audit_logs import (
    FIRST_FILE,
    INSTANCE,
    START_US,
    call,
    call_lines,
    close_line,
    full_event,
    log,
    open_line,
    sample_log,
)

OPEN_LOG = sample_log(6, closed=False)
CLOSED_LOG = sample_log(6, closed=True)
LINES = OPEN_LOG.splitlines(keepends=True)


def check(content: bytes, file: str = FIRST_FILE) -> SegmentReport:
    verifier = SegmentVerifier(file)
    verifier.feed(content)
    return verifier.finish()


def places(report: SegmentReport) -> list[tuple[int, int]]:
    return [(fault.line, fault.offset) for fault in report.faults]


def test_a_closed_log_holds() -> None:
    report = check(CLOSED_LOG)
    assert report.faults == ()
    assert report.torn is None
    assert report.closed
    assert (report.records, report.calls, report.events, report.unknown) == (8, 6, 0, 0)
    assert (report.first_at, report.last_at) == (START_US, START_US + 9_000_000)
    assert report.bytes == len(CLOSED_LOG)
    assert report.digest == CLOSED_LOG.splitlines()[-1][:43].decode()
    assert report.opened is not None
    assert report.opened.instance == INSTANCE


def test_an_empty_file_is_what_a_crash_right_after_its_creation_leaves() -> None:
    report = check(b"")
    assert (report.records, report.faults, report.torn, report.opened) == (0, (), None, None)
    assert report.digest == digest_text(START_DIGEST)


@given(st.integers(min_value=0, max_value=len(OPEN_LOG) - 1))
def test_any_truncation_is_a_clean_prefix_or_a_torn_tail_named_exactly(length: int) -> None:
    whole_lines = OPEN_LOG[:length].count(b"\n")
    end = len(b"".join(LINES[:whole_lines]))
    report = check(OPEN_LOG[:length])
    assert report.faults == ()
    assert report.records == whole_lines
    assert not report.closed
    if end == length:
        assert report.torn is None
    else:
        # The open record is of START_US and row n of n microseconds later.
        last_at = START_US + whole_lines - 1 if whole_lines else None
        assert report.torn == TornTail(FIRST_FILE, whole_lines + 1, end, length - end, last_at)


@given(st.integers(0, len(CLOSED_LOG) - 1), st.integers(1, 255))
@example(len(CLOSED_LOG) - 1, 1)
@example(len(OPEN_LOG) - 1, 1)
@example(len(OPEN_LOG), 1)
@example(OPEN_LOG.index(b"\n"), 1)
def test_any_changed_byte_of_a_closed_log_is_found(place: int, flip: int) -> None:
    changed = bytearray(CLOSED_LOG)
    changed[place] ^= flip
    report = check(bytes(changed))
    start = CLOSED_LOG.rindex(b"\n", 0, place) + 1 if b"\n" in CLOSED_LOG[:place] else 0
    if report.faults:
        assert places(report)[0][1] == start
    else:
        # Only a last line that no longer is a close record, or is not ended, can pass for torn.
        assert report.torn is not None
        assert report.torn.offset == start == len(OPEN_LOG)
    assert report.records < 8


@given(st.integers(0, len(OPEN_LOG) - len(LINES[-1]) - 2), st.integers(1, 255))
def test_any_changed_byte_of_an_open_log_is_a_fault_up_to_the_line_feed_before_its_last_line(
    place: int, flip: int
) -> None:
    changed = bytearray(OPEN_LOG)
    changed[place] ^= flip
    assert check(bytes(changed)).faults != ()


@given(st.lists(st.integers(0, len(CLOSED_LOG)), max_size=20), st.booleans(), st.integers(0, 300))
def test_it_does_not_matter_in_which_pieces_the_bytes_come(cuts: list[int], is_changed: bool, cut_off: int) -> None:
    content = bytearray(CLOSED_LOG[: len(CLOSED_LOG) - cut_off])
    if is_changed:
        content[len(content) // 2] ^= 1
    bounds = [0, *sorted(cuts), len(CLOSED_LOG)]
    verifier = SegmentVerifier(FIRST_FILE)
    heads = [head for start, end in pairwise(bounds) for head in verifier.feed(bytes(content[start:end]))]
    report = verifier.finish()
    assert report == check(bytes(content))
    assert len(heads) == report.records


def test_changed_records_are_each_named() -> None:
    """The chain is taken up again behind a changed record, so that the report says how much was changed."""
    changed = OPEN_LOG.replace(b'"row":2,', b'"row":9,').replace(b'"row":5,', b'"row":8,')
    report = check(changed)
    starts = [len(b"".join(LINES[:2])), len(b"".join(LINES[:5]))]
    assert places(report) == [(3, starts[0]), (6, starts[1])]
    assert report.records == 5


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        (LINES[:3] + LINES[4:], 4),
        (LINES[:3] + [LINES[4], LINES[3]] + LINES[5:], 4),
        (LINES[:3] + [LINES[2]] + LINES[3:], 4),
        (LINES[1:], 1),
        ([*LINES[:3], b"\n", *LINES[3:]], 4),
        ([*LINES[:3], b"not a record\n", *LINES[3:]], 4),
        ([*LINES[:3], b"\0" * 100 + b"\n", *LINES[3:]], 4),
        ([*LINES[:3], b"A" * 43 + b" " + call_lines(9, 9)[0] + b"\n", *LINES[3:]], 4),
    ],
    ids=["removed", "swapped", "repeated", "first removed", "empty line", "foreign line", "zeros", "made up"],
)
def test_a_changed_order_is_a_fault_at_the_first_line_that_does_not_fit(lines: list[bytes], place: int) -> None:
    report = check(b"".join(lines))
    assert places(report)[0] == (place, len(b"".join(lines[: place - 1])))
    assert report.torn is None


@pytest.mark.parametrize(
    "tail",
    [b"\0" * 5_000, b"x", LINES[1][:60], b"\n", b"\0" * 100 + b"\n", LINES[1], b"A" * 43 + b" {}\n", b"\xff" * 70_000],
    ids=["zeros", "byte", "cut", "line feed", "zero line", "repeated", "foreign", "long"],
)
def test_one_line_that_does_not_fit_at_the_end_of_an_open_file_is_torn(tail: bytes) -> None:
    report = check(OPEN_LOG + tail)
    assert report.faults == ()
    assert report.torn == TornTail(FIRST_FILE, 8, len(OPEN_LOG), len(tail), START_US + 6)
    assert report.records == 7


@pytest.mark.parametrize("more", [LINES[1], b"\n", b"x", b"\0" * 5_000])
def test_a_misfit_with_anything_behind_it_is_a_fault(more: bytes) -> None:
    assert places(check(OPEN_LOG + b"A" * 43 + b" {}\n" + more))[0] == (8, len(OPEN_LOG))


@pytest.mark.parametrize("more", [b"x", b"\0" * 5_000, b"\n", LINES[1], log(close_line(3))])
def test_bytes_after_the_close_record_are_a_fault(more: bytes) -> None:
    report = check(CLOSED_LOG + more)
    assert places(report) == [(9, len(CLOSED_LOG))]
    assert report.torn is None


def test_a_changed_close_record_is_a_fault() -> None:
    """A crash cannot leave a whole close record that does not fit."""
    report = check(CLOSED_LOG.replace(b'"records":7', b'"records":6'))
    assert places(report) == [(8, len(OPEN_LOG))]


def test_a_line_longer_than_any_record_is_a_fault_and_needs_little_memory() -> None:
    verifier = SegmentVerifier(FIRST_FILE)
    verifier.feed(OPEN_LOG)
    for _ in range(100):
        verifier.feed(b"x" * RECORD_BYTES_MAX)
        assert len(verifier._rest) <= PREFIX_BYTES + RECORD_BYTES_MAX
    verifier.feed(b"\n" + LINES[1])
    report = verifier.finish()
    assert places(report) == [(8, len(OPEN_LOG))]
    assert report.bytes == len(OPEN_LOG) + 100 * RECORD_BYTES_MAX + 1 + len(LINES[1])


@pytest.mark.parametrize("excess", [0, 1])
def test_a_record_may_have_its_longest_length_and_not_a_byte_more(excess: int) -> None:
    text = b'{"kind":"call","at":1,"model":"%s"}'
    line = text % (b"x" * (RECORD_BYTES_MAX + excess - len(text) + 2))
    assert len(line) == RECORD_BYTES_MAX + excess
    assert len(check(log(open_line(), line, close_line(2))).faults) == 2 * excess


def test_a_good_record_at_the_end_of_an_endless_line_is_none() -> None:
    verifier = SegmentVerifier(FIRST_FILE)
    assert len(verifier.feed(b"".join(LINES[:3]))) == 3
    verifier.feed(b"x" * (PREFIX_BYTES + RECORD_BYTES_MAX + 1))
    assert verifier.feed(LINES[3]) == []
    verifier.feed(LINES[4])
    assert places(verifier.finish())[0] == (4, len(b"".join(LINES[:3])))


def test_a_foreign_line_in_between_leaves_the_records_around_it_good() -> None:
    report = check(b"".join([*LINES[:3], b"foreign\n", *LINES[3:]]))
    assert places(report) == [(4, len(b"".join(LINES[:3])))]
    assert report.records == 7


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([call_lines(1, 1)[0], close_line(1)], "the first record is not an open record"),
        ([open_line(), open_line(), close_line(2)], "an open record that is not the first record"),
        ([open_line(version=2), close_line(1)], "format 2; this jotgate reads format 1"),
        ([open_line(segment=2), close_line(1)], "the file was renamed"),
        ([open_line(), b"[]", close_line(2)], "not an audit record"),
        ([open_line(), b'{"kind":"call"}', close_line(2)], "not an audit record"),
        ([open_line(), b'{"kind":"call","at":1', close_line(2)], "not an audit record"),
    ],
)
def test_a_chain_that_holds_around_what_does_not_belong_there_is_a_fault(records: list[bytes], reason: str) -> None:
    (fault,) = check(log(*records)).faults
    assert reason in fault.reason


def test_a_renamed_file_is_a_fault() -> None:
    report = check(CLOSED_LOG, FIRST_FILE.replace(INSTANCE, "ba9876543210"))
    assert places(report) == [(1, 0)]


def test_kinds_of_later_versions_are_chained_and_counted() -> None:
    records = [
        open_line(),
        b'{"kind":"checkpoint","at":5,"records":1,"digest":"x","kid":"k","signature":"s"}',
        encode(full_event()),
        b'{"kind":"of tomorrow","at":6,"more":[1,{"a":null}]}',
        close_line(4),
    ]
    report = check(log(*records))
    assert report.faults == ()
    assert (report.records, report.calls, report.events, report.unknown) == (5, 0, 1, 1)


def test_a_file_rewritten_as_a_whole_gives_a_list_of_bounded_length() -> None:
    content = sample_log(500, closed=True).replace(b'"status":200', b'"status":500')
    assert len(check(content).faults) == 100


# The writer finds the digest to link to by reading the end of a file, and verification finds it by reading all.


@given(st.integers(0, len(OPEN_LOG)), st.integers(1, 2_000), st.sampled_from([b"", b"\0" * 40, LINES[1], b"\n"]))
def test_the_end_of_a_file_shows_the_same_last_record_as_the_whole(length: int, size: int, tail: bytes) -> None:
    content = OPEN_LOG[:length] + tail
    report = check(content)
    found = last_digest(content, is_whole=True)
    if not report.faults:
        assert digest_text(found or START_DIGEST) == report.digest
    assert last_digest(LINES[0], is_whole=False) is None  # what comes before it is unknown
    partial = last_digest(content[-size:], is_whole=False)
    assert partial in (None, found)
    if size >= 3 * max(map(len, LINES)) + len(tail) and length > size:
        assert partial == found


def segment(number: int, previous: SegmentReport | Link | None, *, calls: int = 3) -> SegmentReport:
    link = Link(file=previous.file, digest=previous.digest) if isinstance(previous, SegmentReport) else previous
    content = log(open_line(segment=number, previous=link), *call_lines(1, calls), close_line(calls + 1))
    report = check(content, FIRST_FILE.replace("000001", f"{number:06d}"))
    assert report.faults == ()
    return report


FIRST = segment(1, None)
SECOND = segment(2, FIRST)
THIRD = segment(3, SECOND)
EMPTY = check(b"", FIRST_FILE.replace("000001", "000002"))


@pytest.mark.parametrize("segments", [[], [FIRST], [FIRST, SECOND, THIRD], [FIRST, EMPTY, segment(3, FIRST)]])
def test_linked_files_hold(segments: list[SegmentReport]) -> None:
    assert check_links(segments) == []


def test_a_missing_file_is_named() -> None:
    for segments, missing in (([FIRST, THIRD], SECOND), ([SECOND, THIRD], FIRST)):
        (fault,) = check_links(segments)
        assert (fault.file, fault.line) == (missing.file, 0)
        assert "missing" in fault.reason


def test_a_file_cut_short_is_named_with_the_place_of_the_cut() -> None:
    content = sample_log(3, closed=True)
    cut = content[: content.index(b"\n") + 1]
    short = check(cut)
    assert short.faults == ()
    (fault,) = check_links([short, SECOND, THIRD])
    assert fault == Fault(FIRST.file, 2, len(cut), f"cut short or changed: {SECOND.file} follows another last record")


def test_a_file_emptied_is_a_fault() -> None:
    (fault,) = check_links([FIRST, EMPTY, THIRD])
    assert (fault.file, fault.line, fault.offset) == (EMPTY.file, 1, 0)


def test_a_torn_file_followed_by_the_next_instance_holds() -> None:
    torn = check(OPEN_LOG + b"\0" * 10)
    assert torn.torn is not None
    assert check_links([torn, segment(2, torn)]) == []


def test_a_last_record_changed_before_the_next_file_began_elsewhere_is_a_fault() -> None:
    """Alone it would pass for a torn tail; the next file knows better."""
    intact = check(OPEN_LOG)
    changed = check(OPEN_LOG.replace(b'"row":6', b'"row":7'))
    assert changed.torn is not None
    (fault,) = check_links([changed, segment(2, intact)])
    assert (fault.file, fault.offset) == (changed.file, changed.torn.offset)


def test_an_added_first_file_is_a_fault() -> None:
    other = check(CLOSED_LOG)
    (fault,) = check_links([other, msgspec.structs.replace(FIRST, file="z")])
    assert (fault.file, fault.line) == ("z", 1)


def test_an_added_file_in_between_is_a_fault() -> None:
    copy = msgspec.structs.replace(SECOND, file="copy")
    (fault,) = check_links([FIRST, SECOND, copy])
    assert fault.file == "copy"
    assert "right before" in fault.reason


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 40)), max_size=120))
def test_the_tally_counts_as_a_set_would(rows: list[tuple[str, int]]) -> None:
    tally = RowTally()
    for worker, row in rows:
        tally.add(worker, row)
    seen = {worker: {row for name, row in rows if name == worker} for worker, _ in rows}
    assert tally.duplicates == len(rows) - sum(map(len, seen.values()))
    assert tally.missing == sum(max(found) - min(found) + 1 - len(found) for found in seen.values())


def test_the_tally_of_rows_in_order_needs_one_run() -> None:
    tally = RowTally()
    for row in [*range(1, 1_000), *range(500, 1_000), *range(2_000, 999, -1)]:
        tally.add("a", row)
    assert tally._runs == {"a": [[1, 2_000]]}
    assert (tally.duplicates, tally.missing) == (500, 0)


def test_the_heads_that_feed_returns_name_worker_and_row() -> None:
    verifier = SegmentVerifier(FIRST_FILE)
    heads = verifier.feed(log(open_line(), encode(call(41, worker="w"))))
    assert [(head.kind, head.worker, head.row) for head in heads] == [("open", "", 0), ("call", "w", 41)]
