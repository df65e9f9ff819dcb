"""The one place that writes logs: each event one line on stderr, JSON or text, with secrets taken out.

jotgate's own code and its libraries speak through the standard library's `logging`; a record's `event` and `fields`
(given as `extra`) become members of their own. The same event many times a second is written some times, and counted.
"""

import asyncio
import logging
import sys
import time
import traceback
from collections.abc import Iterable, Mapping
from typing import Final, TextIO

import msgspec

from jotgate.core.audit import CallRecord
from jotgate.core.issuers import Issuer
from jotgate.core.routes import Upstream
from jotgate.core.values import Secret
from jotgate.telemetry.redaction import Redactor

_LINES_PER_SECOND: Final = 20
_EVENTS_MAX: Final = 256
_JOURNAL: Final = logging.getLogger("jotgate")
_TELLING: Final = frozenset({"torn", "timeout", "failed"})
_BREAKERS: Final = {
    "open": (logging.WARNING, "the upstream '%s' has failed several times in a row, and is left alone for a while"),
    "trial": (logging.DEBUG, "one call tries the upstream '%s'"),
    "closed": (logging.INFO, "the upstream '%s' answers again"),
}
_encode: Final = msgspec.json.Encoder().encode

Fields = Mapping[str, str | int | float]


class LogHandler(logging.StreamHandler[TextIO]):
    """Writes lines, with what takes the secrets out of them."""

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        super().__init__(stream)
        self.redactor = redactor


def learn_of(upstreams: Iterable[Upstream], issuers: Iterable[Issuer] = ()) -> None:
    """Take the credentials of these upstreams, and of the proxies before them, out of what is logged from now on.

    The secrets that these issuers share too.
    """
    found: list[Secret | None] = []
    for upstream in upstreams:
        proxy = upstream.reach.proxy
        found += [upstream.credential, upstream.other_credential, None if proxy is None else proxy.credential]
    found += [one.secret for issuer in issuers for one in issuer.secrets]
    learn(secret for secret in found if secret is not None)


def learn(secrets: Iterable[Secret]) -> None:
    """Take these secrets out of what this process logs from now on."""
    for handler in _JOURNAL.handlers:
        if isinstance(handler, LogHandler):
            handler.redactor.learn(secret.reveal() for secret in secrets)


def install(process: str, level: str, form: str, stream: TextIO | None = None) -> None:
    """Write what this process logs from now on. `form` is "json", "text", or "auto": text on a terminal."""
    out = sys.stderr if stream is None else stream
    redactor = Redactor()
    as_json = form == "json" or (form == "auto" and not out.isatty())
    handler = LogHandler(out, redactor)
    handler.setFormatter(JsonLines(process, redactor) if as_json else TextLines(redactor))
    handler.addFilter(Flood())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)  # What libraries say of their ordinary doings is not jotgate's to repeat.
    _JOURNAL.handlers = [handler]
    _JOURNAL.propagate = False
    _JOURNAL.setLevel(level.upper())
    logging.raiseExceptions = False  # Nobody listens any more; that must not end who speaks.


def watch_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Log what fails in a callback of the loop: the fault alone, not the arguments, which may be a caller's bytes."""

    def report(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        fault = context.get("exception")
        report_fault(fault if isinstance(fault, BaseException) else None)

    loop.set_exception_handler(report)


def report_fault(fault: BaseException | None) -> None:
    """Log a fault of jotgate's own, with its traceback."""
    name = "no exception" if fault is None else type(fault).__name__
    _JOURNAL.error("an unexpected fault: %s", name, exc_info=fault, extra={"event": "internal"})


class CallJournal:
    """Logs calls that went wrong (ports.Journal): the upstreams' faults as warnings, refusals for debugging."""

    def note(self, record: CallRecord, debug: str) -> None:
        """Say what happened to a call, in terms of its audit record."""
        telling = record.outcome in _TELLING
        level = logging.WARNING if telling else logging.DEBUG
        if not _JOURNAL.isEnabledFor(level):
            return
        fields: dict[str, str | int] = {
            "request_id": record.request_id,
            "operation": record.operation,
            "upstream": record.upstream,
            "status": record.status,
            "code": record.code,
            "reason": debug,
        }
        what = "a running call was cut" if record.outcome == "cut" else "a request was refused"
        if telling:
            what = f"a call failed at the upstream '{record.upstream}'"
        known = {name: value for name, value in fields.items() if value != ""}
        _JOURNAL.log(level, what, extra={"event": f"call_{record.outcome}", "fields": known})


def note_upstream(name: str, state: str) -> None:
    """Say what has become of an upstream's circuit breaker."""
    level, what = _BREAKERS[state]
    _JOURNAL.log(level, what, name, extra={"event": f"upstream_{state}", "fields": {"upstream": name}})


class Flood(logging.Filter):
    """Lets through some lines of each event in each second. Mutable: the counts of this second."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, tuple[int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write the record; the first one of a later second says how many were left out before."""
        event = _event(record)
        second = int(time.monotonic())
        began, count = self._seen.get(event, (second, 0))
        if began == second and count >= _LINES_PER_SECOND:
            self._seen[event] = (second, count + 1)
            return False
        if began != second:
            if count > _LINES_PER_SECOND:
                record.left_out = count - _LINES_PER_SECOND
            count = 0
        if len(self._seen) >= _EVENTS_MAX:
            self._seen.clear()
        self._seen[event] = (second, count + 1)
        return True


class JsonLines(logging.Formatter):
    """A record as a JSON object on one line."""

    def __init__(self, process: str, redactor: Redactor) -> None:
        super().__init__()
        self._process = process
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        clean = self._redactor.clean
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "time": f"{moment}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "process": self._process,
            "pid": record.process,
            "event": _event(record),
            "message": clean(record.getMessage()),
        }
        for name, value in _fields(record).items():
            line.setdefault(name, clean(value) if isinstance(value, str) else value)
        trace = _trace(record)
        if trace:
            line["trace"] = clean(trace)
        return _encode(line).decode("utf-8")


class TextLines(logging.Formatter):
    """A record as a line for people, with its traceback below."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """The line; an error that is shown in a form of its own has that one."""
        shown: object = getattr(record, "shown", None)
        if isinstance(shown, str):
            return self._redactor.clean(shown).rstrip("\n")
        named = "".join(f" {name}={value}" for name, value in _fields(record).items())
        text = _plain(self._redactor.clean(f"jotgate: {record.getMessage()}{named}"))
        trace = self._redactor.clean(_trace(record))
        below = "".join(f"\n  {_plain(line)}" for line in trace.splitlines())
        return text + below


def _event(record: logging.LogRecord) -> str:
    event = getattr(record, "event", None)
    return event if isinstance(event, str) else record.name


def _fields(record: logging.LogRecord) -> Fields:
    found: object = getattr(record, "fields", None)
    fields = dict(found) if isinstance(found, Mapping) else {}
    left_out: object = getattr(record, "left_out", None)
    if left_out is not None:
        fields["left_out"] = left_out
    return fields


def _trace(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    return "".join(traceback.format_exception(record.exc_info[1]))


def _plain(text: str) -> str:
    """The text as it may stand on a terminal: nothing in it moves the cursor or begins a line."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
