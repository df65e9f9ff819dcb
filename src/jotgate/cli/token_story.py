"""Why a token was refused as one that was revoked: what was, when, why and by whom; what it came of, and who acts."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from jotgate.cli.records import plain, show_time

if TYPE_CHECKING:
    from pathlib import Path

    from jotgate.core.audit import EventRecord
    from jotgate.core.durable import Revocation
    from jotgate.core.revocation_orders import RevocationSought
    from jotgate.errors import Evidence

_US: Final = 1_000_000
_REVOKED: Final = "token_revoked"
_KINDS: Final = {
    "jti": "token",
    "ancestors": "token",
    "family": "family",
    "client_id": "client",
    "sub": "subject",
    "tenant": "tenant",
    "kid": "key",
    "sid": "session",
}
"""What a claim names by which a token was met."""

_ACCOUNTS: Final = {"client": "client", "subject": "principal", "tenant": "tenant"}
_ENDINGS: Final = {"disabled": "was disabled", "deleted": "was deleted"}
_OF_ISSUERS: Final = frozenset({"token", "subject", "key", "session"})
_DEPTH: Final = "  "


class _Met(NamedTuple):
    """What was revoked: what it is, whose it is if that is said, and its name."""

    kind: str
    issuer: str
    name: str


Sought = Callable[["RevocationSought"], "Revocation | None"]
"""Finds a revocation that the log does not know, as it was made on another machine; None: it is not found."""


def tell_story(directory: "Path", code: str, known: "Evidence", sought: Sought) -> Iterator[tuple[str, str]]:
    """Labels and texts that tell it, as far as the audit log knows, and whoever is asked then.

    Raises:
        AuditUnavailable: a file cannot be read.
    """
    if known.actors:
        yield "acts", " for ".join((*map(plain, known.actors), "whom the token speaks for"))
    if code != _REVOKED:
        return
    met = _met(known)
    line = [*known.ancestors, known.jti] if known.jti else list(known.ancestors)
    for depth, token_id in enumerate(line if len(line) > 1 else ()):
        mark = "  <- revoked" if known.claim in ("jti", "ancestors") and token_id == known.got else ""
        yield "line" if depth == 0 else "", f"{_DEPTH * depth}{plain(token_id)}{mark}"
    if met is not None:
        yield "revoked", _tell(directory, met, sought)


def _met(known: "Evidence") -> "_Met | None":
    """What was revoked; None where the record does not say."""
    if known.claim == "origins":
        kind, _, name = known.got.partition(" ")
        return _split(kind, name) if kind in _OF_ISSUERS else _Met(kind, "", name)
    kind = _KINDS.get(known.claim, "")
    if known.claim == "ancestors":
        return _split(kind, known.got)
    return _Met(kind, "", known.got) if kind else None


def _split(kind: str, name: str) -> "_Met":
    """A name that has its issuer before a space, if it is not ours."""
    issuer, found, rest = name.partition(" ")
    return _Met(kind, issuer, rest) if found else _Met(kind, "", name)


def _tell(directory: "Path", met: "_Met", sought: Sought) -> str:
    what = f"{met.kind} {plain(met.name)}"
    found = _find_event(directory, met)
    if found is None:
        return _tell_of_elsewhere(what, met, sought)
    verb = found.event.rpartition(".")[2]
    done = _ENDINGS.get(verb, "was taken for stolen" if verb == "reused" else "was revoked")
    return _line(f"{what} {done}", found.at, str(found.details.get("reason", "")), found.actor)


def _tell_of_elsewhere(what: str, met: "_Met", sought: Sought) -> str:
    from jotgate.core.durable import RevocationKind
    from jotgate.core.revocation_orders import RevocationSought

    row = None
    if met.kind in set(RevocationKind):
        row = sought(RevocationSought(kind=RevocationKind(met.kind), name=met.name, issuer=met.issuer))
    if row is None:
        return f"{what}; the log in this directory does not say when, it may have been on another machine"
    return _line(f"{what} was revoked on another machine", row.revoked_at_s * _US, row.reason, row.actor)


def _line(done: str, at_us: float, reason: str, actor: str) -> str:
    why = f": {plain(reason)}" if reason else ""
    by = f", by {plain(actor)}" if actor else ""
    return f"{done} at {show_time(at_us)}{why}{by}"


def _find_event(directory: "Path", met: "_Met") -> "EventRecord | None":
    """The newest event that revoked this."""
    import msgspec

    from jotgate.core.audit import EventRecord
    from jotgate.stores.segment_files import find_records

    decode = msgspec.json.Decoder(EventRecord).decode
    for entry in find_records(directory, msgspec.json.encode(met.name)):
        try:
            event = decode(entry.record)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if _is_of(event, met):
            return event
    return None


def _is_of(event: "EventRecord", met: "_Met") -> bool:
    """Whether an event revoked this."""
    name, details = event.event, event.details
    if met.kind == "token":
        known = details.get("jti") == met.name and met.issuer in ("", details.get("issuer", met.issuer))
        return known and name in {"token.revoked", "personal_token.revoked"}
    if met.kind == "family":
        return name in {"family.ended", "family.reused"} and details.get("family") == met.name
    if name == "tokens.revoked":
        return details.get("kind") == met.kind and details.get("name") == met.name
    if met.kind == "key":
        return name == "key.revoked" and details.get("kid") == met.name
    account = _ACCOUNTS.get(met.kind, "")
    return event.subject == met.name and name in {f"{account}.{verb}" for verb in _ENDINGS}
