"""Which limits the token of a call brought, as the audit log had them when that token was made."""

from typing import TYPE_CHECKING, Final

from jotgate.cli.records import plain

if TYPE_CHECKING:
    from pathlib import Path

    from jotgate.core.audit import CallRecord

_MAKINGS: Final = frozenset({"token.issued", "personal_token.created"})
_QUOTA_CODES: Final = frozenset({"quota_exceeded", "quota_unavailable", "price_unknown"})


def tell_limits(directory: "Path", record: "CallRecord") -> str:
    """The limits; empty where no quota met the call, the token brought none, or it was made elsewhere.

    Raises:
        AuditUnavailable: a file cannot be read.
    """
    if not record.token or (record.charged is None and record.code not in _QUOTA_CODES):
        return ""
    import msgspec

    from jotgate.core.audit import EventRecord
    from jotgate.stores.segment_files import find_records

    decode = msgspec.json.Decoder(EventRecord).decode
    for entry in find_records(directory, b'"jti":' + msgspec.json.encode(record.token)):
        try:
            event = decode(entry.record)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if event.event in _MAKINGS and event.details.get("jti") == record.token:
            return plain(str(event.details.get("limits", "")))
    return ""
