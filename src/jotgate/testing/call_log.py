"""What an upstream that counts tokens has written down of the calls that reached it, one line for each."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

COMPLETE: Final = "complete"
GONE: Final = "gone"
_NONE: Final = "-"


class CallLine(Struct, frozen=True):
    """One call. `written` are the tokens that were written until the connection went away.

    For a whole answer these are all that were made, whoever waited for it. `ceiling` is the one that stood in the body,
    for each of its choices; None: there was none. `ending` is `complete`, `gone`, or what the prompt asked for.
    """

    request_id: str
    kind: str
    ceiling: int | None
    prompt: int
    written: int
    ending: str

    @property
    def tokens(self) -> int:
        """All that it cost."""
        return self.prompt + self.written


def render_line(line: CallLine) -> str:
    """The line, with its end."""
    ceiling = _NONE if line.ceiling is None else line.ceiling
    return f"{line.request_id} {line.kind} {ceiling} {line.prompt} {line.written} {line.ending}\n"


def read_calls(file: Path) -> list[CallLine]:
    """All lines of a file that are whole."""
    return [_read_line(line.split()) for line in file.read_text("ascii").splitlines(keepends=True) if line[-1] == "\n"]


def _read_line(words: Sequence[str]) -> CallLine:
    request_id, kind, ceiling, prompt, written, ending = words
    known = None if ceiling == _NONE else int(ceiling)
    return CallLine(request_id, kind, known, int(prompt), int(written), ending)


def refused(line: CallLine) -> bool:
    """Whether the upstream refused it with a status, which costs no tokens."""
    return line.ending.isdecimal()


def tokens_of(lines: Iterable[CallLine]) -> int:
    """What calls cost together: nothing those that were refused."""
    return sum(line.tokens for line in lines if not refused(line))
