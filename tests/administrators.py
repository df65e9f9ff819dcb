"""Administrators of a running gateway, who use its admin API through the edge."""

import http.client
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from jotgate.testing.running import Gateway, run_command


class Reply(NamedTuple):
    """What came back. `fields` are the header fields by lower-case name."""

    status: int
    fields: Mapping[str, str]
    body: Any

    @property
    def code(self) -> tuple[int, str]:
        """The status and code of a problem."""
        assert self.fields["content-type"] == "application/problem+json", self
        return self.status, self.body["code"]


class Administrator:
    """Whoever has a token that `jotgate admin token` made, of everything unless `scopes` are given."""

    def __init__(self, gateway: Gateway, *scopes: str) -> None:
        chosen = [word for scope in scopes for word in ("--scope", scope)]
        made = run_command("admin", "token", *chosen, data=gateway.data)
        assert made.returncode == 0, made.stderr
        self.token = made.stdout.strip()
        self._host = gateway.url.removeprefix("http://")

    def ask(self, method: str, path: str, body: Any = None, /, **fields: str) -> Reply:
        """One request; `_` in a field's name stands for `-`."""
        headers = {"Authorization": f"Bearer {self.token}", **{k.replace("_", "-"): v for k, v in fields.items()}}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(self._host, timeout=10)
        try:
            connection.request(method, "/admin/api" + path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            content = response.read()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, found, json.loads(content) if content else None)
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """What is there."""
        reply = self.ask("GET", path)
        assert reply.status == 200, reply
        return reply.body

    def make(self, path: str, body: Any, /, **fields: str) -> Any:
        """Make something."""
        reply = self.ask("POST", path, body, **fields)
        assert reply.status == 201, reply
        return reply.body
