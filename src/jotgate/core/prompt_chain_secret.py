"""The secret of the prompt-chaining API, `JWT_SECRET_KEY`: what is wrong with one, and what its owner does then."""

from collections.abc import Mapping
from typing import Final

from jotgate.core.faults import shown
from jotgate.core.issuer_profiles import PROFILES
from jotgate.errors import KeyRefused
from jotgate.jose.jwt import Expectation
from jotgate.jose.keys import KeySet, SigningKey, hmac_key

SECRET: Final = "JWT_SECRET_KEY"
ALGORITHM: Final = "JWT_ALGORITHM"
MISCONFIGURED: Final = "Authentication system misconfigured"
"""What the document of this API says of a server whose secret is missing or short."""

PROFILE: Final = "prompt-chain"
DEFAULT_ALGORITHM: Final = "HS256"
SECRET_CHARACTERS_MIN: Final = 32

# RFC 7518 s3.2: a key is at least as long as the hash. `token_urlsafe` writes four characters for three bytes.
_BYTES: Final[Mapping[str, int]] = {"HS256": 32, "HS384": 48, "HS512": 64}


def make_secret(algorithm: str = DEFAULT_ALGORITHM) -> str:
    """The one line that makes a secret for an algorithm of `PROFILE`."""
    return f'python -c "import secrets; print(secrets.token_urlsafe({_BYTES[algorithm]}))"'


def algorithm_fault(algorithm: str) -> str:
    """What is wrong with a value of `JWT_ALGORITHM`; empty: nothing is."""
    if algorithm in _BYTES:
        return ""
    return f"{ALGORITHM} is {shown(algorithm)}, and must be {' or '.join(_BYTES)}: tokens here have a shared secret"


def secret_fault(secret: str, algorithm: str, name: str = SECRET) -> str:
    """What is wrong with a secret for a sound algorithm and what to do; empty: nothing is. The secret is not in it.

    `name` is the variable that holds it.
    """
    if not secret.strip():
        return f"{name} is not set; make one and put it into .env or the environment: {make_secret(algorithm)}"
    if reason := _weakness(secret, algorithm):
        return f"{name} {reason}; make one with: {make_secret(algorithm)}"
    return ""


def _weakness(secret: str, algorithm: str) -> str:
    if len(secret) < SECRET_CHARACTERS_MIN:
        return f"has less than {SECRET_CHARACTERS_MIN} characters"
    if len(secret.encode("utf-8", "replace")) < _BYTES[algorithm]:
        return f"has less than the {_BYTES[algorithm]} bytes that {algorithm} needs (RFC 7518 s3.2)"
    try:
        bearer_key(secret, algorithm)
    except KeyRefused as refusal:
        return f"is no key: {refusal.message}"
    except UnicodeEncodeError:
        return "is no UTF-8 text"
    return ""


def bearer_key(secret: str, algorithm: str) -> SigningKey:
    """The key of a secret. Raises KeyRefused where `secret_fault` finds one."""
    return hmac_key(secret.encode(), algorithm, "secret")


def bearer_keys(secret: str, algorithm: str) -> KeySet:
    """The key set that verifies what `bearer_key` signs. Raises as that."""
    return KeySet([bearer_key(secret, algorithm).verification_key])


def bearer_expectation(algorithm: str) -> Expectation:
    """What the tokens of this API must be: `sub` and `iat`, no issuer and no audience, an end if they say one."""
    profile = PROFILES[PROFILE]
    return Expectation(
        issuer=None,
        audiences=(),
        types=profile.types,
        algorithms=(algorithm,),
        leeway_s=profile.leeway_s,
        lifetime_max_s=profile.lifetime_max_s,
        required=frozenset(profile.required),
        endless=True,
    )
