"""Whether a DPoP proof is in its time (RFC 9449 s4.3, number 11, and s11.1), and what is said of one between processes.

Used proofs are remembered. Whenever that memory may have lost something, a new epoch begins: what could have been used
before it is not taken any more, unless a nonce shows that it was made since.
"""

from typing import Final, Literal

from msgspec import Struct

from jotgate.core.dpop_nonces import NONCE_LIFE_S

LEEWAY_S: Final = 5
"""How far a proof's maker may be ahead of this clock."""

CLOCK_ERROR_MAX_S: Final = 300
"""How far off a clock may be whose proofs have a nonce: the nonce says then when they were made."""

AGE_MAX_S: Final = 300
"""The longest that a proof without a nonce may be allowed to count."""

Word = Literal["fresh", "used", "late", "nonce", "crowded", "unknown"]
"""What becomes of a proof: it is taken; it was used; its `iat` is wrong; it needs a nonce; so many of the same holder's
are remembered that no further one can be; nobody can know now."""


class ProofRules(Struct, frozen=True):
    """What is demanded of proofs: how old one without a nonce may be, in seconds, and whether each must have one."""

    age_s: int = 60
    nonce_required: bool = False


class Sight(Struct, frozen=True):
    """A proof that is good in itself, as it is shown to whoever remembers the used ones.

    `handle` is `core.dpop.Proof.handle`. `asker` names this one showing of it: shown again by the same, since an answer
    was lost, it is not used twice. `holder` is whose proofs these are, none of whom fills the memory for the others.
    """

    handle: bytes
    iat: float
    nonce: str
    asker: bytes
    holder: str = ""


class Verdict(Struct, frozen=True):
    """What becomes of a proof. `nonce` is one that its maker is to use from now on; empty: none is handed out."""

    word: Word
    nonce: str = ""


class Judged(Struct, frozen=True):
    """What is to be said of the time of a proof. One that is "fresh" could be shown again until `until_s`."""

    word: Word
    until_s: float = 0.0


def judge_time(iat: float, nonce_at_s: float | None, now_s: float, epoch_s: float, rules: ProofRules) -> Judged:
    """Judge the time of a proof. All times are NumericDates (RFC 7519 s2); `nonce_at_s` is that of a genuine nonce.

    A nonce says by this side's clock when its proof was made at the earliest: the proof's own clock may then be wrong.
    """
    if abs(iat - now_s) > CLOCK_ERROR_MAX_S:
        return Judged("late")
    if nonce_at_s is not None:
        known = epoch_s <= nonce_at_s <= now_s + LEEWAY_S and now_s < nonce_at_s + NONCE_LIFE_S
        return Judged("fresh", nonce_at_s + NONCE_LIFE_S) if known else Judged("nonce")
    if rules.nonce_required or not now_s - rules.age_s < iat <= now_s + LEEWAY_S or iat <= epoch_s + LEEWAY_S:
        return Judged("nonce")
    return Judged("fresh", iat + rules.age_s)
