"""Every seam to the durable state of an installation, as narrow Protocols; `ports` has what is asked of an event loop.

What is kept of places outside stands in `outward_store_ports`.

Each call is a transaction of its own, from any thread, and may wait for the database. A `put` is a compare-and-set on
the version in its record: None says that somebody else was first, so read again and decide anew.
"""

from collections.abc import Sequence
from typing import Protocol

from jotgate.core.accounts import Account, AccountChange, AnyAccount, PersonalToken, TokenUse
from jotgate.core.durable import (
    Issuance,
    IssuanceQuery,
    IssuerRecord,
    KeyRecord,
    KeyRing,
    Mark,
    Revocation,
    RevocationKind,
    Versions,
)
from jotgate.core.endless_tokens import EndlessToken
from jotgate.core.families import Family, FoundFamily, RefreshRecord
from jotgate.core.ledger import Balance, LeaseAnswer, LeaseAsk
from jotgate.core.limit_records import LimitRecord
from jotgate.core.owned_objects import ObjectKey, OwnedObject
from jotgate.core.policy_values import KeptPolicies, PolicyRecord
from jotgate.core.quotas import Level, Meter
from jotgate.outward_store_ports import KongLedger, McpToolRecords, UpstreamLogins


class Facts(Protocol):
    """What an installation is, said once and for all machines that share the store. All raise StoreUnavailable."""

    def fact(self, name: str) -> str | None:
        """What was fixed under this name, if anything."""

    def fix_fact(self, name: str, value: str) -> str:
        """Fix a value unless one was fixed before; returns the one that stands."""


class KeyRecords(Protocol):
    """The signing keys of the installation. All raise StoreUnavailable."""

    def key_ring(self) -> KeyRing:
        """All keys, those that are gone too, and the version of the whole."""

    def put_keys(self, version: int, changed: Sequence[KeyRecord]) -> int | None:
        """Keep new keys and new states of known ones, all of them or none, if the ring still has this version.

        Returns the new version; None when somebody else changed the ring first: read it again and decide anew.
        """


class IssuerRecords(Protocol):
    """The issuers that are kept in the store. All raise StoreUnavailable."""

    def issuers(self) -> Sequence[IssuerRecord]:
        """All of them, by name."""

    def put_issuer(self, record: IssuerRecord) -> int | None:
        """Keep an issuer if it still has the version in `record` (0: there is none of this name).

        Returns its new version; None when somebody else changed, made or dropped it first.
        """

    def drop_issuer(self, name: str, version: int) -> bool:
        """Forget an issuer if it still has this version; whether that was so."""


class IssuanceRecords(Protocol):
    """The tokens that were issued. All raise StoreUnavailable."""

    def add_issuances(self, rows: Sequence[Issuance]) -> None:
        """Keep all of them or none; durable when this returns. One that is kept already stays as it is."""

    def issuance(self, token_id: str) -> Issuance | None:
        """The one with this `jti`."""

    def find_issuances(self, query: IssuanceQuery, after: str, limit: int) -> Sequence[Issuance]:
        """The first `limit` that fit, by token id, behind the token id `after` (empty: from the beginning)."""

    def count_issuances(self, query: IssuanceQuery) -> int:
        """How many fit."""

    def drop_issuances(self, ended_at_s: int, limit: int) -> int:
        """Forget at most `limit` tokens that had ended at this second; returns how many."""


class RevocationRecords(Protocol):
    """What was revoked, in the order in which it was committed. All raise StoreUnavailable."""

    def revoke(self, rows: Sequence[Revocation]) -> int:
        """Keep all of them or none, and number them; durable when this returns. One that is covered is not kept again.

        Returns the last number there is: a reader whose cursor has reached it knows of all these.
        """

    def revocations_after(self, number: int, limit: int) -> Sequence[Revocation]:
        """The first `limit` with a higher number, in order. What commits later has a higher one than all these."""

    def revocations_of(self, kind: RevocationKind, handle: str) -> Sequence[Revocation]:
        """Those that speak of this, in the order in which they were committed."""

    def drop_revocations(self, ended_at_s: int, limit: int) -> int:
        """Forget at most `limit` that meant nothing any more at this second; returns how many. Numbers stay."""


class AccountRecords(Protocol):
    """Tenants, principals and clients, each by its name. All raise StoreUnavailable."""

    def account(self, kind: type[Account], name: str) -> Account | None:
        """The one of this kind and name."""

    def accounts(self, kind: type[Account], after: str, limit: int, *, tenant: str = "") -> Sequence[Account]:
        """The first `limit` of this kind by name, behind the name `after`; only those of a tenant if one is given."""

    def put_account(self, record: AnyAccount) -> int | None:
        """Keep one if it still has the version in `record` (0: there is none of this name). Returns its new version.

        None too when a client would get the name of a principal that is kept, or a principal that of a client.
        """

    def drop_account(self, kind: type[Account], name: str, version: int) -> bool:
        """Forget one if it still has this version; whether that was so."""

    def accounts_after(self, version: int, limit: int) -> Sequence[AccountChange]:
        """What was put or dropped after this version, personal tokens too, in order; each name once, as it is now."""


