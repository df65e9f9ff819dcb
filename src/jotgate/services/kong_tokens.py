"""Makes, lists and deletes the tokens that users have for what stands behind Kong.

A token's row is in the store before Kong hears of it, and Kong has it before anybody gets the token; so whatever is cut
short leaves either a token that works, or a row that says what Kong is to be rid of, of whose token nobody knows.
"""

import asyncio
import re
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.kong_auth import CASDOOR, OPERATOR, KongAuthRules, KongUser, default_name, further_name
from jotgate.core.kong_credentials import CredentialState, KongConsumer, KongCredential, PlacedConsumer, TakenAs
from jotgate.core.kong_tokens import (
    HS256,
    SECRET_BYTES,
    KongClaims,
    Minted,
    mint_with_pair,
    mint_with_secret,
    survives,
)
from jotgate.core.values import Secret
from jotgate.errors import (
    AuditUnavailable,
    IssuanceHeld,
    JotgateError,
    KongConflict,
    RecordExists,
    RecordMissing,
    StoreUnavailable,
)
from jotgate.jose.encoding import b64url_encode
from jotgate.ports import Clock, Entropy, KongGate, Seals, StoreAccess
from jotgate.services.kong_counts import KongCounts, TokenType
from jotgate.services.recorder import Recorder
from jotgate.store_ports import Store

_KEY_BYTES: Final = 24
_PAGE: Final = 200
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DELETABLE: Final = frozenset({CredentialState.HELD, CredentialState.UNWANTED})
TAKEN: Final = "a token of this name is there already, and so is one of the name that it would get instead"


class Handed(Struct, frozen=True):
    """A token that is handed out, once; its row, and its consumer."""

    token: Secret
    row: KongCredential
    consumer: PlacedConsumer


class TokenMeans(Struct, frozen=True):
    """What tokens are made with."""

    access: StoreAccess
    seals: Seals
    gate: KongGate
    clock: Clock
    entropy: Entropy
    recorder: Recorder


