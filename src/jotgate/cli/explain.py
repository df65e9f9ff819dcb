"""`jotgate explain`: what an operator wants to know of a request, most of all why its token was refused."""

import argparse
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from jotgate.cli.common import EXIT_OK, add_data_option, say_next
from jotgate.cli.limit_story import tell_limits
from jotgate.cli.records import log_directory, plain, print_lines, record_json, show_time, word
from jotgate.cli.token_story import tell_story
from jotgate.core.issuers import OURS
from jotgate.errors import CommandError, JotgateError, TokenError

if TYPE_CHECKING:
    from pathlib import Path

    from jotgate.core.audit import CallRecord, EventRecord
    from jotgate.core.durable import Revocation
    from jotgate.core.revocation_orders import RevocationSought
    from jotgate.errors import Evidence

_SHOWN_MAX: Final = 100
_ID_CHARS_MAX: Final = 128
_US: Final = 1e6
_LABEL: Final = 10
_CALL_FIELDS: Final = (
    *("operation", "model", "upstream", "peer", "subject", "actor", "client_id", "issuer", "token", "kid", "policy"),
    *("tool", "rule", "face", "duration_us", "tokens_in", "tokens_out"),
)


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    explain = commands.add_parser(
        "explain",
        help="say why a request ended as it did",
        description="Say from the audit log why a request ended as it did: for a refused token, which claim it was, "
        "what was wanted, what the token says, and the clock; for a revoked one what it came of, which of that was "
        "revoked, when, why and by whom. Works with and without a running jotgate.",
    )
    explain.add_argument("request_id", metavar="REQUEST-ID", help="the X-Request-Id of the answer")
    add_data_option(explain)
    explain.add_argument("--json", action="store_true", help="print the records as JSON lines, newest first")
    explain.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    directory = log_directory(arguments)
    found = _find(directory, arguments.request_id)
    if arguments.json:
        print_lines(record_json(text) for text, _ in found)
        return EXIT_OK
    print_lines(
        line
        for place, (_, record) in enumerate(found)
        for line in (*([""] if place else []), *_show(record, directory))
    )
    say_next("jotgate audit tail", arguments)
    return EXIT_OK


def _find(directory: "Path", request_id: str) -> "list[tuple[bytes, CallRecord | EventRecord]]":
    """The records of this request and what happened for it, newest first, each as it stands in the log too.

    Raises:
        CommandError: there is none.
    """
    import msgspec

    from jotgate.core.audit import CallRecord, EventRecord
    from jotgate.stores.segment_files import find_records

    decode = msgspec.json.Decoder(CallRecord | EventRecord).decode
    found: list[tuple[bytes, CallRecord | EventRecord]] = []
    for entry in find_records(directory, b'"request_id":' + msgspec.json.encode(request_id)):
        try:
            record = decode(entry.record)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        named = record.request_id if isinstance(record, CallRecord) else record.details.get("request_id")
        if named == request_id:
            found.append((entry.record, record))
        if len(found) >= _SHOWN_MAX:
            break
    if not found:
        shown = plain(request_id if len(request_id) <= _ID_CHARS_MAX else request_id[:_ID_CHARS_MAX] + "…")
        raise CommandError(
            f"no request '{shown}' is in the audit log in '{directory}'",
            hint="Take the X-Request-Id of the answer, and name the gateway's directory with --data DIR; a request "
            "stands there half a second after its end",
        )
    return found


def _show(record: "CallRecord | EventRecord", directory: "Path") -> Iterator[str]:
    """A record as lines for a person."""
    from jotgate.core.audit import CallRecord

    if isinstance(record, CallRecord):
        yield from _show_call(record, directory)
        return
    yield f"event {record.event} at {show_time(record.at)}"
    fields = {"actor": record.actor, "subject": record.subject, **record.details}
    yield from _lines("event", [f"{name}={word(value)}" for name, value in fields.items() if value not in ("", 0)])


