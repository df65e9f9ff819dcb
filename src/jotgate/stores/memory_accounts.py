"""Accounts and personal tokens as plain dictionaries: the reference that says what the databases must do."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from jotgate.core.accounts import (
    Account,
    AccountChange,
    AccountKind,
    AnyAccount,
    ClientRecord,
    PersonalToken,
    PrincipalRecord,
    TenantRecord,
    TokenUse,
)
from jotgate.core.durable import Revocation
from jotgate.stores.memory_rows import MemoryRows

_KINDS: Final[Mapping[type[AnyAccount], AccountKind]] = {
    TenantRecord: "tenant",
    PrincipalRecord: "principal",
    ClientRecord: "client",
}

_RIVALS: Final[Mapping[type[AnyAccount], AccountKind]] = {PrincipalRecord: "client", ClientRecord: "principal"}
"""Whose names may not be those of the others: a token's `sub` is one of either (RFC 9700 s4.15)."""


class MemoryAccounts(MemoryRows):
    """Keeps accounts in this process (store_ports.AccountRecords, store_ports.PersonalTokenRecords)."""

    def account(self, kind: type[Account], name: str) -> Account | None:
        """The one of this kind and name."""
        with self._lock:
            found = self._rows.accounts.get((_KINDS[kind], name))
            return found if isinstance(found, kind) else None

    def accounts(self, kind: type[Account], after: str, limit: int, *, tenant: str = "") -> Sequence[Account]:
        """Those of a kind, by name."""
        with self._lock:
            found = [one for one in self._rows.accounts.values() if isinstance(one, kind) and one.name > after]
        fitting = [one for one in found if not tenant or _tenant(one) == tenant]
        return tuple(sorted(fitting, key=lambda one: one.name)[:limit])

    def put_account(self, record: AnyAccount) -> int | None:
        """Keep one if its version still stands and nobody of the other kind has its name."""
        with self._lock:
            place = (_KINDS[type(record)], record.name)
            found = self._rows.accounts.get(place)
            if (found.version if found else 0) != record.version:
                return None
            if (_RIVALS.get(type(record)), record.name) in self._rows.accounts:
                return None
            version = self._changed(*place)
            self._rows.accounts[place] = replace(record, version=version)
            return version

    def drop_account(self, kind: type[Account], name: str, version: int) -> bool:
        """Forget one if its version still stands."""
        with self._lock:
            place = (_KINDS[kind], name)
            found = self._rows.accounts.get(place)
            if found is None or found.version != version:
                return False
            del self._rows.accounts[place]
            self._changed(*place)
            return True

    def accounts_after(self, version: int, limit: int) -> Sequence[AccountChange]:
        """What has changed since, in order."""
        with self._lock:
            found = [AccountChange(*place, number) for place, number in self._rows.account_changes.items()]
        return tuple(sorted((one for one in found if one.version > version), key=lambda one: one.version)[:limit])

    def personal_token(self, token_id: str) -> PersonalToken | None:
        """The one with this identifier."""
        with self._lock:
            return self._rows.personal_tokens.get(token_id)

    def find_personal_token(self, digest: bytes) -> PersonalToken | None:
        """The one with this digest."""
        with self._lock:
            held = self._rows.personal_tokens.values()
            return next((one for one in held if any(secret.digest == digest for secret in one.secrets)), None)

    def personal_tokens(self, owner: str, after: str, limit: int) -> Sequence[PersonalToken]:
        """Those of an owner, by identifier."""
        with self._lock:
            held = sorted(self._rows.personal_tokens.values(), key=lambda one: one.token_id)
        return tuple(one for one in held if one.token_id > after and owner in {"", one.owner})[:limit]

    def put_personal_token(self, record: PersonalToken) -> int | None:
        """Keep one if its version still stands and its name is free."""
        with self._lock:
            held = self._rows.personal_tokens
            found = held.get(record.token_id)
            named = [one for one in held.values() if (one.owner, one.name) == (record.owner, record.name)]
            if (found.version if found else 0) != record.version or any(
                one.token_id != record.token_id for one in named
            ):
                return None
            version = self._changed("personal_token", record.token_id)
            held[record.token_id] = replace(record, version=version)
            return version

    def drop_personal_token(self, token_id: str, version: int, revocation: Revocation) -> bool:
        """Forget one if its version still stands, and keep that it was revoked."""
        with self._lock:
            found = self._rows.personal_tokens.get(token_id)
            if found is None or found.version != version:
                return False
            del self._rows.personal_tokens[token_id]
            self._changed("personal_token", token_id)
            self._keep_revoked(revocation)
            return True

    def touch_personal_tokens(self, uses: Sequence[TokenUse]) -> None:
        """Keep later uses."""
        with self._lock:
            for use in uses:
                found = self._rows.personal_tokens.get(use.token_id)
                if found is not None and use.used_at_s > found.last_used_at_s:
                    touched = replace(found, last_used_at_s=use.used_at_s, last_used_from=use.used_from)
                    self._rows.personal_tokens[use.token_id] = touched

    def drop_personal_tokens(self, ended_at_s: int, limit: int) -> int:
        """Forget tokens that have ended, those first that ended first."""
        with self._lock:
            held = self._rows.personal_tokens.values()
            ended = sorted((one.expires_at_s, one.token_id) for one in held if one.expires_at_s <= ended_at_s)[:limit]
            for _, token_id in ended:
                del self._rows.personal_tokens[token_id]
                self._changed("personal_token", token_id)
            return len(ended)

    def _changed(self, kind: AccountKind, name: str) -> int:
        self._rows.accounts_version += 1
        self._rows.account_changes[kind, name] = self._rows.accounts_version
        return self._rows.accounts_version


def _tenant(one: AnyAccount) -> str:
    return one.name if isinstance(one, TenantRecord) else one.tenant
