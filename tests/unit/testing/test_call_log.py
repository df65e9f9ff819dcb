"""The log of an upstream says what calls cost, and is read back as it was written."""

from pathlib import Path

from jotgate.testing.call_log import CallLine, read_calls, render_line, tokens_of

LINES = [
    CallLine("req-1", "stream", None, 12, 40, "complete"),
    CallLine("req-2", "unary", 0, 3, 0, "gone"),
    CallLine("-", "unary", 7, 9, 0, "503"),
]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "calls.txt"
    file.write_text("".join(map(render_line, LINES)) + "req-4 stream - 1")

    assert read_calls(file) == LINES, "a line that is not whole is not there yet"


def test_what_is_refused_costs_no_tokens() -> None:
    assert tokens_of(LINES) == 12 + 40 + 3
