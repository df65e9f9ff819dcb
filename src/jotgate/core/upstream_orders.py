"""What a command asks of the credentials of upstreams, and what it is told. No secret is ever told."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from msgspec import Struct

from jotgate.core.config import UpstreamEntry
from jotgate.core.token_grants import LOGIN, GrantKind
from jotgate.core.upstream_logins import UpstreamLogin
from jotgate.core.upstream_tokens import NOT_LOGGED_IN
from jotgate.errors import CommandError

CredentialKind = Literal["none", "key", "two keys"] | GrantKind
"""What an upstream is sent: nothing, a static key, one of two, or a token that is got by a grant."""

_TOKEN_CHARS_MAX: Final = 8_192


class UpstreamOrder(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One command. `refresh_token` is secret, so `repr` shows the action alone.

    It was got for `client_id` at `token_url`: what other settings say of the upstream has no use for it.
    """

    action: Literal["list", "log-in", "log-out"]
    upstream: str = ""
    client_id: str = ""
    token_url: str = ""
    refresh_token: str = ""

    def __post_init__(self) -> None:
        token = self.refresh_token
        plain = token.isascii() and token.isprintable() and " " not in token and len(token) <= _TOKEN_CHARS_MAX
        if not plain or bool(token) != (self.action == "log-in"):
            raise CommandError("the refresh token is none", hint="Log in again")

    def __repr__(self) -> str:
        return f"UpstreamOrder({self.action})"


class LoginView(Struct, frozen=True):
    """The refresh token that is kept, as `UpstreamLogin` has it. Times are NumericDates.

    `configured`: it descends from one that the settings name, and from no login. `fault` says why it is of no use;
    empty: nothing is known against it.
    """

    client_id: str
    token_url: str
    configured: bool
    begun_at_s: int
    obtained_at_s: int
    ends_at_s: int | None
    under_way_s: int | None
    fault: str = ""


class TokensView(Struct, frozen=True):
    """The access tokens that control holds for an upstream, and how it goes to get them.

    `sessions` have one each; of the session of whoever comes without one, `is_valid` says whether its token may be
    sent, and `expires_in_s` when it ends (None: there is none). `last_obtained_s` is when one was got last; 0: never.
    `fault` is why the last exchange failed, since `failing_since_s`; empty: it did not.
    """

    sessions: int
    is_valid: bool
    expires_in_s: int | None
    obtained: int
    failed: int
    last_obtained_s: int = 0
    key_id: str = ""
    second: bool = False
    fault: str = ""
    failing_since_s: int = 0


class UpstreamView(Struct, frozen=True, kw_only=True):
    """One upstream of the settings, and its credential.

    `tokens` is None where its credential is no token that is got, and where no jotgate runs. An entry without a `url`
    stands for a refresh token that is kept for an upstream which the settings do not name.
    """

    name: str
    kind: str = ""
    url: str = ""
    credential: CredentialKind = "none"
    configured: bool = False
    client_id: str = ""
    token_url: str = ""
    login: LoginView | None = None
    tokens: TokensView | None = None

    @property
    def lack(self) -> str:
        """Why it can be sent no credential, or soon none; empty: nothing is known against it."""
        if self.tokens is not None and self.tokens.fault and not self.tokens.is_valid:
            return self.tokens.fault
        if self.credential != "refresh-token" or self.configured:
            return ""
        if self.login is None or self.login.configured:
            return NOT_LOGGED_IN
        return self.login.fault


class UpstreamAnswer(Struct, frozen=True):
    """What came of it: the upstreams as they are now, by name. `running`: a control process has answered.

    `replaced`: there was a refresh token before, which is erased.
    """

    upstreams: list[UpstreamView]
    running: bool = False
    replaced: bool = False

    def find(self, name: str) -> UpstreamView | None:
        """The one of this name."""
        return next((one for one in self.upstreams if one.name == name), None)


def credential_of(entry: UpstreamEntry) -> CredentialKind:
    """What an upstream is sent by its settings."""
    if entry.oauth is not None:
        return entry.oauth.grant
    if not (entry.credential or entry.credential_env or entry.credential_file):
        return "none"
    return "two keys" if entry.other_credential_env or entry.other_credential_file else "key"


def is_configured(entry: UpstreamEntry) -> bool:
    """Whether its settings name a refresh token."""
    return entry.oauth is not None and bool(entry.oauth.refresh_token_env or entry.oauth.refresh_token_file)


def login_view(record: UpstreamLogin, fault: str) -> LoginView:
    """A refresh token as its operator sees it."""
    return LoginView(
        client_id=record.client_id,
        token_url=record.token_url,
        configured=record.origin != LOGIN,
        begun_at_s=record.begun_at_s,
        obtained_at_s=record.obtained_at_s,
        ends_at_s=record.ends_at_s,
        under_way_s=record.under_way_s,
        fault=fault,
    )


def names_of(entries: Iterable[UpstreamEntry]) -> Sequence[str]:
    """The names of upstreams somebody can log in for."""
    return [
        one.name
        for one in entries
        if one.oauth is not None and one.oauth.grant == "refresh-token" and not is_configured(one)
    ]
