"""Reads the secrets that `[upstreams.oauth]` names: client secrets, private keys, refresh tokens."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from jotgate.core.faults import Fault
from jotgate.core.oauth_checks import GrantSecrets
from jotgate.core.oauth_entries import GRANT_SECRETS
from jotgate.core.token_assertions import read_private_key
from jotgate.core.values import Secret
from jotgate.errors import KeyRefused
from jotgate.stores.credentials import from_environment, from_file, secret_from_environment, secret_from_file

_KEYS: Final = frozenset({"private_key", "next_private_key"})
_DEFAULT_ALGORITHM: Final = "RS256"


class FoundSecrets(Struct, frozen=True):
    """What an entry names, and the files that were looked at.

    `faults` are of what is not there; `unusable` of private keys that are there and are none.
    """

    secrets: GrantSecrets
    faults: tuple[Fault, ...] = ()
    unusable: tuple[Fault, ...] = ()
    files: tuple[Path, ...] = ()


def read_grant_secrets(path: str, entry: Mapping[str, str], variables: Mapping[str, str], base: Path) -> FoundSecrets:
    """Read what an entry names; `entry` has its texts, and file names start at `base`."""
    found: dict[str, Secret] = {}
    faults: list[Fault] = []
    unusable: list[Fault] = []
    for name in GRANT_SECRETS:
        setting = next((one for one in (f"{name}_env", f"{name}_file") if entry.get(one)), "")
        if not setting:
            continue
        try:
            found[name] = _read(name, setting, entry[setting], variables, base)
        except ValueError as fault:
            faults.append((f"{path}.{setting}", str(fault)))
            continue
        if name in _KEYS and (fault_of_key := _key_fault(found[name], entry.get("algorithm", _DEFAULT_ALGORITHM))):
            unusable.append((f"{path}.{setting}", f"names {entry[setting]!r}, and {fault_of_key}"))
    files = tuple(base / entry[f"{name}_file"] for name in GRANT_SECRETS if entry.get(f"{name}_file"))
    return FoundSecrets(GrantSecrets(found), tuple(faults), tuple(unusable), files)


def _read(name: str, setting: str, text: str, variables: Mapping[str, str], base: Path) -> Secret:
    """Raises ValueError. A private key has many lines; anything else has one."""
    if name in _KEYS:
        if setting.endswith("_env"):
            return secret_from_environment(variables, text)
        return secret_from_file(base, text)
    return from_environment(variables, text) if setting.endswith("_env") else from_file(base, text)


def _key_fault(text: Secret, algorithm: str) -> str:
    try:
        read_private_key(text, algorithm)
    except KeyRefused as refusal:
        return f"{refusal.message}; {refusal.hint[:1].lower()}{refusal.hint[1:]}" if refusal.hint else refusal.message
    return ""
