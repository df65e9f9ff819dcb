"""What `[tokens]` and `[dpop]` may not say, and what they mean: tokens that outlive their use, proofs too old."""

from typing import Final

from jotgate.core.config import Config, DpopEntry, TokensEntry, seconds
from jotgate.core.faults import Fault
from jotgate.core.proof_times import AGE_MAX_S, ProofRules
from jotgate.core.refresh import GRACE_MAX_S, RefreshRules
from jotgate.core.status_lists import StatusRules

_LIFE_MAX_S: Final = 365 * 86_400
_TTL_S: Final = (5, 3_600)


def check_tokens(tokens: TokensEntry) -> list[Fault]:
    """The faults of `[tokens]`."""
    faults: list[Fault] = []
    if seconds(tokens.refresh_grace) > GRACE_MAX_S:
        faults.append(("tokens.refresh_grace", f"is longer than {GRACE_MAX_S}s, in which a thief could use it too"))
    for name, span in (("refresh_idle", tokens.refresh_idle), ("refresh_life", tokens.refresh_life)):
        if seconds(span) > _LIFE_MAX_S:
            faults.append((f"tokens.{name}", "is longer than 365d; whoever holds a token has to prove anew who it is"))
    if not _TTL_S[0] <= seconds(tokens.status_list_ttl) <= _TTL_S[1]:
        fault = "is not 5s to 1h; for so long whoever keeps a list takes what was revoked"
        faults.append(("tokens.status_list_ttl", fault))
    return faults


def refresh_rules(tokens: TokensEntry) -> RefreshRules:
    """How refresh tokens live."""
    return RefreshRules(seconds(tokens.refresh_grace), seconds(tokens.refresh_idle), seconds(tokens.refresh_life))


def status_rules(config: Config) -> StatusRules:
    """Whether tokens stand in status lists. A list is good a while longer than it is kept: until control is back."""
    ttl_s = seconds(config.tokens.status_list_ttl)
    life_s = ttl_s + int(config.limits.max_staleness_s)
    return StatusRules(config.tokens.status_lists, ttl_s, life_s, seconds(config.issuer.leeway))


def check_dpop(dpop: DpopEntry) -> list[Fault]:
    """The faults of `[dpop]`."""
    if seconds(dpop.proof_age) > AGE_MAX_S:
        return [("dpop.proof_age", f"is longer than {AGE_MAX_S}s; a proof is made for one request")]
    return []


def proof_rules(dpop: DpopEntry) -> ProofRules:
    """What is demanded of the time of proofs."""
    return ProofRules(seconds(dpop.proof_age), dpop.nonce == "required")
