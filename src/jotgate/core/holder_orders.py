"""What somebody orders about all tokens of a client, a subject, a tenant or a key, and what is told of it."""

from typing import Final, Literal

from msgspec import Struct

from jotgate.core.misplaced import check_identifiers
from jotgate.errors import CommandError

HolderKind = Literal["client", "subject", "tenant", "key"]

_OURS_ALONE: Final = ("client", "tenant")
_CHARS_MAX: Final = 512


class HolderOrder(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose tokens to revoke. Unless it is `confirmed`, nothing is done, and what would happen is told.

    `issuer` is for a subject or a key of another issuer: its name here, or its `iss`. `before_s` (NumericDate): those
    that were issued then or earlier; None: until now, and all that a key of another issuer has signed and will sign.

    Raises:
        CommandError: a text is not plain, or a token or secret instead of a name; or there is no such holder elsewhere.
    """

    kind: HolderKind
    name: str
    issuer: str = ""
    before_s: int | None = None
    reason: str = ""
    confirmed: bool = False

    def __post_init__(self) -> None:
        texts = (self.name, self.issuer, self.reason)
        check_identifiers(texts)
        if not self.name or not _is_plain(self.name):
            raise CommandError(
                f"the name is empty, longer than {_CHARS_MAX} characters, or no plain text",
                hint=f"Give the name of the {self.kind}",
            )
        for what, text in (("issuer", self.issuer), ("reason", self.reason)):
            if not _is_plain(text):
                raise CommandError(
                    f"the {what} is longer than {_CHARS_MAX} characters, or no plain text",
                    hint=f"Write the {what} in one line without control characters, or leave it out",
                )
        if self.issuer and self.kind in _OURS_ALONE:
            raise CommandError(
                f"a {self.kind} is this installation's, and no other issuer's",
                hint="Leave the issuer out, or name a subject or a key of it",
            )
        if self.before_s is not None and self.before_s < 0:
            raise CommandError("what was issued before 1970 cannot be meant", hint="Name a later time")


class HolderAnswer(Struct, frozen=True, kw_only=True):
    """What the order does, or would do.

    `live` is how many tokens that this installation has issued it invalidates, those too that were narrowed from them;
    None: they were made elsewhere, and how many live is unknown. `more`: the count was ended, and there may be more.
    `elsewhere`: tokens of other issuers may be among them, too. `before_s` None: whatever is issued. `known`: there is
    somebody of this name here; False: only tokens of other issuers can be meant.
    """

    live: int | None
    more: bool
    personal_tokens: int
    elsewhere: bool
    known: bool
    before_s: int | None
    done: bool
    shared: bool


def _is_plain(text: str) -> bool:
    return len(text) <= _CHARS_MAX and text.isprintable()
