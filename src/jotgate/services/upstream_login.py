"""Logs in at an upstream, as its operator does it: on another device (RFC 8628), or in a browser of this machine.

What comes of it is a refresh token, which is handed on and never shown. Codes and tokens stand in bodies alone.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from msgspec import Struct

from jotgate.core.coze_login import (
    RANDOM_BYTES,
    Code,
    LoginPlaces,
    Redirect,
    browser_url,
    code_body,
    device_body,
    new_proof,
    poll_body,
    read_return,
)
from jotgate.core.device_login import DeviceCode, begin_polls, poll_on, read_device_code
from jotgate.core.login_answers import Granted, Refused, read_granted
from jotgate.core.routes import Reach
from jotgate.core.token_exchange import Answered, Post, Unanswered
from jotgate.core.values import Secret
from jotgate.errors import CommandError
from jotgate.ports import Clock, Entropy, TokenEndpoint

BROWSER_PATIENCE_S: Final = 300.0
"""So long a browser is waited for."""

_TIMEOUT_S: Final = 15.0
_JSON: Final = "application/json"
_AGAIN: Final = "Run it again"


class Applicant(Struct, frozen=True):
    """Who logs in where: the OAuth app's client ID, its places, and how they are reached."""

    client_id: str
    places: LoginPlaces
    reach: Reach = Reach()


class Surroundings(Struct, frozen=True):
    """What a login needs of the world. `wait` lets so many seconds pass."""

    endpoint: TokenEndpoint
    clock: Clock
    entropy: Entropy
    wait: Callable[[float], Awaitable[None]]


class Listener(Protocol):
    """Waits for a browser on this machine."""

    async def open(self, port: int) -> int:
        """Listen; returns the port, which is another one if it was 0. Raises CommandError."""

    async def wait(self, read: Callable[[str], Code | Refused | None], patience_s: float) -> Code | Refused | None:
        """What `read` makes of the first request-target that it knows; None when the time is over. Then it closes."""

    def close(self) -> None:
        """Listen no more; it may be done already."""


async def log_in_by_device(applicant: Applicant, around: Surroundings, tell: Callable[[DeviceCode], None]) -> Secret:
    """The refresh token that comes when the user has typed the code that `tell` is told on another device.

    Raises:
        CommandError: nobody answers, the login is refused, or nobody has used the code in time.
    """
    places = applicant.places
    answer = await _post(applicant, around, places.device_url, device_body(applicant.client_id))
    if isinstance(answer, Unanswered):
        raise _unanswered(answer)
    code = read_device_code(answer.status, answer.body.reveal().encode())
    if isinstance(code, Refused):
        raise _refused(code)
    tell(code)
    polls = begin_polls(code, around.clock.monotonic_s())
    asked = poll_body(applicant.client_id, code.device_code)
    while True:
        await around.wait(polls.interval_s)
        refused = None
        answer = await _post(applicant, around, places.token_url, asked)
        if isinstance(answer, Answered):
            found = read_granted(answer.status, answer.body.reveal().encode())
            if isinstance(found, Granted):
                return found.refresh_token
            refused = found
        further = poll_on(polls, refused, around.clock.monotonic_s())
        if isinstance(further, Refused):
            raise _refused(further)
        polls = further


async def log_in_by_browser(
    applicant: Applicant, around: Surroundings, listener: Listener, redirect: Redirect, tell: Callable[[str], None]
) -> Secret:
    """The refresh token that comes when the user has agreed in a browser, which `tell` is told the address for.

    The browser comes back to a listener on this machine, once, and with the state that it was sent with (RFC 8252
    s7.3); what it brings is of use only to whoever has the verifier (RFC 7636).

    Raises:
        CommandError: nobody answers or agrees in time, the login is refused, or nothing can listen there.
    """
    proof = new_proof(around.entropy.random_bytes(2 * RANDOM_BYTES))
    port = await listener.open(redirect.port)
    try:
        uri = redirect.at(port)
        tell(browser_url(applicant.places, applicant.client_id, uri, proof))
        found = await listener.wait(lambda target: read_return(target, redirect, proof), BROWSER_PATIENCE_S)
    finally:
        listener.close()
    if found is None:
        raise CommandError(f"no browser came back within {BROWSER_PATIENCE_S:g} s", hint=_AGAIN)
    if isinstance(found, Refused):
        raise _refused(found)
    body = code_body(applicant.client_id, uri, found.code, proof)
    answer = await _post(applicant, around, applicant.places.token_url, body)
    if isinstance(answer, Unanswered):
        raise _unanswered(answer)
    granted = read_granted(answer.status, answer.body.reveal().encode())
    if isinstance(granted, Refused):
        raise _refused(granted)
    return granted.refresh_token


async def _post(applicant: Applicant, around: Surroundings, url: str, body: bytes) -> Answered | Unanswered:
    return await around.endpoint.post(
        Post(url, _JSON, Secret(body.decode()), timeout_s=_TIMEOUT_S, reach=applicant.reach)
    )


def _refused(refused: Refused) -> CommandError:
    hint = _AGAIN
    if refused.error in {"invalid_client", "unauthorized_client"}:
        hint = "Look at client_id in [upstreams.oauth], and at the settings of the OAuth app at the upstream"
    return CommandError(f"the login was refused: {refused.cause}", hint=hint)


def _unanswered(answer: Unanswered) -> CommandError:
    return CommandError(f"the upstream cannot be asked: {answer.reason}", hint="Look at token_url, proxy and ca_file")
