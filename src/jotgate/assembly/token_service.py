"""Puts the token service together: its endpoints, its grants, and what they share."""

from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

from jotgate.assembly.face_issuers import FaceIssuers
from jotgate.assembly.keys import OpenKeys
from jotgate.assembly.reload import Reloader
from jotgate.assembly.system import SystemClock, SystemEntropy
from jotgate.control.oauth import OAuthDesk
from jotgate.core.accounts import GrantName
from jotgate.core.edge_checks import shows_certificates
from jotgate.core.key_fetches import KeysOutcome
from jotgate.core.metadata import documents
from jotgate.core.principals import Principal
from jotgate.core.token_checks import refresh_rules
from jotgate.services.binding import Binder
from jotgate.services.client_auth import ClientAuthenticator
from jotgate.services.client_refusals import ClientRefusals
from jotgate.services.families import Families, Revocations
from jotgate.services.family_roots import FamilyRoots
from jotgate.services.grants.client_credentials import ClientCredentials
from jotgate.services.grants.jwt_bearer import JwtBearer
from jotgate.services.grants.refresh_token import RefreshToken
from jotgate.services.grants.token_exchange import TokenExchange
from jotgate.services.handout import Handout
from jotgate.services.introspection import Introspection
from jotgate.services.issuer import TokenIssuer
from jotgate.services.logout import BackChannelLogout, LogoutTerms
from jotgate.services.own_tokens import OwnTokens
from jotgate.services.presented_tokens import PresentedTokens
from jotgate.services.proof_desk import ProofDesk
from jotgate.services.refusal_log import RefusalLog
from jotgate.services.revocation import Revoker
from jotgate.services.token_returns import TokenReturns
from jotgate.services.token_service import Grant, TokenService


class TokenParts(Struct, frozen=True):
    """What the token service shares with the rest of control. `verify` takes whatever a caller of the gateway shows."""

    keys: OpenKeys
    reloader: Reloader
    verify: Callable[[bytes], Awaitable[Principal]]
    issuer: TokenIssuer
    families: Families
    revoker: Revoker
    proofs: ProofDesk


def open_parts(
    keys: OpenKeys,
    reloader: Reloader,
    verify: Callable[[bytes], Awaitable[Principal]],
    issuer: TokenIssuer,
    proofs: ProofDesk,
) -> TokenParts:
    """What there is one of in control."""
    clock, recorder = SystemClock(), keys.authority.recorder
    roots = FamilyRoots(
        keys.revocations.revoked, lambda: reloader.effect.verifier.federation, keys.authority.issuer_url
    )
    families = Families(
        keys.access,
        clock=clock,
        entropy=SystemEntropy(),
        recorder=recorder,
        rules=lambda: refresh_rules(reloader.effect.config.tokens),
        revocations=Revocations(roots.fault, keys.revocations.look),
    )
    revoker = Revoker(keys.access, recorder, clock, keys.revocations.look)
    return TokenParts(keys, reloader, verify, issuer, families, revoker, proofs)


def build_oauth(parts: TokenParts, wanted: Callable[[str], Awaitable[KeysOutcome]]) -> OAuthDesk:
    """Who answers the OAuth endpoints; `wanted` has the keys of an issuer fetched."""
    clock, access, issuer_url = SystemClock(), parts.keys.access, parts.issuer.issuer
    grants = _grants(parts)
    clients = ClientAuthenticator(
        access=access,
        issuer=issuer_url,
        clock=clock,
        refusals=ClientRefusals(parts.keys.authority.recorder, clock),
    )
    own = OwnTokens(lambda: parts.reloader.effect.verifier, clock, FaceIssuers(parts.reloader))
    return OAuthDesk(
        tokens=TokenService(clients, grants, clock, Binder(issuer_url, parts.proofs, SystemEntropy())),
        returns=TokenReturns(clients=clients, tokens=own, families=parts.families, revoker=parts.revoker),
        introspection=Introspection(
            clients=clients, tokens=own, families=parts.families, access=access, issuer=issuer_url
        ),
        logout=BackChannelLogout(
            terms=lambda: LogoutTerms(
                parts.reloader.effect.verifier.federation, refresh_rules(parts.reloader.effect.config.tokens)
            ),
            wanted=wanted,
            access=access,
            revoker=parts.revoker,
            clock=clock,
            refusals=RefusalLog(parts.keys.authority.recorder, clock, "logout.refused"),
        ),
        check_fresh=lambda: parts.keys.check_fresh(parts.reloader.effect.config.limits.max_staleness_s),
        documents=lambda: documents(
            issuer_url,
            grants,
            certificates=shows_certificates(parts.reloader.effect.config),
            servers=[one.name for one in parts.reloader.effect.config.mcp.servers],
        ),
    )


def open_presented(parts: TokenParts) -> PresentedTokens:
    """What reads tokens that are presented for others."""
    own = OwnTokens(lambda: parts.reloader.effect.verifier, SystemClock())
    return PresentedTokens(parts.verify, lambda: parts.reloader.effect.verifier.federation, own, parts.issuer.issuer)


def _grants(parts: TokenParts) -> Mapping[GrantName, Grant]:
    """All grants that there are."""
    clock, access = SystemClock(), parts.keys.access
    presented = open_presented(parts)
    handout = Handout(issuer=parts.issuer, families=parts.families, recorder=parts.keys.authority.recorder, clock=clock)
    return {
        "client_credentials": ClientCredentials(parts.issuer, clock),
        "refresh_token": RefreshToken(parts.families, parts.issuer, access, clock),
        "token_exchange": TokenExchange(presented, access, handout),
        "jwt_bearer": JwtBearer(presented, access, handout),
    }
