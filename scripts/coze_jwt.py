"""Tries the Coze proxy that listens at PORT (3000): `check` its token's paths, `example` the whole. See --help."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

try:
    from openai import OpenAI

    from jotgate.stores.dotenv import with_dotenv
except ModuleNotFoundError as missing:
    sys.exit(
        f"ERROR: this Python has no module '{missing.name}'; run the script by the one that has it, such as "
        ".venv/bin/python, which 'make setup' makes"
    )

_NOT_USED: Final = "not-used"
_WITHIN_S: Final = 30.0
_SHOWN: Final = 8
_HELLO: Final = "Hello!"


class Proxy:
    """What listens there. `key` is a token of jotgate; with --open-local any text will do."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.key = key

    def ask(self, method: str, path: str) -> Any:
        """Ask, say so, and give the answer's members. Raises SystemExit when it is no success."""
        headers = {"Authorization": f"Bearer {self.key}"}
        request = Request(self.url + path, method=method, headers=headers)  # noqa: S310 - the URL is the user's own
        try:
            with urlopen(request, timeout=_WITHIN_S) as answer:  # noqa: S310
                found = json.loads(answer.read())
        except HTTPError as refusal:
            sys.exit(f"{method} {path} answered {refusal.code}: {refusal.read().decode('utf-8', 'replace')}")
        except URLError as fault:
            sys.exit(f"nothing answers at {self.url} ({fault.reason}); start it with: make dev")
        print(f"{method} {path}  {json.dumps(_without_secrets(found))}")
        return found


def check(proxy: Proxy) -> None:
    """Go through the life of a token: got, kept, renewed, cleared, got again."""
    proxy.ask("GET", "/health")
    first = proxy.ask("GET", "/get_jwt")["token"]
    _require(proxy.ask("GET", "/get_jwt")["token"] == first, "the token is kept while it is good")
    renewed = proxy.ask("POST", "/refresh_jwt")["access_token"]
    _require(renewed != first, "a renewed token is another one")
    _require(proxy.ask("GET", "/get_jwt")["token"] == renewed, "the renewed token is in use")
    _require(proxy.ask("DELETE", "/clear_jwt")["success"], "the token is cleared")
    _require(not proxy.ask("GET", "/health")["jwt"]["hasToken"], "a cleared token is gone")
    _require(proxy.ask("GET", "/get_jwt")["token"] != renewed, "the next token is a new one")
    print("all is well")


def example(proxy: Proxy) -> None:
    """Sessions apart, a chat, a stream, and a workflow if one is configured."""
    sessions = [proxy.ask("GET", f"/get_jwt?sessionName={name}")["token"] for name in ("ann", "bob")]
    _require(len(set(sessions)) == len(sessions), "each session has a token of its own")
    openai = OpenAI(base_url=f"{proxy.url}/v1", api_key=proxy.key, timeout=_WITHIN_S)
    answer = openai.chat.completions.create(model="gpt-3.5-turbo", messages=[{"role": "user", "content": _HELLO}])
    print(f"chat  {answer.choices[0].message.content}")
    print("stream  ", end="")
    stream = openai.chat.completions.create(
        model="gpt-3.5-turbo", messages=[{"role": "user", "content": _HELLO}], stream=True
    )
    for chunk in stream:
        print("".join(one.delta.content or "" for one in chunk.choices), end="", flush=True)
    print()
    if proxy.ask("GET", "/health")["config"]["hasWorkflowId"]:
        answer = openai.chat.completions.create(
            model="gpt-3.5-turbo",
            messages=[{"role": "user", "content": _HELLO}],
            extra_headers={"x-model-type": "workflow"},
        )
        print(f"workflow  {answer.choices[0].message.content}")


def main() -> int:
    """Run one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("check", "example"))
    variables = with_dotenv(os.environ, Path(".env").absolute()).values
    default = f"http://localhost:{variables.get('PORT', '').strip() or 3000}"
    parser.add_argument("--url", default=default, help=f"where it listens (default: {default}, by PORT)")
    asked = parser.parse_args()
    proxy = Proxy(asked.url.rstrip("/"), variables.get("JOTGATE_TOKEN", "") or _NOT_USED)
    {"check": check, "example": example}[asked.what](proxy)
    return 0


def _require(holds: bool, what: str) -> None:
    if not holds:
        sys.exit(f"it does not hold that {what}")


def _without_secrets(found: Any) -> Any:
    """The members, with the beginning of a token in the place of it."""
    return {name: f"{text[:_SHOWN]}…" if name in ("token", "access_token") else text for name, text in found.items()}


if __name__ == "__main__":
    sys.exit(main())
