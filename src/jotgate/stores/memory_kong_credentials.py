"""Credentials for Kong in the memory store."""

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from jotgate.core.kong_credentials import LIVING, CredentialCounts, CredentialState, KongCredential, TakenAs
from jotgate.stores.memory_rows import MemoryRows


class MemoryKongCredentials(MemoryRows):
    """Keeps them in a dictionary (store_ports.KongLedger)."""

    def take_credential(self, record: KongCredential, most: int) -> TakenAs:
        """Keep a new one, unless something stands against it."""
        with self._lock:
            rows = self._rows.kong_credentials
            living = [one for one in self._living_credentials() if one.consumer == record.consumer]
            if any(one.subject != record.subject for one in living):
                return TakenAs.OTHERS
            known = [one.key for one in rows.values() if one.state is not CredentialState.GONE]
            named = [one.token_name for one in living]
            if record.key in known or record.token_name in named or record.credential_id in rows:
                return TakenAs.NAMED_ALREADY
            if len(living) >= most:
                return TakenAs.TOO_MANY
            rows[record.credential_id] = replace(record, state=CredentialState.WANTED)
            return TakenAs.WANTED

    def kong_credential(self, credential_id: str) -> KongCredential | None:
        """The one with this id."""
        with self._lock:
            return self._rows.kong_credentials.get(credential_id)

    def credentials_for(self, subject: str, after: str, limit: int) -> Sequence[KongCredential]:
        """Those for a subject that live."""
        with self._lock:
            return _page([one for one in self._living_credentials() if one.subject == subject], after, limit)

    def credential_page(self, after: str, limit: int) -> Sequence[KongCredential]:
        """All that are not gone."""
        with self._lock:
            rows = self._rows.kong_credentials.values()
            return _page([one for one in rows if one.state is not CredentialState.GONE], after, limit)

    def pending_credentials(self, wanted_before_s: int, limit: int) -> Sequence[KongCredential]:
        """Those that Kong is to be rid of."""
        with self._lock:
            found = [
                one
                for one in self._rows.kong_credentials.values()
                if one.state is CredentialState.UNWANTED
                or (one.state is CredentialState.WANTED and one.changed_at_s < wanted_before_s)
            ]
        return tuple(sorted(found, key=lambda one: (one.changed_at_s, one.credential_id))[:limit])

    def count_credentials(self) -> CredentialCounts:
        """How many are held."""
        with self._lock:
            held = [one for one in self._rows.kong_credentials.values() if one.state is CredentialState.HELD]
            return CredentialCounts(len(held), len({one.consumer for one in held}))

    def hold_credentials(self, ids: Sequence[str], now_s: int) -> int:
        """From wanted to held."""
        with self._lock:
            return self._move(ids, {CredentialState.WANTED}, CredentialState.HELD, now_s)

    def unwant_credentials(self, ids: Sequence[str], now_s: int) -> int:
        """From living to unwanted."""
        with self._lock:
            return self._move(ids, LIVING, CredentialState.UNWANTED, now_s)

    def forsake_credentials(self, ids: Sequence[str], now_s: int) -> int:
        """From unwanted to gone."""
        with self._lock:
            return self._move(ids, {CredentialState.UNWANTED}, CredentialState.GONE, now_s)

    def expire_credentials(self, now_s: int, limit: int) -> int:
        """Unwant those whose tokens have ended, those first that ended first."""
        held = CredentialState.HELD
        with self._lock:
            rows = self._rows.kong_credentials.values()
            ended = [one for one in rows if one.state is held and one.expires_at_s <= now_s]
            ended.sort(key=lambda one: (one.expires_at_s, one.credential_id))
            ids = [one.credential_id for one in ended[:limit]]
            return self._move(ids, {held}, CredentialState.UNWANTED, now_s)

    def drop_credentials(self, gone_before_s: int, limit: int) -> int:
        """Forget those that went first."""
        with self._lock:
            rows = self._rows.kong_credentials
            went = [
                one for one in rows.values() if one.state is CredentialState.GONE and one.changed_at_s < gone_before_s
            ]
            went.sort(key=lambda one: (one.changed_at_s, one.credential_id))
            for one in went[:limit]:
                del rows[one.credential_id]
            return len(went[:limit])

    def _living_credentials(self) -> list[KongCredential]:
        return [one for one in self._rows.kong_credentials.values() if one.state in LIVING]

    def _move(self, ids: Sequence[str], before: Collection[CredentialState], after: CredentialState, now_s: int) -> int:
        """Bring those that are in one of these states into another; how many. The caller holds the lock."""
        rows = self._rows.kong_credentials
        found = [rows[one] for one in dict.fromkeys(ids) if one in rows and rows[one].state in before]
        for one in found:
            sealed = one.sealed if after in LIVING else None
            rows[one.credential_id] = replace(one, state=after, changed_at_s=now_s, sealed=sealed)
        return len(found)


def _page(found: Sequence[KongCredential], after: str, limit: int) -> Sequence[KongCredential]:
    ordered = sorted(found, key=lambda one: one.credential_id)
    return tuple([one for one in ordered if one.credential_id > after][:limit])
