"""What may be a shared secret: long enough, one issuer's alone, and neither guessable nor printed for all to read."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from jotgate.core.config import Server
from jotgate.core.faults import Fault
from jotgate.core.guessing import guessable
from jotgate.core.issuer_compiler import FoundIssuer, algorithms_of
from jotgate.core.listen_texts import is_loopback
from jotgate.core.values import Secret
from jotgate.errors import KeyRefused
from jotgate.jose.keys import hmac_key

AGE_DAYS_MAX: Final = 90
END_NEAR_DAYS: Final = 14
_DAY_S: Final = 86_400
_MENDED: Final = "make one with: openssl rand -base64 48"
_GUESSABLE: Final = f"and others than this machine reach the gateway; {_MENDED}"


def secret_mark(secret: Secret) -> str:
    """What a secret is remembered by: enough to tell it from others, and too little to find it."""
    return sha256(b"jotgate shared secret\0" + secret.reveal().encode()).hexdigest()[:16]


def check_secrets(found: FoundIssuer) -> list[Fault]:
    """The faults of an issuer's secrets as keys: too short for the algorithm, of a few bytes, or public keys."""
    algorithm = algorithms_of(found.entry)[0]
    faults = []
    for setting, _, secret in _secrets_of(found):
        try:
            hmac_key(secret.reveal().encode(), algorithm, "secret")
        except KeyRefused as refusal:
            faults.append((f"{found.path}.{setting}", f"leads to no key: {refusal.message}; {_MENDED}"))
    return faults


def places_of(found: FoundIssuer) -> dict[str, str]:
    """In words, whose an issuer's secrets are and by which setting; by what tells each from others as a key.

    NUL bytes at the end of a key make no difference to HMAC (RFC 2104 s2), and none here.
    """
    return {
        _key_mark(secret): f"the issuer '{found.entry.name}' ({_setting_of(found, setting)})"
        for setting, _, secret in _secrets_of(found)
    }


def check_own(found: FoundIssuer, places: Mapping[str, str]) -> list[Fault]:
    """The faults of secrets that another issuer has too; `places` are those of the others, see `places_of`."""
    name = found.entry.name
    return [
        (
            _setting_of(found, setting),
            f"gives '{name}' a secret that {where} has too, and whoever holds it could speak as both; {_MENDED}",
        )
        for setting, _, secret in _secrets_of(found)
        if (where := places.get(_key_mark(secret)))
    ]


def check_guessable(found: FoundIssuer, server: Server) -> list[Fault]:
    """The faults of secrets that can be guessed, unless only this machine reaches the gateway."""
    if is_private(server):
        return []
    return [
        (f"{found.path}.{setting}", f"leads to a secret that is none: {reason}, {_GUESSABLE}")
        for setting, _, secret in _secrets_of(found)
        if (reason := guessable(secret))
    ]


def is_private(server: Server) -> bool:
    """Whether only this machine reaches the gateway, neither through a proxy nor under another name."""
    return is_loopback(server.host) and not server.behind_proxy and not server.trusted_proxies


def warn_of_guessable(found: FoundIssuer) -> list[str]:
    """What the owner of secrets should know that can be guessed, and that are taken as only this machine is served."""
    return [
        f"the secret of the issuer '{found.entry.name}' in {place} is good on this machine alone: {reason}"
        for _, place, secret in _secrets_of(found)
        if (reason := guessable(secret))
    ]


def warn_of_ages(found: FoundIssuer, seen: Mapping[str, int], now_s: float) -> list[str]:
    """What the owner of an issuer's secrets should know at `now_s`; `seen` says since when each is here, by its mark.

    A secret is at least as old as the file that it is in, and as the time since when this machine has used it.
    """
    name = found.entry.name
    warnings = []
    if found.secret is not None:
        begins = [one for one in (seen.get(secret_mark(found.secret)), found.changed_s) if one is not None]
        days = int((now_s - min(begins, default=now_s)) // _DAY_S)
        if days >= AGE_DAYS_MAX:
            warnings.append(
                f"the secret of the issuer '{name}' is {days} days old; put a new one in its place every "
                f"{AGE_DAYS_MAX} days, and keep the old one as the previous secret until its tokens have ended"
            )
    if found.previous is not None and found.previous_until_s is not None:
        warnings += _warn_of_end(name, found.previous_until_s - now_s)
    return warnings


def _warn_of_end(name: str, left_s: float) -> list[str]:
    if left_s <= 0:
        return [f"the previous secret of the issuer '{name}' verifies no more, as its time is over; take it out"]
    if left_s <= END_NEAR_DAYS * _DAY_S:
        days = int(left_s // _DAY_S)
        left = "today" if days == 0 else f"in {days} day{'s' * (days > 1)}"
        return [f"the previous secret of the issuer '{name}' ends {left}; tokens that it signed are refused then"]
    return []


def _key_mark(secret: Secret) -> str:
    return sha256(secret.reveal().rstrip("\0").encode()).hexdigest()


def _setting_of(found: FoundIssuer, name: str) -> str:
    return f"{found.path}.{name}" if found.path else name


def _secrets_of(found: FoundIssuer) -> list[tuple[str, str, Secret]]:
    """Each secret with the setting that is looked at to mend it, and where it is."""
    entry = found.entry
    setting = "secret_file" if entry.secret_file else "secret_env"
    previous = "previous_secret_file" if entry.previous_secret_file else "previous_secret_env"
    listed = [(setting, found.secret_place, found.secret), (previous, found.previous_place, found.previous)]
    return [(name, place, secret) for name, place, secret in listed if secret is not None]
