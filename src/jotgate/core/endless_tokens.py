"""Tokens without an end (no `exp`): what is kept of each that was taken, and what is asked and told of them.

No token stands in any of these. Times are whole seconds since the epoch.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.durable import check_texts
from jotgate.core.misplaced import TOKEN_TEXT, holds_token
from jotgate.core.principals import Principal

CHARS_MAX: Final = 512
"""So much is kept of a text that is shown to people; of four bytes each at most, a store takes it."""
BYTES_MAX: Final = 2_048
"""Longer than this, in UTF-8, is no text that stands for something and cannot be cut."""

_CUT: Final = "…"


class EndlessToken(Struct, frozen=True, kw_only=True):
    """One token without an end that was taken, and when that was for the first and for the last time.

    `digest` tells it from all others: the SHA-256, in hexadecimal digits, of whose it is and of what `Principal` calls
    its `token_id`. `token_id` is that itself, by which it can be revoked; empty if it is longer than `BYTES_MAX` or
    looks like a token. `names` is what it can be revoked by, and `issued_at_s` what a watermark is held against; None:
    it does not say when it was issued.
    """

    digest: str
    issuer: str
    token_id: str
    subject: str
    names: tuple[str, ...] = ()
    issued_at_s: int | None = None
    first_seen_at_s: int
    last_seen_at_s: int

    def __post_init__(self) -> None:
        check_texts(self)

    def and_also(self, other: "EndlessToken") -> "EndlessToken":
        """The same token as two sights of it have it together."""
        return replace(
            self,
            first_seen_at_s=min(self.first_seen_at_s, other.first_seen_at_s),
            last_seen_at_s=max(self.last_seen_at_s, other.last_seen_at_s),
        )


def sight_of(principal: Principal, names: Iterable[str], now_s: float) -> EndlessToken:
    """What is kept of a token without an end that is taken at `now_s`; `names` are its `core.revocations.names_of`.

    It can always be kept, whatever its issuer has put into it: long texts are cut, and what looks like a token is left
    out.
    """
    issued_at_s = principal.issued_at_s
    return EndlessToken(
        digest=sha256(f"{principal.issuer}\n{principal.token_id}".encode()).hexdigest(),
        issuer=_plain(principal.issuer),
        token_id=principal.token_id if _may_be_kept(principal.token_id) else "",
        subject=_plain(principal.subject),
        names=tuple(name for name in names if _may_be_kept(name)),
        issued_at_s=None if issued_at_s is None else max(0, int(issued_at_s)),
        first_seen_at_s=int(now_s),
        last_seen_at_s=int(now_s),
    )


class EndlessListing(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which of them are wanted: those of a subject, if given; `live`: that were not revoked.

    `after` is where the last page ended; empty for the first.
    """

    subject: str = ""
    live: bool = False
    after: str = ""


class EndlessView(Struct, frozen=True, kw_only=True):
    """A token that never expires, as `EndlessToken` has it. `revoked`: it is taken no longer.

    One that is not revoked may be refused all the same: its issuer, or the key or secret that it was signed with, may
    be trusted no longer.
    """

    token_id: str
    digest: str
    issuer: str
    subject: str
    issued_at_s: int | None
    first_seen_at_s: int
    last_seen_at_s: int
    revoked: bool


class EndlessPage(Struct, frozen=True):
    """Some of them, by their digest, and where to go on; `after` empty: these were the last."""

    tokens: list[EndlessView]
    after: str


def _may_be_kept(text: str) -> bool:
    return len(text.encode()) <= BYTES_MAX and not holds_token(text)


def _plain(text: str) -> str:
    text = TOKEN_TEXT.sub("(token)", text)
    return text if len(text) <= CHARS_MAX else text[: CHARS_MAX - len(_CUT)] + _CUT