class KongTokens:
    """Immutable. `rules` gives those of the face as they are now; `counts` has what is done here."""

    def __init__(self, means: TokenMeans, rules: Callable[[], KongAuthRules], counts: KongCounts) -> None:
        self._means = means
        self._rules = rules
        self._counts = counts

    async def make(
        self, user: KongUser, name: str = "", description: str = "", *, auto: bool = False, by: str = ""
    ) -> Handed:
        """Make a user a token; `name` empty: it gets the default one. `by` is who does it, if not the user.

        A name that is taken becomes another one, once.

        Raises:
            RecordExists, KongConflict: name or consumer are somebody else's, or the user has too many tokens.
            KongUnavailable, KongRefused: Kong does not take it. Nobody has a token then.
            StoreUnavailable, DirectoryRefused, AuditUnavailable, IssuanceHeld: as little.
        """
        kind: TokenType = "operator" if user.subject.startswith(OPERATOR) else "auto" if auto else "custom"
        self._means.recorder.check()
        consumer = await self._means.gate.put_consumer(KongConsumer(user.name, user.subject))
        if consumer.created:
            self._record("kong.consumer_created", by or user.subject, user.name, {"consumer": user.name})
        now_s = self._means.clock.now_s()
        first = name or default_name(user.name, now_s, auto=auto)
        chance = self._means.entropy.random_bytes(_KEY_BYTES)
        for candidate in (first, further_name(first, now_s, chance)):
            handed = await self._try(user, consumer, candidate, description)
            if handed is not None:
                await self._tell(handed.row, by or user.subject)
                self._counts.tokens[kind] += 1
                return handed
        raise RecordExists(TAKEN, hint="Choose another name")

    async def held(self, user: KongUser) -> list[KongCredential]:
        """The tokens of a user, the newest first. Kong is not asked, and no secret is looked at.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        found: list[KongCredential] = []
        after = ""
        while True:
            page = await self._means.access.run(partial(_read_page, user.subject, after))
            found += [one for one in page if one.state is CredentialState.HELD]
            if len(page) < _PAGE:
                return sorted(found, key=lambda one: (one.created_at_s, one.credential_id), reverse=True)
            after = page[-1].credential_id

    async def delete(self, user: KongUser, credential_id: str, *, anybodys: bool = False) -> KongCredential:
        """Delete a token of the user, or `anybodys`; it does not work any more when this returns.

        Raises:
            RecordMissing: there is no such token.
            StoreUnavailable, AuditUnavailable: nothing was done.
            KongUnavailable, KongRefused: it is deleted as soon as Kong takes that.
        """
        row = None
        if _ID.fullmatch(credential_id):
            row = await self._means.access.run(lambda store: store.kong_credential(credential_id))
        if row is None or row.state not in _DELETABLE or not (anybodys or row.subject == user.subject):
            raise RecordMissing("Token not found", hint="GET /my-tokens lists yours")
        await self._end(user, row)
        return row

    async def delete_named(self, user: KongUser, name: str) -> KongCredential:
        """Delete that token of the user which has this name. Raises as `delete`."""
        row = next((one for one in await self.held(user) if one.token_name == name), None)
        if row is None:
            raise RecordMissing(f"Token with name '{name}' not found", hint="GET /my-tokens lists yours")
        await self._end(user, row)
        return row

    async def _try(self, user: KongUser, consumer: PlacedConsumer, name: str, description: str) -> Handed | None:
        """Make a token of this name; None: the name, or its key at Kong, is taken."""
        minted, row = await self._mint(user, consumer, name, description)
        most = self._rules().tokens_max
        taken = await self._means.access.run(lambda store: store.take_credential(row, most))
        if taken is TakenAs.NAMED_ALREADY:
            return None
        if taken is not TakenAs.WANTED:
            raise _not_taken(taken, user.name)
        try:
            await self._means.gate.put_credential(row, minted.secret)
            await self._hold(row)
        except KongConflict:
            await self._void(row)
            return None
        except JotgateError:
            await self._void(row)
            raise
        return Handed(minted.token, replace(row, state=CredentialState.HELD), consumer)

    async def _mint(
        self, user: KongUser, consumer: PlacedConsumer, name: str, description: str
    ) -> tuple[Minted, KongCredential]:
        rules, entropy = self._rules(), self._means.entropy
        now_s = int(self._means.clock.now_s())
        key = name if rules.key_is_name else b64url_encode(entropy.random_bytes(_KEY_BYTES)).decode("ascii")
        claims = KongClaims(iss=user.name, kid=key, exp=now_s + rules.lifetime_s, iat=now_s)
        if rules.algorithm == HS256:
            octets = entropy.random_bytes(SECRET_BYTES)
            while not survives(octets):
                octets = entropy.random_bytes(SECRET_BYTES)
            minted = mint_with_secret(claims, octets)
        else:
            minted = await asyncio.to_thread(mint_with_pair, claims, rules.algorithm)
        row = KongCredential(
            credential_id=str(uuid.UUID(bytes=entropy.random_bytes(16), version=4)),
            key=key,
            consumer=user.name,
            consumer_id=consumer.consumer_id,
            subject=user.subject,
            token_name=name,
            algorithm=rules.algorithm,
            public_key_pem=minted.public_key_pem,
            sealed=None,
            created_at_s=now_s,
            expires_at_s=claims.exp,
            state=CredentialState.WANTED,
            changed_at_s=now_s,
            description=description,
        )
        if minted.secret is None:
            return minted, row
        return minted, replace(row, sealed=self._means.seals.seal(minted.secret, row.context))

    async def _hold(self, row: KongCredential) -> None:
        ids, now_s = [row.credential_id], int(self._means.clock.now_s())
        if not await self._means.access.run(lambda store: store.hold_credentials(ids, now_s)):
            raise IssuanceHeld("it took so long until Kong had the token that it was taken back", hint="Try again")

    async def _tell(self, row: KongCredential, by: str) -> None:
        """Put a token into the audit log; one of which that does not hear is taken back."""
        try:
            self._record("kong.token_issued", by, row.consumer, _details(row))
        except AuditUnavailable:
            await self._void(row)
            raise

    async def _void(self, row: KongCredential) -> None:
        """Take back a token that nobody got. If the store does not hear of it, its row says so by its age."""
        ids, now_s = [row.credential_id], int(self._means.clock.now_s())
        with suppress(StoreUnavailable):
            await self._means.access.run(lambda store: store.unwant_credentials(ids, now_s))

    async def _end(self, user: KongUser, row: KongCredential) -> None:
        ids, now_s = [row.credential_id], int(self._means.clock.now_s())
        self._means.recorder.check()
        if await self._means.access.run(lambda store: store.unwant_credentials(ids, now_s)):
            self._counts.deleted += 1
            self._record("kong.token_deleted", user.subject, row.consumer, _details(row))
        await self._means.gate.delete_credential(row.credential_id)
        await self._means.access.run(lambda store: store.forsake_credentials(ids, now_s))

    def _record(self, event: str, actor: str, subject: str, details: dict[str, str | int]) -> None:
        told = {"issuer": CASDOOR, **details}
        self._means.recorder.record(event, actor=actor, subject=subject, details=told)


def _read_page(subject: str, after: str, store: Store) -> Sequence[KongCredential]:
    return store.credentials_for(subject, after, _PAGE)


def _not_taken(taken: TakenAs, name: str) -> RecordExists:
    if taken is TakenAs.TOO_MANY:
        return RecordExists(f"'{name}' has as many tokens as one may have", hint="Delete one: DELETE /my-tokens/{id}")
    return RecordExists(f"the consumer '{name}' has tokens of another user", hint="Ask the operator of this gateway")


def _details(row: KongCredential) -> dict[str, str | int]:
    """What the audit log has of a token: nothing by which anybody could use it."""
    return {
        "consumer": row.consumer,
        "token_name": row.token_name,
        "credential": row.credential_id,
        "algorithm": row.algorithm,
        "expires_at": row.expires_at_s,
    }
