"""What the writer leaves on disk: names, modes, links, rotation, and what happens when the disk says no."""

import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jotgate.core.audit import encode
from jotgate.core.audit_verifier import TornTail
from jotgate.errors import AuditUnavailable, Code, DirectoryRefused
from jotgate.stores import segments as module
from jotgate.stores.segment_files import read_records, segments, verify_directory
from jotgate.stores.segments import SegmentWriter
from tests.audit_logs import (
    FIRST_FILE,
    INSTANCE,
    START_US,
    StillClock,
    call_lines,
    close_line,
    full_call,
    full_event,
    open_line,
)

GOLDEN = Path(__file__).parents[2] / "vectors" / "audit"
OTHER = "ba9876543210"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """A disk with no room beyond `size` bytes a file: write(2) stops there, then fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def kinds(path: Path) -> list[str]:
    return [entry.record.split(b'"')[3].decode() for entry in read_records(path)]


def rows(directory: Path) -> int:
    report = verify_directory(directory)
    assert report.faults == ()
    return sum(segment.calls for segment in report.segments)


def test_the_golden_files_are_written_byte_for_byte(directory: Path) -> None:
    """Framing, chain, names and fields are final: what is written today is read for as long as jotgate is."""
    clock = StillClock()
    writer = SegmentWriter(directory, INSTANCE, clock, segment_bytes_max=1_500)
    writer.append([encode(full_call()), *call_lines(2, 3), encode(full_event())])
    clock.now_us += 1_000_000
    writer.append(call_lines(4, 5))
    clock.now_us += 1_000_000
    writer.close()
    after = SegmentWriter(directory, OTHER, clock)
    after.append(call_lines(1, 1))
    after.flush()
    written = {path.name: path.read_bytes() for path in directory.iterdir()}
    assert written == {path.name: path.read_bytes() for path in GOLDEN.iterdir()}
    assert len(written) == 3
    after.close()


def test_the_golden_files_hold() -> None:
    report = verify_directory(GOLDEN)
    assert report.holds
    assert report.torn == ()
    assert [segment.calls for segment in report.segments] == [3, 2, 1]
    assert [segment.closed for segment in report.segments] == [True, True, False]


def test_only_the_owner_can_read_the_log(directory: Path) -> None:
    writer = SegmentWriter(directory, INSTANCE, StillClock())
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(writer.path.stat().st_mode) == 0o600
    assert writer.path.name == FIRST_FILE
    writer.close()


def test_a_directory_open_to_others_is_refused(directory: Path) -> None:
    directory.mkdir(mode=0o755)
    with pytest.raises(DirectoryRefused) as caught:
        SegmentWriter(directory, INSTANCE, StillClock())
    assert "chmod 700" in caught.value.hint
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize(
    "instance", ["", "0123456789a", "0123456789AB", "0123456789abc", "../456789abc", "0123456789ab\n"]
)
def test_only_hex_names_an_instance(directory: Path, instance: str) -> None:
    with pytest.raises(ValueError, match="12 lower-case hex digits"):
        SegmentWriter(directory, instance, StillClock())


def test_records_are_in_the_file_after_a_flush_and_not_before(directory: Path) -> None:
    writer = SegmentWriter(directory, INSTANCE, StillClock())
    assert kinds(writer.path) == ["open"]
    writer.append(call_lines(1, 3))
    assert kinds(writer.path) == ["open"]
    writer.flush()
    assert kinds(writer.path) == ["open", "call", "call", "call"]
    writer.append([encode(full_event())])
    writer.sync()
    assert kinds(writer.path)[4:] == ["event"]
    writer.append(call_lines(4, 4))
    writer.close()
    assert kinds(writer.path)[5:] == ["call", "close"]
    assert rows(directory) == 4


def test_a_closed_writer_takes_nothing_more(directory: Path) -> None:
    writer = SegmentWriter(directory, INSTANCE, StillClock())
    writer.close()
    content = writer.path.read_bytes()
    writer.close()
    with pytest.raises(AuditUnavailable):
        writer.append([])
    for step in (writer.flush, writer.sync):
        with pytest.raises(AuditUnavailable):
            step()
    assert writer.path.read_bytes() == content


@pytest.mark.parametrize("bad", [b"{}", open_line(), close_line(1), call_lines(1, 1)[0] + b"\n"])
def test_a_batch_with_a_bad_line_is_refused_as_a_whole(directory: Path, bad: bytes) -> None:
    writer = SegmentWriter(directory, INSTANCE, StillClock())
    with pytest.raises(ValueError, match="an audit record"):
        writer.append([*call_lines(1, 2), bad])
    writer.append(iter(call_lines(3, 3)))
    writer.close()
    assert rows(directory) == 1


def test_a_segment_is_closed_before_a_batch_would_take_it_over_its_size(directory: Path) -> None:
    writer = SegmentWriter(directory, INSTANCE, StillClock(), segment_bytes_max=2_000)
    for first in range(1, 60, 3):
        writer.append(call_lines(first, first + 2))
    writer.close()
    names = segments(directory)
    assert len(names) > 4
    assert names == tuple(f"20261122T170758Z-{INSTANCE}-{number:06d}.log" for number in range(1, len(names) + 1))
    for name in names:
        close = kinds(directory / name)[-1]
        assert close == "close"
        assert (directory / name).stat().st_size <= 2_000 + 200  # the close record comes on top
    assert rows(directory) == 60


def test_a_batch_larger_than_a_segment_gets_one_of_its_own(directory: Path) -> None:
    writer = SegmentWriter(directory, INSTANCE, StillClock(), segment_bytes_max=1_000)
    writer.append(call_lines(1, 50))
    writer.append(call_lines(51, 51))
    writer.close()
    assert [kinds(directory / name).count("call") for name in segments(directory)] == [50, 1]
    assert rows(directory) == 51


def test_instances_follow_one_another_whatever_the_clock_says(directory: Path) -> None:
    """Names sort in the order of writing, so that the file before is always the one that the chain names."""
    for number, now_us in enumerate([START_US, START_US, START_US + 1, START_US - 10**12, START_US + 10**9, START_US]):
        writer = SegmentWriter(directory, f"{99 - number:012d}", StillClock(now_us))
        writer.append(call_lines(1, 1))
        writer.close()
        assert segments(directory)[-1] == writer.path.name
    assert rows(directory) == 6
    assert len(segments(directory)) == 6


@pytest.mark.parametrize("tail", [b"half a rec", b"\0" * 300_000, b"x" * 300_000 + b"\n"], ids=["cut", "zeros", "line"])
def test_the_next_instance_goes_on_behind_a_torn_tail(directory: Path, tail: bytes) -> None:
    killed = SegmentWriter(directory, INSTANCE, StillClock())
    killed.append(call_lines(1, 500))
    killed.flush()
    offset = killed.path.stat().st_size
    with killed.path.open("ab") as file:
        file.write(tail)
    following = SegmentWriter(directory, OTHER, StillClock())
    following.append(call_lines(501, 502))
    following.close()
    report = verify_directory(directory)
    assert report.faults == ()
    assert report.torn == (TornTail(killed.path.name, 502, offset, len(tail), START_US + 500),)
    assert sum(segment.calls for segment in report.segments) == 502


@pytest.mark.parametrize("content", [b"", b"\0" * 100_000, b"half an open rec"])
def test_a_file_without_a_good_record_is_passed_over(directory: Path, content: bytes) -> None:
    first = SegmentWriter(directory, "000000000001", StillClock())
    first.close()
    (directory / FIRST_FILE).write_bytes(content)
    third = SegmentWriter(directory, "000000000003", StillClock())
    third.close()
    assert verify_directory(directory).faults == ()


def test_a_file_whose_name_is_no_time_stops_the_start_with_a_remedy(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    (directory / f"20269999T999999Z-{INSTANCE}-000001.log").touch()
    with pytest.raises(AuditUnavailable, match="its name is no time") as caught:
        SegmentWriter(directory, OTHER, StillClock())
    assert caught.value.hint == "Move it out of the directory"


def test_a_full_disk_is_said_and_nothing_is_lost_when_there_is_room_again(directory: Path) -> None:
    writer = SegmentWriter(directory, INSTANCE, StillClock())
    writer.append(call_lines(1, 20))
    with file_size_limit(1_000):
        with pytest.raises(AuditUnavailable) as caught:
            writer.flush()
        with pytest.raises(AuditUnavailable):
            writer.flush()
        writer.append(call_lines(21, 30))
        with pytest.raises(AuditUnavailable):
            writer.sync()
        assert writer.path.stat().st_size == 1_000
    assert caught.value.code is Code.AUDIT_UNAVAILABLE
    assert "free space" in caught.value.hint
    writer.flush()
    writer.append(call_lines(31, 31))
    writer.close()
    assert rows(directory) == 31


def test_a_segment_that_cannot_be_closed_is_closed_when_there_is_room_again(directory: Path) -> None:
    writer = SegmentWriter(directory, INSTANCE, StillClock(), segment_bytes_max=2_000)
    writer.append(call_lines(1, 8))
    writer.flush()
    with file_size_limit(writer.path.stat().st_size + 10):
        for _ in range(2):
            with pytest.raises(AuditUnavailable):
                writer.append(call_lines(9, 40))
    writer.append(call_lines(9, 9))
    writer.close()
    assert rows(directory) == 9
    first, second = segments(directory)
    assert (kinds(directory / first)[-1], kinds(directory / second)[-1]) == ("close", "close")


def test_a_segment_that_cannot_be_begun_is_begun_when_there_is_room_again(directory: Path) -> None:
    writer = SegmentWriter(directory, INSTANCE, StillClock(), segment_bytes_max=2_000)
    writer.append(call_lines(1, 8))
    writer._end("rotated")
    with file_size_limit(100):
        with pytest.raises(AuditUnavailable):
            writer.append(call_lines(9, 40))
        assert writer.path.stat().st_size == 100
        writer.append(call_lines(9, 9))
        with pytest.raises(AuditUnavailable):
            writer.flush()
    writer.close()
    assert rows(directory) == 9
    assert len(segments(directory)) == 2


def test_a_first_segment_that_cannot_be_begun_leaves_no_file(directory: Path) -> None:
    with file_size_limit(10), pytest.raises(AuditUnavailable, match="cannot be written"):
        SegmentWriter(directory, INSTANCE, StillClock())
    assert list(directory.iterdir()) == []


def test_rows_for_a_disk_that_does_not_keep_up_are_refused_as_a_batch(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING_BYTES_MAX", 1_000)
    writer = SegmentWriter(directory, INSTANCE, StillClock())
    writer.append(call_lines(1, 3))
    with pytest.raises(AuditUnavailable, match="does not keep up"):
        writer.append(call_lines(4, 20))
    writer.flush()
    writer.append(call_lines(4, 6))
    writer.close()
    assert rows(directory) == 6


def test_a_segment_removed_under_the_writer_ends_it(directory: Path) -> None:
    """Nobody would ever read what is written into it."""
    writer = SegmentWriter(directory, INSTANCE, StillClock())
    writer.path.unlink()
    writer.append(call_lines(1, 1))
    with pytest.raises(AuditUnavailable, match="was removed"):
        writer.sync()
    with pytest.raises(AuditUnavailable, match="was removed"):
        writer.append(call_lines(2, 2))
    for step in (writer.flush, writer.close):
        with pytest.raises(AuditUnavailable, match="was removed"):
            step()


def test_a_failed_fsync_is_final(directory: Path) -> None:
    """The kernel reports it once and may have dropped the pages: going on would claim what is not on disk."""
    writer = SegmentWriter(directory, INSTANCE, StillClock())
    writer.append(call_lines(1, 1))
    writer.flush()
    reading, writing = os.pipe()  # fsync(2) of a pipe fails with EINVAL
    os.dup2(writing, writer._descriptor)
    with pytest.raises(AuditUnavailable, match="cannot be written"):
        writer.sync()
    with pytest.raises(AuditUnavailable, match="fsync failed"):
        writer.append(call_lines(2, 2))
    for descriptor in (reading, writing, writer._descriptor):
        os.close(descriptor)
