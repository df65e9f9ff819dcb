"""What integration tests share: one HTTP request, raw bytes on a socket, the audit records of a running gateway."""

import http.client
import json
import re
import socket
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from jotgate.testing.running import Gateway, until
from jotgate.testing.upstream import UpstreamServer

PATIENCE_S: Final = 10.0
_PREFIX_BYTES: Final = 44  # The digest and the space before each record (docs/audit.md).
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 (\d{3}) ")


class Answer(NamedTuple):
    """An HTTP response; header names in lower case, repeated fields one by one."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)

    def all(self, name: str) -> list[str]:
        """Every value of a header field."""
        return [value for field, value in self.fields if field == name]

    @property
    def code(self) -> str:
        """The error's code."""
        error = self.json["error"]
        return str(self.json["code"] if isinstance(error, str) else error["code"])


def chat_body(model: str = "echo", text: str = "hello", **members: object) -> dict[str, object]:
    """The body of a chat completion."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **members}


class Caller:
    """One kept connection to a gateway, opened anew when the gateway has closed it."""

    def __init__(self, gateway: Gateway, token: str | bytes = "") -> None:
        address = urlsplit(gateway.url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE_S)
        self._token = token if isinstance(token, bytes) else token.encode()

    def __call__(
        self,
        method: str,
        path: str,
        content: object = None,
        *,
        token: bytes | None = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> Answer:
        """Send a request and read the answer."""
        self.send(method, path, content, token=token, headers=headers)
        return self.receive()

    def send(
        self,
        method: str,
        path: str,
        content: object = None,
        *,
        token: bytes | None = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> None:
        """Send a request. `content` is JSON, or bytes as they are; `token` goes before the caller's own."""
        fields: dict[str, str | bytes] = {}
        bearer = self._token if token is None else token
        if bearer:
            fields["Authorization"] = b"Bearer " + bearer
        body = content if isinstance(content, bytes | None) else json.dumps(content).encode()
        self._connection.request(method, path, body, {**fields, **(headers or {})})

    def receive(self) -> Answer:
        """Read the answer to what was sent."""
        response = self._connection.getresponse()
        found = [(name.lower(), value) for name, value in response.getheaders()]
        return Answer(response.status, found, response.read())

    def chat(self, model: str = "echo", text: str = "hello", **members: object) -> Answer:
        """One chat completion."""
        return self("POST", "/v1/chat/completions", chat_body(model, text, **members))

    def close(self) -> None:
        self._connection.close()


def exchange(gateway: Gateway, data: bytes, *, ends: bool = False) -> bytes:
    """Send bytes on a connection of their own and read until the gateway closes it.

    `ends` says after the bytes that nothing more comes. Raises TimeoutError when the gateway keeps the connection.
    """
    return exchange_at(urlsplit(gateway.url).port or 0, data, ends=ends)


def exchange_at(port: int, data: bytes, *, ends: bool = False) -> bytes:
    """`exchange` with whatever listens on this port."""
    deadline_s = time.monotonic() + PATIENCE_S
    received = b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        try:
            connection.sendall(data)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65_536):
                received += piece
                connection.settimeout(max(deadline_s - time.monotonic(), 0.001))
        except (BrokenPipeError, ConnectionResetError):
            pass  # It closed with bytes of ours unread; what it said before that has been read.
    return received


def statuses(received: bytes) -> list[int]:
    """The status of each response."""
    return [int(status) for status in _STATUS_LINE.findall(received)]


def code_of(received: bytes) -> str:
    """The error code of the only, or last, response."""
    return str(json.loads(received.rpartition(b"\r\n\r\n")[2])["error"]["code"])


def records(gateway: Gateway, kind: str = "call") -> list[dict[str, Any]]:
    """The records of this kind that have reached the audit files so far."""
    files = sorted((gateway.data / "audit").glob("*.log"))
    lines = [line for file in files for line in file.read_bytes().split(b"\n")[:-1]]
    found = [json.loads(line[_PREFIX_BYTES:]) for line in lines]
    return [record for record in found if record["kind"] == kind]


def record_of(gateway: Gateway, request_id: str) -> dict[str, Any]:
    """The one audit record of a request, waited for."""

    def named() -> list[dict[str, Any]]:
        return [record for record in records(gateway) if record.get("request_id") == request_id]

    until(lambda: named() != [], f"the record of {request_id} is in the audit log", PATIENCE_S)
    (record,) = named()
    return record


def configuration(upstream: UpstreamServer, more: str = "") -> str:
    """A configuration with the scripted upstream, whose model is `m`."""
    entry = f'[[upstreams]]\nname = "scripted"\nkind = "openai"\nbase_url = "{upstream.base_url}"\nmodels = ["m"]\n'
    return f"{more}\n{entry}credential_env = 'SCRIPTED_KEY'\n"
