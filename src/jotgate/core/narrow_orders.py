"""What `jotgate token narrow` asks for; the token stands in it, and in no string form of it."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from jotgate.core.claim_values import is_name
from jotgate.core.claims import LIFETIME_MAX_S
from jotgate.core.limit_texts import read_limits
from jotgate.errors import CommandError

_NAME_MAX: Final = 256
_NAMES_MAX: Final = 64

_Names = Annotated[tuple[str, ...], Meta(max_length=_NAMES_MAX)]


class NarrowOrder(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the child of a token is to be. Whatever is left out stays as the token has it, as far as it may yet.

    `ttl_s` None: an hour, or until the token ends. `actor` is who acts by it from now on; empty: whoever does.
    `limits` are texts (`core.limit_texts`), and stand beside those that the token brings.

    Raises:
        CommandError: a text is no plain name, or no limit, or the life is none.
    """

    token: str
    scopes: _Names = ()
    models: _Names | None = None
    audiences: _Names = ()
    ttl_s: int | None = None
    actor: str = ""
    limits: _Names = ()

    def __post_init__(self) -> None:
        given = {"scope": self.scopes, "model": self.models or (), "audience": self.audiences}
        for what, texts in {**given, "actor": (self.actor,) if self.actor else ()}.items():
            if any(not is_name(text) or len(text) > _NAME_MAX or text != text.strip() for text in texts):
                raise CommandError(
                    f"the {what} is empty, longer than {_NAME_MAX} characters, or no plain name",
                    hint=f"Give the {what} a plain name",
                )
        if self.ttl_s is not None and not 1 <= self.ttl_s <= LIFETIME_MAX_S:
            raise CommandError("a token lives at most 365d", hint="Ask for a shorter --ttl")
        read_limits(self.limits)

    def __repr__(self) -> str:
        return "NarrowOrder()"
