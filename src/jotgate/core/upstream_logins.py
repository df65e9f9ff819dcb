"""What the store keeps for upstreams, sealed: refresh tokens and secrets, one for each upstream and holder.

Times are whole seconds since the epoch (NumericDate, RFC 7519 s2).
"""

from msgspec import Struct

from jotgate.core.durable import check_texts


class UpstreamLogin(Struct, frozen=True, kw_only=True):
    """The refresh token of one upstream, `sealed`; it is good for one client at one token endpoint alone.

    `holder` is the one caller for whom it is (`core.mcp_holders`); empty: all of them have the same. `origin` is
    `token_grants.LOGIN`, or the digest of the configured refresh token that it descends from; or `token_grants.KEPT`:
    then it is a secret, which is sent as it is, and of no client. `fault` says why it is of no use any more, since
    `faulted_at_s`, so that somebody has to connect anew; empty: nothing is known against it.
    `begun_at_s` is when that began, `obtained_at_s` when this token was got, and `ends_at_s` when it is of no use any
    more (None: nobody knows). `under_way_s` is when a request with it was begun of which nothing has come yet: it
    dies on use, so the answer to that request has its successor, or it is still good. None: there is none.
    """

    upstream: str
    origin: str
    client_id: str
    token_url: str
    sealed: bytes
    begun_at_s: int
    obtained_at_s: int
    ends_at_s: int | None = None
    under_way_s: int | None = None
    version: int = 0
    holder: str = ""
    fault: str = ""
    faulted_at_s: int | None = None

    def __post_init__(self) -> None:
        check_texts(self)

    @property
    def context(self) -> tuple[str, ...]:
        """What the token is sealed with, and cannot be opened without: it is of no use under another name."""
        names = (self.upstream, self.client_id, self.token_url)
        return (*names, self.holder) if self.holder else names
