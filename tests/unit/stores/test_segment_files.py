"""Reading a directory of segments: what is newest, what came since, and whether the whole log holds."""

from pathlib import Path

import pytest

from jotgate.errors import AuditUnavailable
from jotgate.stores.segment_files import (
    newest_records,
    read_records,
    records_after,
    segments,
    verify_directory,
)
from jotgate.stores.segments import SegmentWriter
from tests.audit_logs import INSTANCE, StillClock, call_lines

OTHER = "ba9876543210"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "audit"


def write(directory: Path, instance: str, *batches: tuple[int, int], size: int = 2_000) -> list[Path]:
    """A closed chain with a batch for each (first row, last row). Returns its files."""
    before = set(segments(directory))
    writer = SegmentWriter(directory, instance, StillClock(), segment_bytes_max=size)
    for first, last in batches:
        writer.append(call_lines(first, last))
    writer.close()
    return [directory / name for name in segments(directory) if name not in before]


def records(directory: Path) -> list[bytes]:
    return [entry.record for name in segments(directory) for entry in read_records(directory / name)]


def test_a_directory_that_is_not_there_holds_nothing(directory: Path) -> None:
    assert segments(directory) == ()
    assert newest_records(directory, 5) == []
    assert records_after(directory, "", 0) == []
    assert verify_directory(directory).segments == ()


def test_the_whole_log_is_reported(directory: Path) -> None:
    write(directory, INSTANCE, (1, 10), (11, 20), (21, 30))
    write(directory, OTHER, (1, 5))
    (directory / "notes.txt").write_text("mine")
    report = verify_directory(directory)
    assert report.holds
    assert report.directory == str(directory)
    assert [part.file for part in report.segments] == list(segments(directory))
    assert sum(part.calls for part in report.segments) == 35
    assert report.other_files == ("notes.txt",)


def test_rows_that_were_sent_again_are_counted_and_are_no_fault(directory: Path) -> None:
    """Control died between writing and acknowledging: the next control process gets the batch again."""
    write(directory, INSTANCE, (1, 10))
    write(directory, OTHER, (6, 10), (11, 12), (15, 15))
    report = verify_directory(directory)
    assert report.holds
    assert (report.duplicate_rows, report.missing_rows) == (5, 2)


@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_a_removed_file_is_missed(directory: Path, position: int) -> None:
    files = write(directory, INSTANCE, (1, 10), (11, 20), (21, 30)) + write(directory, OTHER, (1, 1))
    assert len(files) == 5 - 1
    files[position].unlink()
    report = verify_directory(directory)
    if position == 3:
        # Nothing follows the newest file, so nothing in the log can know of it. docs/audit.md says so.
        assert report.holds
    else:
        assert [(fault.file, fault.line) for fault in report.faults] == [(files[position].name, 0)]


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_file_cut_at_the_end_of_a_record_is_missed(directory: Path, position: int) -> None:
    files = write(directory, INSTANCE, (1, 10), (11, 20), (21, 30)) + write(directory, OTHER, (1, 1))
    content = files[position].read_bytes()
    end = content.index(b"\n", len(content) // 2) + 1
    files[position].write_bytes(content[:end])
    (fault,) = verify_directory(directory).faults
    assert (fault.file, fault.offset) == (files[position].name, end)


def test_a_file_rewritten_with_a_good_chain_is_found(directory: Path, tmp_path: Path) -> None:
    """Whoever can write the directory can write a chain; the files behind it do not follow."""
    files = write(directory, INSTANCE, (1, 10), (11, 20))
    (forged,) = write(tmp_path / "forged", INSTANCE, (1, 9))
    assert forged.name == files[0].name
    files[0].write_bytes(forged.read_bytes())
    (fault,) = verify_directory(directory).faults
    assert fault.file == files[0].name


def test_a_large_file_is_verified_in_pieces(directory: Path) -> None:
    """Lines that lie across the borders of what is read at once are whole again."""
    write(directory, INSTANCE, (1, 20_000), size=64 * 1024 * 1024)
    report = verify_directory(directory)
    assert report.segments[0].bytes > 3 * 1024 * 1024
    assert report.holds
    assert report.segments[0].calls == 20_000


@pytest.mark.parametrize("count", [0, 1, 7, 14, 500, 1_000])
def test_the_newest_records_come_from_as_many_files_as_needed(directory: Path, count: int) -> None:
    write(directory, INSTANCE, (1, 4), (5, 400), (401, 410))
    write(directory, OTHER, (1, 5))
    every = records(directory)
    found = newest_records(directory, count)
    assert [entry.record for entry in found] == (every[-count:] if count else [])
    for entry in found:
        content = (directory / entry.file).read_bytes()[entry.offset : entry.end]
        assert content.endswith(b" " + entry.record + b"\n")


def test_a_torn_tail_is_not_among_the_newest(directory: Path) -> None:
    *_, newest = write(directory, INSTANCE, (1, 1_000), size=64 * 1024 * 1024)
    every = records(directory)
    newest.write_bytes(newest.read_bytes()[:-1])
    assert [entry.record for entry in newest_records(directory, 2)] == every[-3:-1]


def test_what_came_since_is_read_across_files_and_a_line_only_when_whole(directory: Path) -> None:
    (first,) = write(directory, INSTANCE, (1, 3))
    content = first.read_bytes()
    whole = len(content) - 20
    first.write_bytes(content[:whole])
    seen = records_after(directory, "", 0)
    assert len(seen) == 4
    assert records_after(directory, seen[-1].file, seen[-1].end) == []
    first.write_bytes(content)
    assert [entry.record for entry in records_after(directory, seen[-1].file, seen[-1].end)] == records(directory)[4:]
    write(directory, OTHER, (1, 2))
    assert [entry.record for entry in records_after(directory, seen[-1].file, seen[-1].end)] == records(directory)[4:]


def test_what_cannot_be_read_is_said(directory: Path) -> None:
    (directory / f"20261122T170758Z-{INSTANCE}-000001.log").mkdir(parents=True)
    with pytest.raises(AuditUnavailable, match="cannot be read") as caught:
        verify_directory(directory)
    assert str(directory) in caught.value.hint
    with pytest.raises(AuditUnavailable, match="cannot be read"):
        newest_records(directory, 1)


def test_a_directory_that_is_none_is_said(directory: Path) -> None:
    directory.write_text("")
    with pytest.raises(AuditUnavailable, match="cannot be read"):
        segments(directory)
