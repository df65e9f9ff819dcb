"""Answers a repeated POST as the first: by its Idempotency-Key, for a day, on every machine that shares the store.

What is kept is a digest of the request, and its answer once there is one. Of an answer with a secret that alone is
kept that it was given. A request that was refused leaves nothing behind, and its key is as new. What failed in the
middle may have been done: its key stays used.
"""

import re
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.control.admin.shapes import AdminRoute, By
from jotgate.core.durable import Mark
from jotgate.errors import (
    CommandError,
    ConfigurationError,
    IdempotencyMismatch,
    IdempotencyPending,
    JotgateError,
    KeyRefused,
    Refusal,
    RequestMalformed,
    SecretShown,
)
from jotgate.ports import Clock, StoreAccess

KEPT_S: Final = 86_400
_KIND: Final = "admin.idempotency"
_KEY: Final = re.compile(r"[!-~]{1,255}", re.ASCII)
_UNDONE: Final = (Refusal, CommandError, ConfigurationError, KeyRefused)


class Sent(Struct, frozen=True):
    """An answer as it goes out: status, header fields beside the usual ones, body."""

    status: int
    fields: dict[str, str] = {}
    body: bytes = b""


class _Kept(Struct, frozen=True, array_like=True):
    """What a mark holds. `sent` None: there is no answer, or, if `shown`, there was one with a secret."""

    request: bytes
    shown: bool = False
    sent: Sent | None = None


class Replays:
    """Does each request with one key once."""

    def __init__(self, access: StoreAccess, clock: Clock) -> None:
        self._access = access
        self._clock = clock

    async def once(
        self, by: By, key: str, request: bytes, route: AdminRoute, work: Callable[[], Awaitable[Sent]]
    ) -> Sent:
        """Do the work, or answer as when it was done. `request` is all that was asked for, as bytes.

        Raises:
            RequestMalformed: the key is none.
            IdempotencyMismatch: the key was used for something else.
            IdempotencyPending: what was asked for is being done, or it is not known whether it was.
            SecretShown: it was done, and the answer is not kept.
            JotgateError: whatever the work raises; StoreUnavailable.
        """
        if not _KEY.fullmatch(key):
            raise RequestMalformed("the Idempotency-Key is not 1 to 255 printable ASCII characters without spaces")
        may = " ".join(sorted(by.scopes))  # Who may do less is not told what came of more.
        handle = sha256(f"{by.subject}\0{by.client_id}\0{may}\0{key}".encode()).hexdigest()
        digest = sha256(request).digest()
        now_s = int(self._clock.now_s())
        mark = Mark(_KIND, handle, now_s + KEPT_S, msgspec.msgpack.encode(_Kept(digest)))
        before = await self._access.run(lambda store: store.mark(mark, now_s))
        if before is not None:
            return _repeat(before.content, digest)
        try:
            sent = await work()
        except JotgateError as error:
            if isinstance(error, _UNDONE):
                await self._access.run(lambda store: store.drop_mark(_KIND, handle))
            raise
        kept = msgspec.msgpack.encode(_Kept(digest, route.secret, None if route.secret else sent))
        await self._access.run(lambda store: store.fill_mark(_KIND, handle, kept))
        return sent


def _repeat(content: bytes, digest: bytes) -> Sent:
    kept = msgspec.msgpack.decode(content, type=_Kept)
    if kept.request != digest:
        raise IdempotencyMismatch("the Idempotency-Key was used for another request")
    if kept.shown:
        raise SecretShown("this was done before, and its answer had a secret that is shown once")
    if kept.sent is None:
        raise IdempotencyPending("this request came before, and what became of it is not known here")
    return Sent(kept.sent.status, {**kept.sent.fields, "Idempotency-Replayed": "true"}, kept.sent.body)
