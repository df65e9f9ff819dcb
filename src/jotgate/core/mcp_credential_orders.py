"""What a command asks of the credentials of MCP servers, and what it is told. No secret is ever told."""

from typing import Final, Literal

from msgspec import Struct

from jotgate.core.upstream_logins import UpstreamLogin
from jotgate.errors import CommandError

_SECRET_CHARS_MAX: Final = 8_192
_HOLDER_CHARS_MAX: Final = 512


class McpCredentialOrder(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One command. `secret` is what is to be kept, so `repr` shows the action alone.

    `holder` is the caller whose it is; empty: it is that of all callers.
    """

    action: Literal["list", "set", "remove"]
    server: str = ""
    holder: str = ""
    secret: str = ""

    def __post_init__(self) -> None:
        secret = self.secret
        plain = secret.isascii() and secret.isprintable() and " " not in secret and len(secret) <= _SECRET_CHARS_MAX
        if not plain or bool(secret) != (self.action == "set"):
            raise CommandError(
                "the credential is none that could be sent: it is empty, has spaces or is longer than a header may be",
                hint="Give one on standard input",
            )
        if len(self.holder) > _HOLDER_CHARS_MAX or not self.holder.isprintable():
            raise CommandError("the subject is no name", hint="Name whom tokens speak for: --subject ann")

    def __repr__(self) -> str:
        return f"McpCredentialOrder({self.action})"


class McpCredentialView(Struct, frozen=True, kw_only=True):
    """What is kept for a server. `kind` is "secret" or "refresh token"; `fault` says why it is of no use any more.

    `unused`: that is since the settings have no use for any. Times are NumericDates.
    """

    server: str
    holder: str
    kind: Literal["secret", "refresh token"]
    begun_at_s: int
    obtained_at_s: int
    under_way_s: int | None = None
    fault: str = ""
    faulted_at_s: int | None = None
    unused: bool = False


class McpCredentialAnswer(Struct, frozen=True, kw_only=True):
    """What is kept now. `replaced`: there was one before, which is erased. `running`: a control process answered."""

    credentials: list[McpCredentialView]
    running: bool = False
    replaced: bool = False


def credential_view(
    record: UpstreamLogin, server: str, kind: Literal["secret", "refresh token"], fault: str, *, unused: bool
) -> McpCredentialView:
    """What is kept as its operator sees it."""
    return McpCredentialView(
        server=server,
        holder=record.holder,
        kind=kind,
        begun_at_s=record.begun_at_s,
        obtained_at_s=record.obtained_at_s,
        under_way_s=record.under_way_s,
        fault=fault,
        faulted_at_s=record.faulted_at_s,
        unused=unused,
    )
