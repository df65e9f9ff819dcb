"""Personal tokens as commands and the bus speak of them: orders, what is shown of one, what control finds of one."""

import re
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from jotgate.core.accounts import AccountChange
from jotgate.core.limit_texts import read_limits
from jotgate.core.misplaced import check_identifiers
from jotgate.core.principals import Principal
from jotgate.errors import CommandError

PERSONAL_CLIENT_ID: Final = "personal-token"
"""The `client_id` of a principal that comes of a personal token: nobody else asked for it."""

PERSONAL_TOKENS_OF: Final = "personal tokens of "
"""Stands before a holder's name where a revocation means these tokens alone."""

LIFETIME_DEFAULT_S: Final = 7_776_000
LIFETIME_MAX_S: Final = 31_536_000
OVERLAP_DEFAULT_S: Final = 3_600
OVERLAP_MAX_S: Final = 86_400
TOKENS_PER_OWNER_MAX: Final = 256
PAGE_ROWS: Final = 200

_NAMES_MAX: Final = 64

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

_Names = Annotated[tuple[str, ...], Meta(max_length=_NAMES_MAX)]


class PersonalOrder(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One command about personal tokens. `subject` is the owner; for `list` empty: everybody.

    `create`: `scopes` none: what AI calls need, as far as the owner may; `models` None: all of the owner's. `ttl_s`
    None: the default, or for `roll` no later end than the one that stands. `overlap_s` is how long the secret before a
    `roll` counts. `after` is the `id` behind which a `list` begins. `limits` are texts (`core.limit_texts`).

    Raises:
        CommandError: a name is none, or is a token or secret, a limit is none, or a time is out of its bounds.
    """

    action: Literal["create", "list", "show", "roll", "revoke"]
    subject: str = ""
    name: str = ""
    scopes: _Names = ()
    models: _Names | None = None
    ttl_s: int | None = None
    overlap_s: int = OVERLAP_DEFAULT_S
    after: str = ""
    limits: _Names = ()

    def __post_init__(self) -> None:
        read_limits(self.limits)
        check_identifiers((self.subject, self.name))
        if self.ttl_s is not None and not 1 <= self.ttl_s <= LIFETIME_MAX_S:
            raise CommandError("a personal token lives at most 365d", hint="Ask for a shorter --ttl")
        if not 0 <= self.overlap_s <= OVERLAP_MAX_S:
            raise CommandError("an overlap is from 0s to 24h", hint="Give the holders less time with --overlap")
        if self.action != "list" and not (self.subject and self.name):
            raise CommandError("a personal token is known by its owner and its name", hint="Name both")
        if self.name and not _NAME.fullmatch(self.name):
            raise CommandError(
                "this is no name for a personal token", hint="Take 1 to 64 letters, digits, '.', '_' or '-'"
            )


class PersonalView(Struct, frozen=True, kw_only=True):
    """What is shown of one: never a secret, nor its digest. Times are NumericDates; 0: never.

    `previous_until_s` is the end of the secret before the last `roll`; 0: there is none that still counts.
    """

    id: str
    subject: str
    name: str
    scopes: tuple[str, ...]
    models: tuple[str, ...] | None
    created_at_s: int
    rolled_at_s: int
    expires_at_s: int
    previous_until_s: int
    last_used_at_s: int
    last_used_from: str
    limits: tuple[str, ...] = ()


class PersonalAnswer(Struct, frozen=True, kw_only=True):
    """What a command is told. `secret` is the text of a new token, said this once.

    `after` is what the next `list` begins behind; empty: there is no more. `derived` is how many live tokens were
    narrowed from the one that is shown. `running`: a control process goes by all this already.
    """

    tokens: tuple[PersonalView, ...]
    secret: str = ""
    after: str = ""
    derived: int = 0
    running: bool = False

    def __repr__(self) -> str:
        return f"PersonalAnswer({len(self.tokens)} tokens)"


Reason = Literal["unknown", "expired", "disabled"]


class PersonalFinding(Struct, frozen=True, kw_only=True):
    """What the store says of a personal token: whom it speaks for, or the `reason` why it counts for nothing.

    `version` is that of the accounts when they were read: what changed later is not in it. It counts until
    `until_s` (NumericDate), which is the end of the token or, before that, of this secret of it. `tenant` is its
    owner's, `token_id` its identifier, where it is known.
    """

    version: int
    principal: Principal | None = None
    until_s: int = 0
    tenant: str = ""
    reason: Reason = "unknown"
    token_id: str = ""


class AccountNews(Struct, frozen=True):
    """Which accounts have changed up to this version: who holds something that was said of them lets go of it.

    `everything`: more has changed than is told, or it cannot be known what.
    """

    version: int
    changes: tuple[AccountChange, ...] = ()
    everything: bool = False
