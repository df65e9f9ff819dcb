"""Events of OpenAI's Responses API over a WebSocket, as far as they must be understood: what a client asks for.

Nothing is kept upstream: `store` is forced to false, what would be kept is refused, and so is what was kept there by
somebody else under the credential that all share. A response may go on from one that was made on the same connection.
"""

from collections.abc import Callable, Iterator, Set
from typing import Final

import msgspec
from msgspec import Raw

from jotgate.core.realtime import CREATE, REFRESH, ClientEvent, objects_in, read_event
from jotgate.errors import JotgateError, RequestMalformed

ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})
"""The events of a server after which nothing more comes of a response."""
_TYPES: Final = frozenset({CREATE, REFRESH})
_KEPT: Final = ("background", "background_options", "conversation", "prompt", "response", "stream_id")
_KEPT_KEYS: Final = frozenset({"file_id", "file_ids", "vector_store_ids", "connector_id"})
_OWN_TOOLS: Final = frozenset({"function", "custom"})
_PREVIOUS: Final = "previous_response_id"

_encode: Final = msgspec.json.Encoder().encode


def read_client(message: bytes) -> ClientEvent:
    """Read an event of a client. Raises RequestMalformed, as `core.realtime.read_event`."""
    return read_event(message, _TYPES)


def for_upstream(
    event: ClientEvent, name_of: Callable[[str], str], output_max: int | None, *, model: str, made: Set[str]
) -> bytes:
    """The event as the upstream is sent it.

    `name_of` is the upstream's own name of a model that the caller may use there; it raises for any other. `model` is
    that of the connection, which an event means that names none. `made` are the responses of this connection.

    Raises:
        RequestMalformed: it asks for what is kept upstream, or goes on from a response that was not made here.
        JotgateError: as `name_of`.
    """
    content: dict[str, object] = {name: msgspec.json.decode(raw) for name, raw in event.members.items()}
    for name in _KEPT:
        if content.get(name):
            raise RequestMalformed(f"'{name}' speaks of what an upstream keeps, or of several responses", param=name)
    previous = content.get(_PREVIOUS)
    if previous is not None and not (isinstance(previous, str) and previous in made):
        raise RequestMalformed("the response to go on from was not made on this connection", param=_PREVIOUS)
    _require_own(content)
    content.setdefault("model", model)
    for owner in _owners(content):
        named = owner["model"]
        if not isinstance(named, str):
            raise RequestMalformed("'model' is not a string", param="model")
        owner["model"] = name_of(named)
    if output_max is not None:
        wanted = content.get("max_output_tokens")
        content["max_output_tokens"] = min(wanted, output_max) if type(wanted) is int and wanted > 0 else output_max
    return _encode({**content, "store": False})


def output_wanted(event: ClientEvent) -> int | None:
    """How many tokens the response that it asks for may have; None: it does not say."""
    wanted = msgspec.json.decode(event.members.get("max_output_tokens", Raw(b"null")))
    return wanted if type(wanted) is int and wanted > 0 else None


def goes_on(event: ClientEvent) -> bool:
    """Whether the response that it asks for goes on from another one."""
    return bytes(event.members.get(_PREVIOUS, b"null")) != b"null"


def write_error(error: JotgateError) -> bytes:
    """A refusal as this API tells one on a WebSocket."""
    param = error.param if isinstance(error, RequestMalformed) and error.param else None
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    text = f"{error.message}. {error.hint}." if error.hint else f"{error.message}."
    told = {"type": kind, "code": error.code, "message": text, "param": param}
    return _encode({"type": "error", "status": error.status, "error": told, "sequence_number": 0, **_flat(told)})


def _flat(told: dict[str, str | None]) -> dict[str, str | None]:
    """Clients read it in the shape of an event of a stream too."""
    return {name: told[name] for name in ("code", "message", "param")}


def _require_own(content: dict[str, object]) -> None:
    """Refuse what somebody else may have put there: an upstream knows all callers by one credential."""
    tools = content.get("tools")
    others = [one for one in tools if not _is_own(one)] if isinstance(tools, list) else []
    for one in objects_in([content.get("input"), others]):
        if not _KEPT_KEYS.isdisjoint(one) or one.get("type") == "item_reference" or type(one.get("container")) is str:
            raise RequestMalformed(
                "it names something that an upstream keeps, which belongs to nobody here",
                hint="Send the content itself",
            )


def _is_own(tool: object) -> bool:
    return isinstance(tool, dict) and tool.get("type") in _OWN_TOOLS


def _owners(content: dict[str, object]) -> Iterator[dict[str, object]]:
    """Each object that names a model: itself, the tools that the upstream runs, and what moderates."""
    yield content
    tools = content.get("tools")
    others = [one for one in tools if not _is_own(one)] if isinstance(tools, list) else []
    yield from (one for one in objects_in([others, content.get("moderation")]) if "model" in one)
