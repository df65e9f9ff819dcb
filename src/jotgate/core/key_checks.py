"""What `[keys]` may not say: two master keys, and a new key that is published before the one before it signs."""

from typing import Final

from jotgate.core.config import KeysEntry, seconds
from jotgate.core.faults import Fault
from jotgate.core.key_life import KeyRules
from jotgate.core.values import Secret
from jotgate.errors import CommandError
from jotgate.jose.algorithms import ALGORITHMS
from jotgate.jose.strength import weakness

MASTER_KEY_CHARACTERS_MIN: Final = 43  # 32 bytes in base64
_SPAN_MAX_S: Final = 10 * 365 * 86_400
_AHEAD_MAX_S: Final = 90 * 86_400
SIGNING_ALGORITHMS: Final = tuple(row.name for row in ALGORITHMS.values() if row.kty != "oct")
"""What own tokens may be signed with: all that is not symmetric, as others must be able to verify them."""


def check_keys(keys: KeysEntry) -> list[Fault]:
    """The faults of `[keys]` that can be seen without the master key."""
    faults: list[Fault] = []
    rotate_s, ahead_s = seconds(keys.rotate_after), seconds(keys.publish_ahead)
    if rotate_s > _SPAN_MAX_S:
        faults.append(("keys.rotate_after", 'is longer than ten years; write "0s" if keys are replaced by hand alone'))
    if rotate_s and ahead_s >= rotate_s:
        faults.append(("keys.publish_ahead", f"is not shorter than keys.rotate_after, which is {keys.rotate_after}"))
    if keys.master_key_env and keys.master_key_file:
        faults.append(("keys.master_key_file", "stands beside master_key_env; write one of them"))
    return faults


def check_master_key(secret: Secret) -> str:
    """What is wrong with a master key; empty when nothing is."""
    text = secret.reveal()
    remedy = "make one with: openssl rand -base64 32"
    if len(text) < MASTER_KEY_CHARACTERS_MIN:
        return f"leads to a master key of fewer than {MASTER_KEY_CHARACTERS_MIN} characters; {remedy}"
    found = weakness(text.encode())
    return "" if found is None else f"leads to a master key that {found}; {remedy}"


def check_ahead(ahead_s: int, rules: KeyRules) -> None:
    """Refuse a key that is to sign so late that it would hold up the schedule. Raises CommandError."""
    longest_s = min(_AHEAD_MAX_S, rules.rotate_after_s or _AHEAD_MAX_S)
    if ahead_s > longest_s:
        cause = " (keys.rotate_after)" if longest_s < _AHEAD_MAX_S else ""
        raise CommandError(
            f"a new key may wait {longest_s} s at most{cause}, and not {ahead_s} s",
            hint="Give --ahead a shorter time: no other key is made by itself while this one waits",
        )


def check_algorithm(name: str) -> None:
    """Refuse an algorithm that jotgate does not sign its own tokens with. Raises CommandError."""
    if name not in SIGNING_ALGORITHMS:
        raise CommandError(
            "the algorithm is not one that jotgate signs its tokens with",
            hint=f"Use one of {', '.join(SIGNING_ALGORITHMS)}",
        )


def key_rules(keys: KeysEntry) -> KeyRules:
    """How keys are made and replaced."""
    return KeyRules(keys.algorithm, seconds(keys.rotate_after), seconds(keys.publish_ahead))
