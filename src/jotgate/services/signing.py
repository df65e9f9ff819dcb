"""Chooses the key that signs a token: the active one of the store at that moment, and none that workers do not know.

A face may have a key of its own, which its settings name.
"""

from collections.abc import Awaitable, Callable

from jotgate.core.durable import Issuance, KeyRecord
from jotgate.jose.keys import SigningKey
from jotgate.ports import Clock, PrivateParts, Signer, Signers, StoreAccess
from jotgate.services.keyring import Keyring, missing
from jotgate.store_ports import Store


class NamedSigners:
    """Signs with a key that the settings name, while they name one, and else as others do (ports.Signers).

    `named` says which one at that moment; it is in no ring, so that nothing rotates it.
    """

    def __init__(
        self,
        named: Callable[[], SigningKey | None],
        others: Signers,
        access: StoreAccess,
        hold: Callable[[SigningKey], Signer],
    ) -> None:
        self._named = named
        self._others = others
        self._access = access
        self._hold = hold

    async def signer(self, expires_at_s: int, row: Callable[[str], Issuance]) -> Signer:
        """Whoever signs now; the row that is made of its `kid` is kept. Raises as those others."""
        key = self._named()
        if key is None:
            return await self._others.signer(expires_at_s, row)
        issuance = row(key.kid)
        await self._access.run(lambda store: store.add_issuances([issuance]))
        return self._hold(key)


class StoredSigners:
    """Signs with the keys of a store (ports.Signers). Mutable: the private part that is held for the next token.

    `hold` makes a signer of a private key. `published` returns when this machine's workers know a key, or can serve
    nothing without it.
    """

    def __init__(
        self,
        access: StoreAccess,
        parts: PrivateParts,
        clock: Clock,
        hold: Callable[[SigningKey], Signer],
        published: Callable[[str], Awaitable[None]],
    ) -> None:
        self._access = access
        self._parts = parts
        self._clock = clock
        self._hold = hold
        self._published = published
        self._held: Signer | None = None

    async def signer(self, expires_at_s: int, row: Callable[[str], Issuance]) -> Signer:
        """Whoever signs now, for a token that ends then; the row that is made of its `kid` is kept.

        Raises:
            KeyRefused, DirectoryRefused: no key may sign now, or its private part is not here.
            StoreUnavailable: it cannot be known or kept.
        """

        def reserve(store: Store) -> KeyRecord:
            record = Keyring(store, self._parts, self._clock).reserve(expires_at_s)
            store.add_issuances([row(record.kid)])
            return record

        return await self._signer_of(await self._access.run(reserve))

    async def sign_until(self, expires_at_s: int) -> Signer:
        """Whoever signs now what ends then and is no token that is kept. Raises as above."""
        parts, clock = self._parts, self._clock
        return await self._signer_of(
            await self._access.run(lambda store: Keyring(store, parts, clock).reserve(expires_at_s))
        )

    async def _signer_of(self, record: KeyRecord) -> Signer:
        await self._published(record.kid)
        if self._held is None or self._held.key.kid != record.kid:
            private = await self._access.run(lambda _: self._parts.find(record))
            if private is None:
                raise missing(record)
            self._held = self._hold(private)
        return self._held
