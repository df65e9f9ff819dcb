"""Who sends refused credentials without end is not listened to, and whoever else calls notices nothing of it."""

import base64
import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

from jotgate.testing.running import Gateway, run_command, until
from tests.integration.exchanges import Caller, chat_body, records

_SETTINGS: Final = """\
[server]
trusted_proxies = ["127.0.0.1"]
[limits]
failed_attempts = 20
failed_attempts_per_minute = 6
"""
_FLOOD: Final = {"X-Forwarded-For": "203.0.113.7"}
_OTHER: Final = {"X-Forwarded-For": "2001:db8::7"}
_SENDERS: Final = 4
_EACH: Final = 150


def test_a_flood_of_wrong_tokens_from_one_address_slows_no_other_and_no_known_token(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway(_SETTINGS)
    token = gateway.token().encode()
    known = Caller(gateway)
    assert known("POST", "/v1/chat/completions", chat_body(), token=token, headers=_FLOOD).status == 200
    told: list[int] = []

    def flood() -> None:
        caller = Caller(gateway)
        for number in range(_EACH):
            wrong = token[:-10] + f"{number:010}".encode()
            told.append(caller("POST", "/v1/chat/completions", chat_body(), token=wrong, headers=_FLOOD).status)
        caller.close()

    senders = [threading.Thread(target=flood) for _ in range(_SENDERS)]
    for one in senders:
        one.start()
    statuses = {
        known("POST", "/v1/chat/completions", chat_body(), token=token, headers=_FLOOD).status for _ in range(50)
    }
    for number in range(20):
        fresh = gateway.token(subject=f"s-{number}").encode() if number < 2 else token
        statuses.add(known("POST", "/v1/chat/completions", chat_body(), token=fresh, headers=_OTHER).status)
    for one in senders:
        one.join()
    assert statuses == {200}
    assert set(told) == {401, 429}
    assert told.count(401) < _SENDERS * _EACH / 4
    refused = known("POST", "/v1/chat/completions", chat_body(), token=b"other", headers=_FLOOD)
    assert (refused.status, refused.code) == (429, "attempts_throttled")
    assert 1 <= int(refused.all("retry-after")[0]) <= 10
    known.close()


def test_a_flood_of_wrong_secrets_from_one_address_locks_no_client_out(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(_SETTINGS)
    secret = _client(gateway)
    caller = Caller(gateway)

    def ask(shown: str, place: dict[str, str]) -> int:
        basic = base64.b64encode(f"robot:{shown}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded", **place}
        return caller("POST", "/oauth/token", b"grant_type=client_credentials", headers=headers).status

    assert ask(secret, _FLOOD) == 200
    seen = Counter(ask(f"wrong-{number}", _FLOOD) for number in range(100))
    assert seen.keys() == {401, 429}
    assert seen[401] < 50
    assert ask(secret, _FLOOD) == 200, "it has proved itself by this secret"
    assert ask(secret, _OTHER) == 200
    assert ask("wrong", _OTHER) == 401
    until(lambda: _throttled(gateway) == seen[429], "the refusals are in the audit log")
    caller.close()


def _throttled(gateway: Gateway) -> int:
    return sum(one.get("code") == "attempts_throttled" for one in records(gateway))


def _client(gateway: Gateway) -> str:
    """The secret of a new client `robot`."""
    done = run_command(
        "client", "create", "robot", "--json", "--grant", "client_credentials", "--scope", "ai", data=gateway.data
    )
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["client_secret"])
