"""Coze's own SDK, pointed at its stand-in, and plain requests to it; what both leave open is closed at the end."""

import http.client
import json
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt as pyjwt

from jotgate.testing.coze import CozeServer
from jotgate.testing.coze_tokens import BASE, JWT_GRANT
from jotgate.testing.coze_told import APP_ID, PAT

with warnings.catch_warnings(record=True):  # It imports a module of authlib that says it will go, and says so always.
    import cozepy

__all__ = ["CozeClients", "Plain", "assertion", "clients_of", "cozepy", "events", "moment", "words"]

TOKEN_PATH = f"{BASE}/token"


class CozeClients:
    """Makes clients of cozepy, all of which are closed together."""

    def __init__(self, server: CozeServer) -> None:
        self._server = server
        self._opened: list[cozepy.SyncHTTPClient] = []

    def close(self) -> None:
        for client in self._opened:
            client.close()

    def coze(self, token: str = PAT) -> cozepy.Coze:
        """The API with this token."""
        return cozepy.Coze(cozepy.TokenAuth(token), self._server.url, self._client())

    def jwt_app(self, **changed: str) -> cozepy.JWTOAuthApp:
        """The app with its newest key pair."""
        keys = {"private_key": self._server.private_key_pem, "public_key_id": self._server.key_id}
        app = cozepy.JWTOAuthApp(**{"client_id": APP_ID, "base_url": self._server.url, **keys, **changed})
        app._requester._sync_client = self._client()
        return app

    def device_app(self) -> cozepy.DeviceOAuthApp:
        """The app for devices."""
        app = cozepy.DeviceOAuthApp(APP_ID, self._server.url)
        app._requester._sync_client = self._client()
        return app

    def pkce_app(self) -> cozepy.PKCEOAuthApp:
        """The app for users in a browser."""
        app = cozepy.PKCEOAuthApp(APP_ID, self._server.url)
        app._requester._sync_client = self._client()
        return app

    def web_app(self, secret: str) -> cozepy.WebOAuthApp:
        """The app with a client secret."""
        app = cozepy.WebOAuthApp(APP_ID, secret, self._server.url)
        app._requester._sync_client = self._client()
        return app

    def _client(self) -> cozepy.SyncHTTPClient:
        self._opened.append(cozepy.SyncHTTPClient(timeout=20.0, verify=False))  # type: ignore[no-untyped-call]
        return self._opened[-1]


@contextmanager
def clients_of(server: CozeServer) -> Iterator[CozeClients]:
    """Clients that are closed at the end."""
    clients = CozeClients(server)
    try:
        yield clients
    finally:
        clients.close()


class Plain:
    """Requests without an SDK: what Coze says, with its status."""

    def __init__(self, server: CozeServer, token: str = PAT) -> None:
        self._server = server
        self._token = token
        self.head: http.client.HTTPMessage | None = None

    def text(self, method: str, target: str, body: object = None, token: str | None = None) -> tuple[int, bytes]:
        """The status and the body; raises http.client.IncompleteRead for one that is torn."""
        client = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=10)
        chosen = self._token if token is None else token
        fields = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {chosen}"} if chosen else {})
        try:
            client.request(method, target, None if body is None else json.dumps(body), fields)
            answer = client.getresponse()
            self.head = answer.headers
            return answer.status, answer.read()
        finally:
            client.close()

    def ask(self, method: str, target: str, body: object = None, token: str | None = None) -> tuple[int, Any]:
        """The status and the decoded body."""
        status, text = self.text(method, target, body, token)
        return status, json.loads(text)

    def post(self, target: str, token: str | None = None, /, **body: object) -> tuple[int, Any]:
        """A POST of these members."""
        return self.ask("POST", target, body, token)

    def get(self, target: str, token: str | None = None) -> tuple[int, Any]:
        """A GET."""
        return self.ask("GET", target, None, token)

    def exchange(self, assertion: str, *, path: str = TOKEN_PATH, **body: object) -> tuple[int, Any]:
        """Ask for a token by a JWT."""
        return self.ask("POST", path, {"grant_type": JWT_GRANT, **body}, assertion)

    def token(self, session: str = "", **body: object) -> str:
        """An access token of this session."""
        made = assertion(self._server, session_name=session)
        status, answer = self.ask("POST", TOKEN_PATH, {"grant_type": JWT_GRANT, **body}, made)
        assert status == 200, answer
        return str(answer["access_token"])


def assertion(server: CozeServer, *, pem: str = "", header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A JWT that the stand-in takes, signed by PyJWT, with changed claims; what is None is left out."""
    now_s = int(server.now_s())
    good = {"iss": APP_ID, "aud": "api.coze.com", "iat": now_s, "exp": now_s + 600, "jti": uuid.uuid4().hex}
    kept = {name: value for name, value in {**good, **claims}.items() if value is not None}
    fields = {"kid": server.key_id, **(header or {})}
    named = {name: value for name, value in fields.items() if value is not None}
    return pyjwt.encode(kept, pem or server.private_key_pem, algorithm="RS256", headers=named)


def events(text: bytes) -> list[tuple[str, Any]]:
    """The events of a stream: names and decoded data."""
    found: list[tuple[str, Any]] = []
    for frame in text.decode("utf-8").split("\n\n"):
        fields = dict(line.split(":", 1) for line in frame.splitlines() if line)
        if fields:
            found.append((fields["event"].strip(), json.loads(fields["data"])))
    return found


def words(text: bytes) -> str:
    """The text that the deltas of a chat's stream make."""
    return "".join(data["content"] for name, data in events(text) if name == "conversation.message.delta")


def moment() -> int:
    """Now, in seconds since 1970."""
    return int(time.time())
