"""Who calls, as functions of Python are told: in the message, where nobody but jotgate can write it."""

from typing import Final

import msgspec
from msgspec import Raw

from jotgate.core.mcp_daemon import role_of
from jotgate.core.principals import Principal

CALLER_KEY: Final = "jotgate/caller"
"""The member of `_meta` that says it."""
_decode: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_encode: Final = msgspec.json.Encoder().encode


def with_caller(body: bytes, principal: Principal | None) -> bytes:
    """A message that jotgate has read, with who calls in place of what it said of that itself."""
    if not body:
        return body
    message = _decode(body)
    params = _decode(message.get("params", Raw(b"{}")))
    meta = _decode(params.get("_meta", Raw(b"{}")))
    meta.pop(CALLER_KEY, None)
    if principal is not None:
        told = {"issuer": principal.issuer, "subject": principal.subject, "role": role_of(principal)}
        meta[CALLER_KEY] = Raw(_encode(told))
    return _encode({**message, "params": {**params, "_meta": meta}})
