"""The closed table of operations: every AI call that jotgate knows, and its figures. No other path is served."""

from typing import Final
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from jotgate.errors import MethodRefused, UnknownOperation

ALL_OPERATIONS_SCOPE: Final = "ai"
METRICS: Final = "metrics"
"""No AI call: `ai` does not cover it."""
CREDENTIALS: Final = "upstream:credentials"
"""Having a token of an upstream itself, renewing and clearing it: an operation of a face. `ai` does not cover it."""
DECIDE: Final = "decide"
"""Passing where a proxy asks whether a request may pass (`core.decisions`). `ai` does not cover it."""
BEYOND_AI: Final = frozenset({METRICS, CREDENTIALS, DECIDE})
"""The operations that `ai` does not cover."""
USAGE: Final = "usage"
"""What the caller has used of the own quotas. It needs no scope, and no policy speaks of it."""
RESPONSES: Final = "responses"
CLIENT_SECRETS_PATH: Final = b"/v1/realtime/client_secrets"
TICKETS_PATH: Final = b"/v1/ws-tickets"
TICKETS: Final = "ws-tickets"
"""Having a ticket for a WebSocket. It needs the scope of what is opened by it, and policies are asked about that."""
NO_SCOPES: Final = frozenset({USAGE, TICKETS})
"""Operations that have no scope of their own."""
OF_CONTROL: Final = frozenset({METRICS, USAGE})
"""The operations that control answers, whatever their path."""


class Operation(Struct, frozen=True):
    """One row. `name` is also the scope that it needs, but for `NO_SCOPES`.

    `path` is matched byte for byte, never normalised; one that ends in `/` takes the rest as the model's name.
    A `socket` is a WebSocket, whose model its query names; other `forwarded` operations carry a JSON body with `model`.
    What is not forwarded is answered from the snapshot, or by control.
    """

    name: str
    method: bytes
    path: bytes
    forwarded: bool
    socket: bool = False


OPERATIONS: Final = (
    Operation("chat.completions", b"POST", b"/v1/chat/completions", True),
    Operation("completions", b"POST", b"/v1/completions", True),
    Operation("embeddings", b"POST", b"/v1/embeddings", True),
    Operation("realtime", b"GET", b"/v1/realtime", True, socket=True),
    Operation(RESPONSES, b"GET", b"/v1/responses", True, socket=True),
    Operation("realtime", b"POST", CLIENT_SECRETS_PATH, False),
    Operation("models", b"GET", b"/v1/models", False),
    Operation("models", b"GET", b"/v1/models/", False),
    Operation(METRICS, b"GET", b"/metrics", False),
    Operation(USAGE, b"GET", b"/v1/usage", False),
    Operation(TICKETS, b"POST", TICKETS_PATH, False),
)
SOCKET_PATHS: Final = frozenset(row.path for row in OPERATIONS if row.socket)
KONG_OPERATIONS: Final = (
    Operation("kong.tokens.create", b"POST", b"/generate-token-auto", False),
    Operation("kong.tokens.auto", b"POST", b"/auto-generate-consumer", False),
    Operation("kong.tokens.operator", b"POST", b"/create-consumer", False),
    Operation("kong.tokens.list", b"GET", b"/my-tokens", False),
    Operation("kong.tokens.delete", b"DELETE", b"/my-tokens/", False),
    Operation("kong.consumers", b"GET", b"/consumers", False),
    Operation("kong.me", b"GET", b"/me", False),
)
"""What the face of the Kong auth service has, and nobody else (`core.kong_auth`)."""
SCOPES: Final = frozenset({ALL_OPERATIONS_SCOPE, CREDENTIALS, DECIDE}) | {row.name for row in OPERATIONS} - NO_SCOPES

_BY_PATH: Final = {row.path: row for row in OPERATIONS}
PATHS: Final = _BY_PATH.keys()
"""The paths of the table as they stand there."""
_MODEL: Final = _BY_PATH[b"/v1/models/"]


def find_operation(method: bytes, path: bytes) -> Operation:
    """The row for this method and raw path; HEAD goes where GET does (RFC 9110 s9.3.2).

    Raises:
        UnknownOperation: no row has this path.
        MethodRefused: the row has another method.
    """
    row = _BY_PATH.get(path)
    if row is None or row is _MODEL:
        row = _find_row(path)
    if row.method != method and not (method == b"HEAD" and row.method == b"GET"):
        raise MethodRefused(row.method.decode("ascii"), f"{row.name} takes {row.method.decode('ascii')} only")
    return row


def find_methods(path: bytes) -> str:
    """What may be asked of a path, as Allow has it (RFC 9110 s10.2.1); `*` stands for all that the table has.

    Raises:
        UnknownOperation: no row has this path.
    """
    methods = {row.method for row in OPERATIONS} if path == b"*" else {_find_row(path).method}
    if b"GET" in methods:
        methods.add(b"HEAD")
    return ", ".join(sorted(method.decode("ascii") for method in {*methods, b"OPTIONS"}))


def _find_row(path: bytes) -> Operation:
    row = _BY_PATH.get(path)
    if row is None and path.startswith(_MODEL.path):
        row = _MODEL
    if row is None or path == _MODEL.path:
        raise UnknownOperation("this path is not one of the operations that jotgate serves")
    return row


def model_of_path(path: bytes) -> str:
    """The model alias that ends a `/v1/models/…` path, percent-decoded once; empty for any other path.

    Raises:
        UnknownOperation: the decoded bytes are not UTF-8.
    """
    if not path.startswith(_MODEL.path):
        return ""
    try:
        return unquote_to_bytes(path[len(_MODEL.path) :]).decode("utf-8")
    except UnicodeDecodeError:
        raise UnknownOperation("the model's name in this path is not UTF-8") from None
