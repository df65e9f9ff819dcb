"""Puts together what makes tokens for upstreams in control, and lets workers ask for them."""

from collections.abc import Awaitable, Callable

from jotgate.assembly.keys import OpenKeys
from jotgate.assembly.reload import Reloader
from jotgate.assembly.system import SystemClock, SystemEntropy
from jotgate.core.identity_tokens import IdentityRules
from jotgate.core.principals import Principal
from jotgate.services.identity_desk import IdentityDesk
from jotgate.services.signing import StoredSigners


def open_identity_desk(
    keys: OpenKeys, reloader: Reloader, signers: StoredSigners, verify: Callable[[bytes], Awaitable[Principal]]
) -> IdentityDesk:
    """What makes them, by the settings that are in effect. `verify` takes whatever a caller of the gateway shows."""

    def rules() -> IdentityRules | None:
        decisions = reloader.effect.snapshot.decisions
        return None if decisions is None else decisions.identity

    return IdentityDesk(
        issuer=keys.authority.issuer_url,
        verify=verify,
        sign=signers.sign_until,
        clock=SystemClock(),
        entropy=SystemEntropy(),
        rules=rules,
    )
