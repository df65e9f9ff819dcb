"""What the values of claims must be that name something, and what is said of one that is not."""

from typing import Final, TypeGuard

from jotgate.core.issuers import Path
from jotgate.errors import ClaimRefused

ARRAY: Final = "an array of strings"
NAME: Final = "a non-empty printable string"


def is_name(value: object) -> TypeGuard[str]:
    """Whether this may go to logs and terminals: without control, formatting or surrogate characters."""
    return isinstance(value, str) and bool(value) and value.isprintable()


def are_names(values: list[str]) -> bool:
    """Whether the items of an array, which may be of any type for all that JSON says, are names; at one go."""
    try:
        return "".join(values).isprintable() and "" not in values
    except TypeError:
        return False


def wrong_shape(path: Path, wanted: str, got: object) -> ClaimRefused:
    """That what a path leads to is not what it must be."""
    name = ".".join(path)
    return ClaimRefused(name, "invalid", f"the claim '{name}' is not {wanted}").showing(name, wanted, got)