class PersonalTokenRecords(Protocol):
    """Personal tokens, never as texts. All raise StoreUnavailable."""

    def personal_token(self, token_id: str) -> PersonalToken | None:
        """The one with this identifier."""

    def find_personal_token(self, digest: bytes) -> PersonalToken | None:
        """The one of whose secrets one has this digest, whether that still counts or not."""

    def personal_tokens(self, owner: str, after: str, limit: int) -> Sequence[PersonalToken]:
        """The first `limit` by identifier, behind `after`; those of `owner`, or all when it is empty."""

    def put_personal_token(self, record: PersonalToken) -> int | None:
        """Keep one, by its version. None too when its owner has another of its name."""

    def drop_personal_token(self, token_id: str, version: int, revocation: Revocation) -> bool:
        """Forget one if it still has this version, and keep that it was revoked, both or neither."""

    def touch_personal_tokens(self, uses: Sequence[TokenUse]) -> None:
        """Keep when tokens were last used, where that is later than what is kept. No version changes."""

    def drop_personal_tokens(self, ended_at_s: int, limit: int) -> int:
        """Forget at most `limit` that had ended at this second; returns how many."""


class EndlessRecords(Protocol):
    """Tokens without an end that were seen, whoever issued them. All raise StoreUnavailable."""

    def endless_tokens(self, subject: str, after: str, limit: int) -> Sequence[EndlessToken]:
        """The first `limit` by digest, behind `after`; those of `subject`, or all when it is empty."""

    def known_endless_tokens(self, digests: Sequence[str]) -> frozenset[str]:
        """Which of these are kept; some hundreds at a time."""

    def see_endless_tokens(self, tokens: Sequence[EndlessToken]) -> None:
        """Keep these, all of them or none; of one that is kept, the earliest first and the latest last sight.

        What else is kept of it stays as it is.
        """

    def drop_endless_tokens(self, seen_at_s: int, most: int, limit: int) -> int:
        """Forget at most `limit` whose last sight is not after this second, or that are more than `most`.

        Those go first that were not seen for longest. Returns how many.
        """


class FamilyRecords(Protocol):
    """Families of refresh tokens. All raise StoreUnavailable."""

    def add_family(self, family: Family, first: RefreshRecord) -> None:
        """Keep a new family with its first token; durable when this returns."""

    def family(self, family_id: str) -> Family | None:
        """The one with this identifier."""

    def find_family(self, digest: bytes) -> FoundFamily | None:
        """The family of the token with this digest, that token, and the first that came after it; one reading.

        Nothing else of the family is read, however often it was rotated; see `FoundFamily`.
        """

    def rotate_family(self, family: Family, used: RefreshRecord, successor: RefreshRecord) -> bool:
        """Keep that a token was used and has a successor; durable when this returns.

        Done only if the family, as kept, still has the version in `family` and has not ended; its version is then one
        higher. Whether that was so.
        """

    def end_family(self, family_id: str, ended_at_s: int, revocation: Revocation) -> bool:
        """End a family, and keep that it was revoked, both or neither; False when it had ended or is not there.

        No successor of it can be unsealed any more. Durable when this returns.
        """

    def families(self, client_id: str, subject: str, after: str, limit: int) -> Sequence[Family]:
        """The first `limit` that live, by identifier, behind `after`; of a client and a subject if they are given."""

    def erase_successors(self, used_before_s: int, limit: int) -> int:
        """Erase at most `limit` sealed successors of tokens that were used before; returns how many."""

    def last_family_end(self) -> int | None:
        """From when on no refresh token that is kept now could be used any more (NumericDate); None: there is none.

        It may be later than that, as of those tokens some are used up, and of families that have ended.
        """

    def drop_families(self, ended_at_s: int, limit: int) -> int:
        """Forget at most `limit` families whose last token had ended at this second; returns how many."""


class PolicyRecords(Protocol):
    """The policies that are kept in the store, as a whole. All raise StoreUnavailable."""

    def policies(self) -> KeptPolicies:
        """All of them in their order."""

    def put_policies(self, version: int, records: Sequence[PolicyRecord]) -> int | None:
        """Keep these, each of another name, in place of all if the whole still has this version.

        Returns the new version of the whole, which those get whose own is 0; None when somebody else was first.
        """


