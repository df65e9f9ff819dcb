"""Finds the credentials that settings name: in the environment, or in a file of one line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jotgate.core.faults import Fault
from jotgate.core.redaction import is_variable
from jotgate.core.values import Secret
from jotgate.stores.named_files import read_named

_CREDENTIAL_BYTES_MAX: Final = 16_384
_NO_VARIABLE: Final = (
    "looks like the secret itself, not like a variable's name; put it into an environment variable or into .env, and "
    "write that variable's name here"
)


def from_environment(environment: Mapping[str, str], name: str) -> Secret:
    """The credential in a variable. Raises ValueError, which says what is wrong behind the setting's name."""
    if name not in environment and not is_variable(name):
        raise ValueError(_NO_VARIABLE)
    if name not in environment:
        raise ValueError(
            f"names the environment variable {name!r}, which is set neither in the environment nor in .env"
        )
    return read_credential(environment[name], f"names the environment variable {name!r}, which is")


def from_file(base: Path, text: str) -> Secret:
    """The credential in the file that `text` names from `base`. Raises ValueError as `from_environment` does."""
    content = read_named(base, text, _CREDENTIAL_BYTES_MAX)
    return read_credential(content.decode("utf-8", "replace"), f"names '{base / text}', which is")


def secret_from_environment(environment: Mapping[str, str], name: str) -> Secret:
    """The text of a variable as it stands there, to be a key. Raises ValueError as `from_environment` does."""
    if name not in environment:
        return from_environment(environment, name)
    return _read_text(environment[name], f"names the environment variable {name!r}, which is")


def secret_from_file(base: Path, text: str) -> Secret:
    """The text of a file as it stands there but for one line end at its end. Raises ValueError likewise."""
    content = read_named(base, text, _CREDENTIAL_BYTES_MAX)
    which_is = f"names '{base / text}', which is"
    try:
        whole = content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{which_is} no UTF-8 text") from None
    return _read_text(whole.removesuffix("\n").removesuffix("\r") if whole.endswith("\n") else whole, which_is)


def _read_text(text: str, which_is: str) -> Secret:
    if not text.strip():
        raise ValueError(f"{which_is} empty")
    if len(text) > _CREDENTIAL_BYTES_MAX:
        raise ValueError(f"{which_is} longer than {_CREDENTIAL_BYTES_MAX} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{which_is} no UTF-8 text") from None
    return Secret(text)


def read_credential(text: str, which_is: str) -> Secret:
    """One line of printable ASCII: it goes into a header."""
    credential = text.strip()
    if not credential or not credential.isascii() or not credential.isprintable():
        raise ValueError(f"{which_is} empty or not one line of printable ASCII")
    if len(credential) > _CREDENTIAL_BYTES_MAX:
        raise ValueError(f"{which_is} longer than {_CREDENTIAL_BYTES_MAX} characters")
    return Secret(credential)


def read_secret(
    path: str, kind: str, entry: Mapping[str, str], variables: Mapping[str, str], base: Path
) -> Secret | Fault | None:
    """The secret that a table names or holds, or why there is none; None where none is asked for.

    `kind` is such as `credential`, `password` or `master_key`. File names start at `base`.
    """
    name = next((one for one in (kind, f"{kind}_env", f"{kind}_file") if one in entry), "")
    try:
        match name.removeprefix(kind):
            case "_env":
                return from_environment(variables, entry[name])
            case "_file":
                return from_file(base, entry[name])
        return read_credential(entry[name], "is") if name else None
    except ValueError as fault:
        return f"{path}.{name}", str(fault)