def _show_call(record: "CallRecord", directory: "Path") -> Iterator[str]:
    answer = f"{record.status} {record.code}".rstrip()
    yield f"request {record.request_id} at {show_time(record.at)}: {record.outcome}, {answer}"
    fields = {name: getattr(record, name) for name in _CALL_FIELDS}
    known = [f"{name}={word(value)}" for name, value in fields.items() if value not in ("", 0, None)]
    yield from _lines("call", known)
    if record.charged is not None:
        charged = {name: getattr(record.charged, name) for name in record.charged.__struct_fields__}
        told = [f"{name}={word(value)}" for name, value in charged.items() if value]
        yield from _lines("charged", told or ["the call alone"])
    for step in record.steps:
        used = {name: getattr(step, name) for name in step.__struct_fields__}
        yield from _lines("step", [f"{name}={word(value)}" for name, value in used.items() if value])
    yield from _lines("limits", filter(None, [tell_limits(directory, record)]))
    if record.refused is not None:
        yield from _show_evidence(record.refused)
        for label, text in tell_story(directory, record.code, record.refused, lambda sought: _ask(directory, sought)):
            yield from _lines(label, [text])
    if record.code:
        kind = next((kind for kind in _kinds(JotgateError) if kind.code == record.code), None)
        # The status of an answer that had begun is not the error's.
        status = record.status if kind is None else kind.status
        yield from _lines("do", [_advice(record, kind)])
        yield from _lines("read", [f"docs/errors.md#{record.code}--{status}"])


def _ask(directory: "Path", sought: "RevocationSought") -> "Revocation | None":
    """What the store has of a revocation, if a jotgate runs that can be asked; what it cannot say is not missed."""
    from jotgate.cli.operator import ask_if_running
    from jotgate.core.revocation_orders import RevocationFound
    from jotgate.stores.directory import DataDirectory

    try:
        found = ask_if_running(DataDirectory(directory.parent), "/revocations/find", sought, RevocationFound)
    except CommandError:
        return None
    return None if found is None else found.revocation


def _show_evidence(known: "Evidence") -> Iterator[str]:
    yield from _lines("token", [f"sha256={known.digest}", f"bytes={known.size}", f"in={word(known.place)}"])
    said = {"alg": known.alg, "kid": known.kid, "typ": known.typ, "iss": known.iss}
    yield from _lines("it says", [f"{name}={_said(value)}" for name, value in said.items() if value] or ["nothing"])
    yield from _lines("", ["(unverified: anybody can write that into a token)"])
    if known.claim:
        fault = f" ({known.fault})" if known.fault else ""
        yield from _lines("claim", [f"{_said(known.claim)}{fault}"])
        yield from _lines("wanted", [_said(known.wanted)] if known.wanted else [])
        yield from _lines("got", [f"{_said(known.got)} (unverified)" if known.got else "nothing"])
    rules = f"those of the issuer {word(known.rules)}, leeway {known.leeway_s} s" if known.rules else "of no issuer"
    yield from _lines("rules", [rules])
    if known.rules:
        more = ["…"] if known.keys > len(known.kids) else []
        yield from _lines("keys", [f"{known.keys}:", *(_said(kid) for kid in known.kids), *more])
    yield from _lines("clock", [f"now {_moment(known.now_s)}"])
    times: Mapping[str, float | None] = {"exp": known.exp, "nbf": known.nbf, "iat": known.iat}
    for name, at_s in times.items():
        if at_s is not None:
            yield from _lines("", [f"{name} {_moment(at_s)}, {_distance(at_s - known.now_s)} (unverified)"])


def _lines(label: str, words: Iterable[str]) -> Iterator[str]:
    text = " ".join(words)
    if text:
        yield f"  {label:<{_LABEL}}{text}"


def _said(text: str) -> str:
    """What a token says, in quotes where it could be taken for something else."""
    return text if text.isprintable() and " " not in text else ascii(text)


def _moment(at_s: float) -> str:
    return f"{show_time(at_s * _US)} ({at_s:.3f})"


def _distance(ahead_s: float) -> str:
    return f"{ahead_s:.3f} s ahead" if ahead_s > 0 else f"{-ahead_s:.3f} s ago"


def _advice(record: "CallRecord", kind: type[JotgateError] | None) -> str:
    """What to do about the error of this kind; for a token of another issuer, what to do about that."""
    if kind is None:
        return "see its page"
    foreign = record.refused is not None and record.refused.rules not in ("", OURS)
    hint = kind.foreign_hint if foreign and issubclass(kind, TokenError) else kind.default_hint
    return hint or "see its page"


def _kinds(base: type[JotgateError]) -> Iterator[type[JotgateError]]:
    for below in base.__subclasses__():
        if "code" in vars(below):
            yield below
        yield from _kinds(below)
