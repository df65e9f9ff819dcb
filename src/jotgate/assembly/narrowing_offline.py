"""What `jotgate token narrow` and `tree` do themselves when no jotgate runs on DATA; their caller holds the lock."""

import asyncio

from jotgate.assembly.authority import VERIFIED_TOKENS, Authority, require_installation
from jotgate.assembly.offline import opened, tell_of_foreign
from jotgate.assembly.system import SystemClock
from jotgate.core.claims import Issued
from jotgate.core.compiler import compile_issuer
from jotgate.core.config import Config
from jotgate.core.key_life import own_keys
from jotgate.core.narrow_orders import NarrowOrder
from jotgate.core.opaque import Mark
from jotgate.core.principals import Principal
from jotgate.core.revocations import personal_names
from jotgate.core.tree_orders import TokenTree, TreeOrder
from jotgate.errors import TokenError
from jotgate.gateway.world import build_verifier
from jotgate.services.narrowing import Narrower
from jotgate.services.own_tokens import OwnTokens
from jotgate.services.personal_lookup import find_personal
from jotgate.services.presented_tokens import PresentedTokens
from jotgate.services.revocation import load_revocations
from jotgate.services.token_ledger import read_ledger
from jotgate.services.token_tree import TreeReader
from jotgate.stores.access import DirectAccess
from jotgate.stores.directory import DataDirectory
from jotgate.stores.settings import Sources


def narrow_token(directory: DataDirectory, sources: Sources, order: NarrowOrder) -> Issued:
    """Narrow a token of this installation, or a personal one.

    Raises:
        TokenError, CommandError: as `Narrower.carry_out`; and CommandError: there is no installation.
        ConfigurationError, DirectoryRefused, StoreUnavailable, AuditUnavailable: see `assembly.authority`.
    """
    require_installation(directory)
    with opened(directory, sources) as (authority, config):
        return asyncio.run(_narrow(authority, config, order))


def read_tree(directory: DataDirectory, sources: Sources, order: TreeOrder) -> TokenTree:
    """The tree of a token. Raises CommandError as `TreeReader`, and what `narrow_token` does."""
    require_installation(directory)
    with opened(directory, sources) as (authority, _):
        store, issuer_url, now_s = authority.store, authority.issuer_url, SystemClock().now_s()
        return TreeReader(store, read_ledger(store, issuer_url, now_s), issuer_url, now_s).carry_out(order)


async def _narrow(authority: Authority, config: Config, order: NarrowOrder) -> Issued:
    store, clock, issuer_url = authority.store, SystemClock(), authority.issuer_url
    own = compile_issuer(config, issuer_url, own_keys(store.key_ring(), clock.now_s()))
    revoked = load_revocations(store)
    verifier = build_verifier((own,), VERIFIED_TOKENS, revoked=revoked)

    async def published(_: str) -> None:
        """No worker of this machine runs that would have to know the key."""

    async def verify(token: bytes) -> Principal:
        if token.startswith(Mark.PERSONAL.encode()):
            found = find_personal(store, token, issuer_url, clock.now_s())
            revoked.check(found, personal_names(found), 0)
            return found
        try:
            return verifier.verify(token, clock.now_s())
        except TokenError as refusal:
            tell_of_foreign(refusal, token, verifier.federation)
            raise

    access = DirectAccess(store)
    narrower = Narrower(
        tokens=PresentedTokens(verify, lambda: verifier.federation, OwnTokens(lambda: verifier, clock), issuer_url),
        access=access,
        issuer=authority.tokens(access, published, config),
        recorder=authority.recorder,
        clock=clock,
    )
    return await narrower.carry_out(order)
