"""What a command asks of Kong, and what it is told. No secret stands in it but in what `export` gives."""

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from jotgate.core.kong_credentials import KongCredential
from jotgate.core.kong_migration import KongMigration
from jotgate.core.kong_plan import KongChange, KongPlan
from jotgate.core.misplaced import check_identifiers

SHOWN_MAX: Final = 1_000
"""So many changes, failures and tokens are told; how many there are is told in any case."""
IDS_MAX: Final = 100


class KongOrder(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One command.

    `apply` and `migrate` go on in the background when they take long; `watch` waits for them. `prune`: delete
    credentials with our tag that this installation's store does not know, too. `ids` are those of `revoke`, `after` is
    where a `list` goes on.
    """

    action: Literal["plan", "apply", "plan-migration", "migrate", "watch", "list", "revoke"]
    prune: bool = False
    ids: tuple[str, ...] = ()
    after: str = ""

    def __post_init__(self) -> None:
        check_identifiers((*self.ids, self.after))


class ChangeView(Struct, frozen=True):
    """One change: what is done to what, and of one that is there what differs. `fault`: why it was not done."""

    verb: str
    what: str
    name: str
    why: str = ""
    fault: str = ""


class TokenView(Struct, frozen=True):
    """One named token for Kong, as its row says."""

    credential_id: str
    consumer: str
    token_name: str
    algorithm: str
    created_at_s: int
    expires_at_s: int
    state: str


class KongReport(Struct, frozen=True, kw_only=True):
    """How it stands. `changes` are those that are to be done, `failed` those that could not be.

    `total` is how many changes there are or were, `done` how many were made. `running`: it goes on still; `left`: so
    many were not tried. `strangers` are credentials with our tag that no store knows. `ending` are consumers whose
    tokens of the older form stop working.
    """

    url: str
    changes: list[ChangeView] = []
    failed: list[ChangeView] = []
    notes: list[str] = []
    ending: list[str] = []
    tokens: list[TokenView] = []
    after: str = ""
    total: int = 0
    done: int = 0
    left: int = 0
    strangers: int = 0
    running: bool = False


class KongExport(Struct, frozen=True, forbid_unknown_fields=True):
    """An order for the file of decK; the answer holds secrets."""

    secrets: bool = True


class KongDocument(Struct, frozen=True):
    """The text of that file: it may hold secrets, so `repr` shows none of it."""

    text: str
    consumers: int
    credentials: int

    def __repr__(self) -> str:
        return f"KongDocument({self.credentials} credentials)"


def view_changes(changes: Iterable[KongChange]) -> list[ChangeView]:
    """Changes as they are told."""
    return [ChangeView(one.verb, one.what, one.name, one.why) for one in changes][:SHOWN_MAX]


def view_plan(url: str, plan: KongPlan) -> KongReport:
    """A plan as it is told."""
    return KongReport(
        url=url,
        changes=view_changes(plan.changes),
        notes=list(plan.notes),
        total=len(plan.changes),
        strangers=len(plan.strangers),
    )


def view_migration(url: str, migration: KongMigration) -> KongReport:
    """A migration as it is told."""
    return KongReport(
        url=url,
        changes=view_changes(migration.changes),
        notes=list(migration.notes),
        ending=list(migration.ending[:SHOWN_MAX]),
        total=len(migration.changes),
    )


def view_token(row: KongCredential) -> TokenView:
    """A row as it is told, without its key and its secret."""
    return TokenView(
        row.credential_id,
        row.consumer,
        row.token_name,
        row.algorithm,
        row.created_at_s,
        row.expires_at_s,
        str(row.state),
    )
