"""What a command asks of the tokens that were issued, and what it is told; no token stands in it."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from jotgate.core.misplaced import check_foreign_identifiers, check_identifiers, token_given
from jotgate.errors import CommandError

TOKENS_MAX: Final = 100
_TEXT_MAX: Final = 256
_DOTS: Final = 2  # of a compact JWS
_FOREIGN_MAX: Final = 4_096
"""Whatever a token of another issuer may have as its `jti` (RFC 7519 s4.1.7); longer ones fit no header."""


class TokenListing(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which tokens are wanted: those of a subject and of a client, if given; `live`: that still count.

    `after` is where the last page ended; empty for the first.
    """

    subject: str | None = None
    client_id: str | None = None
    live: bool = False
    after: str = ""


class TokenView(Struct, frozen=True, kw_only=True):
    """One token as it stands: `ended` is past its `exp`, `revoked` may be so by its family or by an ancestor.

    `actor` is who acts by it; null: whom it speaks for.
    """

    token_id: str
    subject: str
    client_id: str
    kid: str
    issued_at_s: int
    expires_at_s: int
    state: Literal["live", "revoked", "ended"]
    parent: str | None = None
    family: str | None = None
    actor: str | None = None


class TokenPage(Struct, frozen=True):
    """Some tokens, by their identifier, and where to go on; `after` empty: these were the last.

    `elsewhere` are the issuers that are trusted beside this installation; nobody here knows what they have issued.
    """

    tokens: list[TokenView]
    after: str
    elsewhere: list[str]


class TokenOrder(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which tokens to revoke. Unless it is `confirmed`, nothing is done, and what would happen is told.

    `issuer` is for tokens that were made elsewhere: its name here, or its `iss`. `families`: end the refresh-token
    families that the tokens came of, too.

    Raises:
        CommandError: a text is not plain, or a token or secret instead of an identifier.
    """

    token_ids: Annotated[tuple[str, ...], Meta(min_length=1, max_length=TOKENS_MAX)]
    issuer: str = ""
    families: bool = False
    reason: str = ""
    confirmed: bool = False

    def __post_init__(self) -> None:
        check_identifiers((self.issuer, self.reason))
        if self.issuer:
            check_foreign_identifiers(self.token_ids)
        else:
            check_identifiers(self.token_ids)
            for token_id in self.token_ids:
                if token_id.count(".") == _DOTS:  # No identifier of ours has any.
                    raise token_given(token_id)
        if len(self.reason) > _TEXT_MAX or not self.reason.isprintable():
            raise CommandError(
                f"the reason is longer than {_TEXT_MAX} characters, or no plain text",
                hint="Write the reason in one line without control characters, or leave it out",
            )
        longest = _FOREIGN_MAX if self.issuer else _TEXT_MAX
        if any(len(one) > longest or not one.isprintable() for one in self.token_ids):
            raise CommandError(
                f"an identifier is longer than {longest} characters, or no plain text",
                hint="'jotgate token list' shows the identifiers of tokens; name who issued others with --issuer",
            )


class TokenAnswer(Struct, frozen=True, kw_only=True):
    """What the order does, or would do. `tokens` are those that it names, as far as they are known here.

    `live` is how many tokens it invalidates that still count, those too that came of the ones it names; None: that
    cannot be known, as they were made elsewhere. `derived` are those among them that nobody named. `more`: the count
    was ended, and there are more. `families` are the refresh-token families of the tokens that live on, and give new
    tokens.
    """

    tokens: list[TokenView]
    live: int | None
    derived: int
    more: bool
    families: list[str]
    ended_families: list[str]
    done: bool
    shared: bool
