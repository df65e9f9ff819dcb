"""Opens the place where refresh tokens of upstreams are kept: for control, and for a command alone."""

import asyncio
from collections.abc import Callable

from jotgate.assembly.authority import Authority
from jotgate.core.token_grants import TokenGrant
from jotgate.ports import Clock, StoreAccess
from jotgate.services.kept_refresh_tokens import StoredRefreshTokens


def open_kept_tokens(
    authority: Authority, access: StoreAccess, clock: Clock, grants: Callable[[str], TokenGrant | None]
) -> StoredRefreshTokens:
    """Where refresh tokens are kept; `grants` says by an upstream's name how its tokens are got."""
    return StoredRefreshTokens(access, authority.seals, clock, grants, pause=asyncio.sleep, shared=authority.shared)
