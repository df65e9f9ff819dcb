"""The line by which control of one machine tells all others something at once: publish and subscribe of a Valkey.

Nothing is kept there, and nobody waits for it: what cannot be sent is dropped, what is lost is not sent again. Whatever
the server does or says, the line is made anew until it is well.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from jotgate.core.hint_checks import SOCKET_SCHEME, TLS_SCHEMES
from jotgate.ports import Clock
from jotgate.stores.addresses import HintsAddress

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub

UNSENT_MAX: Final = 64
"""So many messages wait to be sent at most; then the oldest is dropped."""
HEARD_MAX: Final = 64
"""So many are heard in `SPAN_S` at most; the others wait in the server, or are dropped by it."""
SPAN_S: Final = 0.25
QUIET_S: Final = 2.0
"""A server that has said nothing for so long is asked whether it is there, and has as long again to say so."""

_PATIENCE_S: Final = 2.0
_PAUSES_S: Final = (0.1, 0.25, 0.5, 1.0)
_REASON_CHARS_MAX: Final = 200


class ValkeyLine:
    """A line (ports.HintLine). Mutable: what is to be sent, whether it is well, and how often it was tried in vain.

    `told` hears that the line is lost, with the reason, or, without one, that it is there.
    """

    def __init__(
        self,
        address: HintsAddress,
        channel: str,
        clock: Clock,
        *,
        heard: Callable[[bytes], object],
        told: Callable[[str], object],
    ) -> None:
        self._address = address
        self._channel = channel
        self._clock = clock
        self._heard = heard
        self._told = told
        self._unsent: deque[bytes] = deque(maxlen=UNSENT_MAX)
        self._wake = asyncio.Event()
        self._well: bool | None = None
        self._failures = 0

    def publish(self, message: bytes) -> None:
        """Send it when it can be, or drop it (ports.HintLine)."""
        if self._well:
            self._unsent.append(message)
            self._wake.set()

    async def keep(self) -> None:
        """Listen and send, until cancelled (ports.HintLine)."""
        while True:
            serving = asyncio.get_running_loop().create_task(self._serve())
            try:
                await asyncio.wait({serving})
            finally:
                serving.cancel()
                await asyncio.wait({serving}, timeout=_PATIENCE_S)
            self._lose(serving.exception())
            await asyncio.sleep(_PAUSES_S[min(self._failures, len(_PAUSES_S)) - 1])

    def _lose(self, error: BaseException | None) -> None:
        if self._well is not False:
            self._told(_reason(error))
        self._well = False
        self._failures += 1

    async def _serve(self) -> None:
        """Listen and send while the server does its part. Whatever it raises means that it does not."""
        async with _client(self._address) as client, client.pubsub() as listening:
            await listening.subscribe(self._channel)
            self._unsent.clear()  # What was to be said before is out of date.
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(listening))
                group.create_task(self._send(client))

    async def _listen(self, listening: "PubSub") -> None:
        asked = False
        span_ends_s, count = 0.0, 0
        while True:
            said = await listening.get_message(timeout=QUIET_S)
            if said is None:
                if asked:
                    raise TimeoutError("it does not answer")
                await listening.ping()
            else:
                self._take(said)
            asked = said is None
            now_s = self._clock.monotonic_s()
            if now_s >= span_ends_s:
                span_ends_s, count = now_s + SPAN_S, 0
            count += 1
            if count >= HEARD_MAX:
                await asyncio.sleep(span_ends_s - now_s)

    def _take(self, said: Mapping[str, object]) -> None:
        if not self._well:
            self._well = True
            self._failures = 0
            self._told("")
        message = said.get("data")
        if said.get("type") == "message" and isinstance(message, bytes):
            self._heard(message)

    async def _send(self, client: "Redis") -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._unsent:
                await client.publish(self._channel, self._unsent.popleft())


def _client(address: HintsAddress) -> "Redis":
    """A client that tries little by itself: the line does. TLS shows that the server is the one that is named."""
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    parts = urlsplit(address.url)
    return Redis(
        host=parts.hostname or "",
        port=parts.port or 6379,
        unix_socket_path=unquote(parts.path) if parts.scheme == SOCKET_SCHEME else None,
        username=unquote(parts.username) if parts.username else None,
        password=None if address.password is None else address.password.reveal(),
        ssl=parts.scheme in TLS_SCHEMES,
        socket_timeout=_PATIENCE_S,
        socket_connect_timeout=_PATIENCE_S,
        retry=Retry(NoBackoff(), 1),
        protocol=2,
        client_name="jotgate",
    )


def _reason(error: BaseException | None) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:_REASON_CHARS_MAX]
