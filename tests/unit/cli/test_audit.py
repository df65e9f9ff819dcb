"""`jotgate audit verify` and `jotgate audit tail`: what they print, and with which exit code they end."""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jotgate.cli import audit
from jotgate.core.audit import EventRecord, encode
from jotgate.errors import CommandError
from jotgate.stores.segments import SegmentWriter
from tests.audit_logs import INSTANCE, START_US, StillClock, call_lines, full_call, full_event


def run(*words: str) -> int:
    parser = argparse.ArgumentParser(prog="jotgate")
    audit.register(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["audit", *words])
    code: int = arguments.run(arguments)
    return code


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The newest segment of a log with a closed and an open chain in `tmp_path`."""
    before = SegmentWriter(tmp_path / "audit", INSTANCE, StillClock())
    before.append([encode(full_call()), encode(full_event())])
    before.close()
    writer = SegmentWriter(tmp_path / "audit", "ba9876543210", StillClock())
    writer.append(call_lines(2, 31))
    writer.sync()
    return writer.path


def test_a_good_log_passes(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", "--data", str(tmp_path)) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path}/audit: segments 2, instances 2\n"
        "good records: 35, calls 31, events 1\n"
        "from 2026-11-22T17:07:58.000Z to 2026-11-22T17:07:58.000Z\n"
        "every chain holds\n"
    )


def test_a_torn_tail_is_named_and_passes(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = log.read_bytes()
    log.write_bytes(content[:-7])
    assert run("verify", "--data", str(tmp_path)) == 0
    start = content.rindex(b"\n", 0, -1) + 1
    lines = capsys.readouterr().out.splitlines()
    torn, verdict = lines[-2:]
    assert torn == (
        f"torn tail: {log.name} line 31, byte {start}: {len(content) - 7 - start} bytes "
        "(or they are being written now); last good record 2026-11-22T17:07:58.000Z"
    )
    assert verdict == "every chain holds"


def test_a_changed_record_fails_with_file_line_and_offset(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = log.read_bytes()
    log.write_bytes(content.replace(b'"row":4,', b'"row":3,'))
    assert run("verify", "--data", str(tmp_path)) == 1
    start = content.rindex(b"\n", 0, content.index(b'"row":4,')) + 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith(f"fault: {log.name} line 4, byte {start}: the digest does not fit")
    assert lines[-1] == "the audit log does not hold: faults 1"


def test_a_missing_file_fails_and_is_named(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = min(log.parent.iterdir())
    first.unlink()
    assert run("verify", "--data", str(tmp_path)) == 1
    assert f"fault: {first.name}: the file is missing: {log.name} follows it\n" in capsys.readouterr().out


def test_what_is_worth_knowing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer = SegmentWriter(tmp_path / "audit", INSTANCE, StillClock())
    writer.append([*call_lines(1, 3), *call_lines(2, 3), *call_lines(6, 6)])
    writer.close()
    (tmp_path / "audit" / "a\x1b[2Jb").touch()
    assert run("verify", "--data", str(tmp_path)) == 0
    out = capsys.readouterr().out
    assert "duplicate rows: 2 " in out
    assert "missing rows: 2 " in out
    assert "not read, no segments by their name: 'a\\x1b[2Jb'" in out


@pytest.mark.parametrize("is_changed", [False, True])
def test_the_report_as_json(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], is_changed: bool) -> None:
    if is_changed:
        log.write_bytes(log.read_bytes().replace(b'"row":4,', b'"row":3,'))
    assert run("verify", "--json", "--data", str(tmp_path)) == int(is_changed)
    report = json.loads(capsys.readouterr().out)
    assert report["holds"] is not is_changed
    assert [segment["file"] for segment in report["segments"]] == sorted(path.name for path in log.parent.iterdir())
    assert {fault["line"] for fault in report["faults"]} == ({4} if is_changed else set())
    assert set(report) == {
        "directory",
        "segments",
        "faults",
        "torn",
        "duplicate_rows",
        "missing_rows",
        "other_files",
        "holds",
    }


@pytest.mark.parametrize("command", ["verify", "tail"])
def test_a_log_that_is_not_there_does_not_pass(tmp_path: Path, command: str) -> None:
    with pytest.raises(CommandError, match="no audit log") as caught:
        run(command, "--data", str(tmp_path))
    assert "--data DIR" in caught.value.hint


def test_the_data_directory_comes_from_the_environment(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOTGATE_DATA", str(tmp_path))
    assert run("verify") == 0


def test_the_newest_records_as_lines(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tail", "-n", "34", "--data", str(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 34
    assert lines[0] == (
        "2026-11-22T17:07:58.250Z call 502 torn chat.completions model=smollm2 upstream=local subject=agent_001 "
        "client_id=jotgate-cli code=upstream_torn duration_us=12345 tokens_in=12 tokens_out=34 request_id=req_01"
    )
    assert lines[1] == (
        "2026-11-22T17:07:58.500Z event token.issued actor=operator subject=agent_001 "
        'details={"jti":"c2VydmVyLWdlbmVyYXRlZA","scope":"ai","exp":1795370878}'
    )
    assert lines[2] == "2026-11-22T17:07:58.000Z close records=3 reason=stopped"
    assert lines[3].startswith("2026-11-22T17:07:58.000Z open format=1 instance=ba9876543210 segment=1 previous=")
    assert lines[-1] == "2026-11-22T17:07:58.000Z call 200 complete chat.completions"


@pytest.mark.parametrize(("words", "count"), [((), 20), (("-n", "3"), 3), (("-n", "0"), 0), (("-n", "99"), 35)])
def test_how_many_records_are_shown(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], count: int
) -> None:
    assert run("tail", *words, "--json", "--data", str(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    every = [line[44:] for path in sorted(log.parent.iterdir()) for line in path.read_text().splitlines()]
    assert lines == (every[-count:] if count else [])


@pytest.mark.parametrize("count", ["-1", "many", "1.5", "", "²"])
def test_a_wrong_count_is_wrong_usage(log: Path, tmp_path: Path, count: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run("tail", f"-n{count}", "--data", str(tmp_path))
    assert caught.value.code == 2


def test_what_callers_wrote_cannot_drive_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer = SegmentWriter(tmp_path / "audit", INSTANCE, StillClock())
    text = "a\x1b[2J\x9b31m\u202eb\x7f"
    writer.append([encode(EventRecord(at=START_US, event="e", subject=text, details={text: "x y"}))])
    writer.close()
    assert run("tail", "--data", str(tmp_path)) == 0
    assert not {"\x1b", "\x9b", "\x7f", "\u202e"} & set(capsys.readouterr().out)
    assert run("tail", "--json", "--data", str(tmp_path)) == 0
    out = capsys.readouterr().out
    assert not {"\x1b", "\x9b", "\x7f"} & set(out)
    found = [json.loads(line) for line in out.splitlines()][1]
    assert found["subject"] == text


def test_lines_that_are_no_records_are_shown_as_such(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with log.open("ab") as file:
        for record in (b"nonsense\x1b", b"[]", b"{}", b'{"kind":"call","at":9999999999999999999}'):
            file.write(b"A" * 43 + b" " + record + b"\n")
    assert run("tail", "-n", "4", "--data", str(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["not a record: 'nonsense\\x1b'", "not a record: []", "not a record: {}"]
    assert lines[3].startswith("9999999999999999999 microseconds after 1970 call")


def start_tail(directory: Path, *words: str) -> "subprocess.Popen[str]":
    # Whoever runs these tests in the background may have made their children deaf to SIGINT.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{listen}; import sys; from jotgate.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "audit", "tail", *words, "--data", str(directory)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextmanager
def killed_in_the_end(process: "subprocess.Popen[str]") -> Iterator[None]:
    """A failed assertion must not leave `with` waiting for a process that goes on."""
    try:
        yield
    finally:
        process.kill()


def test_follow_goes_on_across_files_until_interrupted(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "audit", INSTANCE, StillClock())
    writer.append(call_lines(1, 3))
    writer.flush()
    with start_tail(tmp_path, "--follow", "-n", "1", "--json") as tail, killed_in_the_end(tail):
        assert tail.stdout is not None
        assert json.loads(tail.stdout.readline())["row"] == 3
        writer.append(call_lines(4, 4))
        writer.close()
        assert json.loads(tail.stdout.readline())["row"] == 4
        assert json.loads(tail.stdout.readline())["kind"] == "close"
        following = SegmentWriter(tmp_path / "audit", "ba9876543210", StillClock())
        following.append(call_lines(5, 5))
        following.flush()
        assert json.loads(tail.stdout.readline())["kind"] == "open"
        assert json.loads(tail.stdout.readline())["row"] == 5
        tail.send_signal(2)
        out, err = tail.communicate()
        assert (out, err, tail.returncode) == ("", "", 0)
    following.close()


def test_a_reader_that_goes_away_is_no_fault(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "audit", INSTANCE, StillClock())
    writer.append(call_lines(1, 5_000))
    writer.close()
    with start_tail(tmp_path, "-n", "5000") as tail:
        assert tail.stdout is not None
        assert tail.stderr is not None
        assert "call" in tail.stdout.readline()
        tail.stdout.close()
        assert tail.wait() == 0
        assert tail.stderr.read() == ""
