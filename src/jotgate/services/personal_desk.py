"""Does what is ordered about personal tokens: makes them, lists them, gives them new secrets, revokes them."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.accounts import PersonalToken, PrincipalRecord, SecretDigest
from jotgate.core.durable import IssuanceQuery, Revocation, RevocationKind
from jotgate.core.limit_texts import check_zones, read_limits, write_limit
from jotgate.core.opaque import OPAQUE_BYTES, Mark, make_opaque, opaque_digest
from jotgate.core.operations import ALL_OPERATIONS_SCOPE
from jotgate.core.personal_tokens import (
    LIFETIME_DEFAULT_S,
    PAGE_ROWS,
    TOKENS_PER_OWNER_MAX,
    PersonalAnswer,
    PersonalOrder,
    PersonalView,
)
from jotgate.core.revocations import personal_handle, secret_handle, secrets_handle, token_handle
from jotgate.core.rights import Rights, grant_scopes, within_scopes
from jotgate.errors import CommandError, GrantRefused, RecordChanged, RecordExists, RecordMissing, ScopeRefused
from jotgate.jose.jwt import LEEWAY_S_MAX
from jotgate.ports import Entropy
from jotgate.services.accounts import KnownSubject, find_subject
from jotgate.services.issuable import held_back
from jotgate.services.recorder import Recorder
from jotgate.services.token_ledger import read_ledger
from jotgate.store_ports import Store

_TOKEN_ID_BYTES: Final = 16
_LIST: Final = "Look at 'jotgate pat list'"


class PersonalDone(Struct, frozen=True):
    """What is told of an order that was done, and of whom; `event` empty: nothing was changed.

    Hand `answer` out when what happened is in the audit log.
    """

    answer: PersonalAnswer
    event: str = ""
    subject: str = ""
    details: Mapping[str, str | int] = {}

    def record(self, recorder: Recorder, actor: str) -> PersonalAnswer:
        """The answer, for what is recorded. Raises AuditUnavailable."""
        if self.event:
            recorder.record(self.event, actor=actor, subject=self.subject, details=self.details)
        return self.answer


class PersonalDesk:
    """Carries out orders on a store, at one time. Immutable; to be used inside `StoreAccess.run`."""

    def __init__(self, store: Store, issuer: str, entropy: Entropy, now_s: float) -> None:
        self._store = store
        self._issuer = issuer
        self._entropy = entropy
        self._now_s = int(now_s)

    def carry_out(self, order: PersonalOrder, *, actor: str = "") -> PersonalDone:
        """Do what is ordered; `actor` is who ordered it.

        Raises:
            CommandError, ScopeRefused: it cannot be granted.
            RecordMissing, RecordExists, RecordChanged: there is none of this name, or one already, or it has changed.
            IssuanceHeld: what its owner, or the owner's tenant, had was revoked in this very second; or the secret was
                made in it that is to end.
            StoreUnavailable: it cannot be known whether it was done.
        """
        if order.action == "list":
            return self._list(order)
        if order.action == "create":
            return self._create(order)
        found = self._find(order)
        if order.action == "roll":
            return self._roll(order, found, actor)
        if order.action == "revoke":
            return self._revoke(found, actor)
        return PersonalDone(PersonalAnswer(tokens=(self._view(found),), derived=self._count_derived(found)))

    def _list(self, order: PersonalOrder) -> PersonalDone:
        found = self._store.personal_tokens(order.subject, order.after, PAGE_ROWS)
        after = found[-1].token_id if len(found) == PAGE_ROWS else ""
        shown = [one for one in found if order.name in {"", one.name}]
        return PersonalDone(PersonalAnswer(tokens=tuple(map(self._view, shown)), after=after))

    def _create(self, order: PersonalOrder) -> PersonalDone:
        owner = self._owner(order.subject)
        rights = owner.rights
        self._check_revoked(owner)
        held = self._held(order.subject)
        for one in held:
            if one.name == order.name:
                raise self._taken(order, one.expires_at_s)
        if len(held) >= TOKENS_PER_OWNER_MAX:
            raise CommandError(
                f"'{order.subject}' has {TOKENS_PER_OWNER_MAX} personal tokens, and nobody may have more",
                hint="Revoke one that is not needed: jotgate pat revoke",
            )
        limits = read_limits(order.limits)
        check_zones(limits, self._store.knows_zone)
        secret = make_opaque(Mark.PERSONAL, self._entropy.random_bytes(OPAQUE_BYTES)).reveal()
        token = PersonalToken(
            token_id=self._entropy.random_bytes(_TOKEN_ID_BYTES).hex(),  # No id looks like an option of a command.
            owner=order.subject,
            name=order.name,
            scopes=_scopes(order.scopes, rights),
            models=_models(order.models, rights),
            secrets=(SecretDigest(opaque_digest(secret), self._now_s),),
            expires_at_s=self._now_s + (order.ttl_s or LIFETIME_DEFAULT_S),
            limits=limits,
            # Never before its owner, whom another machine may have made by a clock that is ahead: `personal_lookup`.
            created_at_s=max(self._now_s, owner.record.created_at_s),
            updated_at_s=self._now_s,
        )
        if self._store.put_personal_token(token) is None:
            raise self._taken(order)
        return self._done("personal_token.created", token, secret)

    def _roll(self, order: PersonalOrder, found: PersonalToken, actor: str) -> PersonalDone:
        self._check_revoked(self._owner(found.owner))
        if found.expires_at_s <= self._now_s:
            raise CommandError(
                "this personal token has expired, and one that has expired is not brought back",
                hint="Revoke it, and create another: jotgate pat create",
            )
        secret = make_opaque(Mark.PERSONAL, self._entropy.random_bytes(OPAQUE_BYTES)).reveal()
        new = SecretDigest(opaque_digest(secret), self._now_s)
        before = replace(found.secrets[-1], ends_at_s=min(self._now_s + order.overlap_s, found.expires_at_s))
        rolled = replace(
            found,
            secrets=(before, new) if order.overlap_s else (new,),
            expires_at_s=max(found.expires_at_s, self._now_s + (order.ttl_s or 0)),
            updated_at_s=self._now_s,
        )
        if not order.overlap_s:
            self._end_secrets(found, actor)  # First: what comes of them until then ends too.
        if self._store.put_personal_token(rolled) is None:
            raise _changed()
        return self._done("personal_token.rolled", rolled, secret)

    def _end_secrets(self, found: PersonalToken, actor: str) -> None:
        """End what was traded for the secrets that a personal token has, and for those before them.

        Each is named, as a watermark cannot tell secrets apart whose times are closer than the leeway of clocks.

        Raises:
            IssuanceHeld: the newest was made in this second, as the next would be.
        """
        if found.secrets[-1].created_at_s >= self._now_s:
            raise held_back(1)
        named = Revocation(
            kind=RevocationKind.TOKEN,
            handle=secrets_handle(self._issuer, found.token_id),
            revoked_at_s=self._now_s,
            expires_at_s=found.expires_at_s,  # All of it has ended then.
            before_s=self._now_s - LEEWAY_S_MAX - 1,
            reason="personal token rolled",
            actor=actor,
        )
        handles = [secret_handle(self._issuer, found.token_id, one.created_at_s) for one in found.secrets]
        self._store.revoke([named, *(replace(named, handle=one, before_s=None) for one in handles)])

    def _revoke(self, found: PersonalToken, actor: str) -> PersonalDone:
        revocation = Revocation(
            kind=RevocationKind.TOKEN,
            handle=token_handle(self._issuer, found.token_id),
            revoked_at_s=self._now_s,
            expires_at_s=found.expires_at_s,  # What was narrowed from it has ended then: no roll brings its end nearer.
            reason="personal token revoked",
            actor=actor,
        )
        if not self._store.drop_personal_token(found.token_id, found.version, revocation):
            raise _changed()
        return self._done("personal_token.revoked", found)

    def _count_derived(self, found: PersonalToken) -> int:
        """How many tokens count now that were narrowed from this one, or from those, however often."""
        query = IssuanceQuery(live_at_s=self._now_s, parent=found.token_id)
        if not self._store.find_issuances(query, "", 1):
            return 0
        ledger = read_ledger(self._store, self._issuer, self._now_s)
        return len(ledger.live(ledger.narrowed_from(found.token_id)))

    def _done(self, event: str, token: PersonalToken, secret: str = "") -> PersonalDone:
        view = self._view(token)
        details: dict[str, str | int] = {"jti": token.token_id, "name": token.name, "exp": token.expires_at_s}
        if event == "personal_token.created":
            details |= {
                "scope": " ".join(token.scopes),
                "models": "all" if token.models is None else " ".join(token.models),
                **({"limits": "; ".join(view.limits)} if view.limits else {}),
            }
        if event == "personal_token.rolled":
            details["previous_until"] = view.previous_until_s
        return PersonalDone(PersonalAnswer(tokens=(view,), secret=secret), event, token.owner, details)

    def _owner(self, subject: str) -> KnownSubject:
        """The owner, who must be a principal that may have tokens, and what it may do now."""
        try:
            found = find_subject(self._store, subject)
        except GrantRefused:
            found = None
        if found is None or not isinstance(found.record, PrincipalRecord):
            raise CommandError(
                f"'{subject}' is no principal that may have tokens: there is none of this name, or it or its tenant is "
                "disabled",
                hint="'jotgate principal list' shows who is there; 'jotgate principal create' makes one",
            )
        return found

    def _check_revoked(self, owner: KnownSubject) -> None:
        """Refuse a secret that was revoked before it is made: what is made in the second of a watermark is met by it.

        Raises:
            IssuanceHeld: there is one of this second.
        """
        tenant = owner.record.tenant
        for kind, holder in ((RevocationKind.SUBJECT, owner.record.name), (RevocationKind.TENANT, tenant)):
            rows = self._store.revocations_of(kind, personal_handle(holder))
            if any(row.before_s is not None and row.before_s >= self._now_s for row in rows):
                raise held_back(1)

    def _held(self, owner: str) -> Sequence[PersonalToken]:
        found: list[PersonalToken] = []
        after = ""
        while page := self._store.personal_tokens(owner, after, PAGE_ROWS):
            found += page
            after = page[-1].token_id
        return found

    def _find(self, order: PersonalOrder) -> PersonalToken:
        for one in self._held(order.subject):
            if one.name == order.name:
                return one
        raise RecordMissing(f"'{order.subject}' has no personal token of the name '{order.name}'", hint=_LIST)

    def _taken(self, order: PersonalOrder, ends_at_s: float = inf) -> RecordExists:
        hint = "Choose another name, or give that one a new secret: jotgate pat roll"
        if ends_at_s <= self._now_s:
            hint = "It has expired: revoke it first, with 'jotgate pat revoke', or choose another name"
        return RecordExists(
            f"'{order.subject}' has a personal token of the name '{order.name}'",
            hint=hint,
        )

    def _view(self, token: PersonalToken) -> PersonalView:
        previous = token.secrets[-2].ends_at_s if len(token.secrets) > 1 else 0
        made_at_s = token.secrets[-1].created_at_s
        return PersonalView(
            id=token.token_id,
            subject=token.owner,
            name=token.name,
            scopes=token.scopes,
            models=token.models,
            created_at_s=token.created_at_s,
            rolled_at_s=made_at_s if made_at_s > token.created_at_s else 0,
            expires_at_s=token.expires_at_s,
            previous_until_s=previous if previous is not None and previous > self._now_s else 0,
            last_used_at_s=token.last_used_at_s,
            last_used_from=token.last_used_from,
            limits=tuple(map(write_limit, token.limits)),
        )


def _scopes(asked: tuple[str, ...], rights: Rights) -> tuple[str, ...]:
    """The scopes of a new token: those asked for, in their order, or what AI calls need as far as it may be had."""
    if asked:
        return grant_scopes(" ".join(asked), rights.scopes)
    usual = within_scopes((ALL_OPERATIONS_SCOPE,), rights.scopes)
    if not usual:
        raise ScopeRefused(
            "the owner has no scope for AI calls",
            hint=f"Name scopes with --scope; what may be: {' '.join(sorted(rights.scopes)) or 'none'}",
        )
    return tuple(sorted(usual))


def _models(asked: tuple[str, ...] | None, rights: Rights) -> tuple[str, ...] | None:
    if asked is None:
        return None
    refused = [name for name in asked if rights.models is not None and name not in rights.models]
    if refused:
        raise CommandError(
            "the owner may not use one of the models asked for",
            hint=f"What may be: {' '.join(sorted(rights.models or ())) or 'none'}",
        )
    return tuple(dict.fromkeys(asked))


def _changed() -> RecordChanged:
    return RecordChanged("somebody else changed this personal token at the same time", hint=_LIST)
