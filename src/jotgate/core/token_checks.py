"""What `[tokens]` and `[dpop]` may not say, and what they mean: tokens that outlive their use, proofs too old."""

from typing import Final

from jotgate.core.config import DpopEntry, TokensEntry, seconds
from jotgate.core.faults import Fault
from jotgate.core.proof_times import AGE_MAX_S, ProofRules
from jotgate.core.refresh import GRACE_MAX_S, RefreshRules

_LIFE_MAX_S: Final = 365 * 86_400


def check_tokens(tokens: TokensEntry) -> list[Fault]:
    """The faults of `[tokens]`."""
    faults: list[Fault] = []
    if seconds(tokens.refresh_grace) > GRACE_MAX_S:
        faults.append(("tokens.refresh_grace", f"is longer than {GRACE_MAX_S}s, in which a thief could use it too"))
    for name, span in (("refresh_idle", tokens.refresh_idle), ("refresh_life", tokens.refresh_life)):
        if seconds(span) > _LIFE_MAX_S:
            faults.append((f"tokens.{name}", "is longer than 365d; whoever holds a token has to prove anew who it is"))
    return faults


def refresh_rules(tokens: TokensEntry) -> RefreshRules:
    """How refresh tokens live."""
    return RefreshRules(seconds(tokens.refresh_grace), seconds(tokens.refresh_idle), seconds(tokens.refresh_life))


def check_dpop(dpop: DpopEntry) -> list[Fault]:
    """The faults of `[dpop]`."""
    if seconds(dpop.proof_age) > AGE_MAX_S:
        return [("dpop.proof_age", f"is longer than {AGE_MAX_S}s; a proof is made for one request")]
    return []


def proof_rules(dpop: DpopEntry) -> ProofRules:
    """What is demanded of the time of proofs."""
    return ProofRules(seconds(dpop.proof_age), dpop.nonce == "required")