class LimitRecords(Protocol):
    """The limits that are kept for holders. All raise StoreUnavailable."""

    def limits_of(self, holders: Sequence[tuple[Level, str]]) -> Sequence[LimitRecord]:
        """Those of these holders that have any, by level and holder; one reading."""

    def limits(self, after: tuple[str, str], limit: int) -> Sequence[LimitRecord]:
        """The first `limit` by level and holder, behind these two (both empty: from the beginning)."""

    def put_limits(self, record: LimitRecord) -> int | None:
        """Keep the limits of a holder, or with none forget it, by the version in `record` (0: there is none).

        Returns the new version; None when somebody else was first.
        """


class LedgerRecords(Protocol):
    """What is counted, by accounts and windows, and who has leased of it; see `core.ledger`.

    The clock is the store's own: that of the database, or what the store in memory was made with. All raise
    StoreUnavailable.
    """

    def turn(self, asks: Sequence[LeaseAsk]) -> Sequence[LeaseAnswer]:
        """Carry out asks in their order, all of them or none, and answer each; durable when this returns.

        An ask that is carried out again changes nothing, and has the answer that it had.
        """

    def balances(self, meters: Sequence[Meter]) -> Sequence[Balance]:
        """How the accounts of these meters stand, in their order; one reading."""

    def reset_balance(self, meter: Meter) -> Balance:
        """Forget what was posted in the current window, debt too; what is leased stays so. Returns what stood before.

        Durable when this returns.
        """

    def expire_leases(self, limit: int) -> int:
        """Post the units of at most `limit` leases that have run out (free them, of `concurrent`); returns how many."""

    def drop_leases(self, limit: int) -> int:
        """Forget at most `limit` leases that were closed so long ago that no ask about them comes; returns how many."""

    def drop_windows(self, limit: int) -> int:
        """Forget at most `limit` accounts of which nothing is leased and that count no more; returns how many."""

    def knows_zone(self, name: str) -> bool:
        """Whether windows can go by the clock of this zone: by the rules of this machine, which it reads once."""


class OwnedObjects(Protocol):
    """What upstreams keep, and who owns it; what has expired by `now_s` is not there. All raise StoreUnavailable."""

    def owned_object(self, key: ObjectKey, now_s: int) -> OwnedObject | None:
        """The one of this name."""

    def use_owned_object(self, key: ObjectKey, now_s: int, keep_s: int) -> OwnedObject | None:
        """The same, and it is used now, and there for at least `keep_s` more. Its version stays."""

    def owned_objects(self, kind: str, place: str, owner: str, now_s: int, limit: int) -> Sequence[OwnedObject]:
        """The newest `limit` of an owner, by when they were made, and then by name; those of one kind at one place."""

    def put_owned_object(self, record: OwnedObject, most: int) -> OwnedObject | None:
        """Keep one if it still has the version in `record` (0: there is none of this name at `record.used_s`).

        Returns it as it is kept: with the next version, and the time at which it was first made. None when somebody
        else was first. Of more than `most` of its kind at its place that its owner has then, those go that were not
        used for longest.
        """

    def drop_owned_object(self, key: ObjectKey, version: int) -> bool:
        """Forget one if it still has this version (0: whatever version); whether it was there."""

    def drop_owned_objects(self, ended_at_s: int, limit: int) -> int:
        """Forget at most `limit` that had expired at this second; returns how many."""


class Marks(Protocol):
    """Things that count once, such as the `jti` of an assertion, for all machines. All raise StoreUnavailable."""

    def mark(self, mark: Mark, now_s: int) -> Mark | None:
        """Keep a mark; None when it was not there, or had ended by `now_s`, and the one that stands otherwise."""

    def marks_of(self, kind: str, after: str, limit: int) -> Sequence[Mark]:
        """The first `limit` of a kind that are kept, by handle, behind `after`."""

    def fill_mark(self, kind: str, handle: str, content: bytes) -> None:
        """Put a content to a mark that is kept; nothing when there is none."""

    def drop_mark(self, kind: str, handle: str) -> None:
        """Forget a mark; it may be gone already."""

    def drop_marks(self, ended_at_s: int, limit: int) -> int:
        """Forget at most `limit` marks that had ended at this second; returns how many."""


class Store(
    Facts,
    KeyRecords,
    IssuerRecords,
    IssuanceRecords,
    RevocationRecords,
    AccountRecords,
    PersonalTokenRecords,
    EndlessRecords,
    FamilyRecords,
    PolicyRecords,
    LimitRecords,
    LedgerRecords,
    OwnedObjects,
    UpstreamLogins,
    KongLedger,
    McpToolRecords,
    Marks,
    Protocol,
):
    """The durable state of an installation. Plain calls, each a transaction of its own, from any thread."""

    def versions(self) -> Versions:
        """How often each part has changed: one cheap read that says what to read again. Raises StoreUnavailable."""

    def close(self) -> None:
        """Let go of the database; nothing may be asked any more."""
