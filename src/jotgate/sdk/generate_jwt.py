"""Makes bearer tokens of the prompt-chaining API: `generate_token`, and the command that prints one.

    python scripts/generate_jwt.py --subject my-service --expires-in 7d
    python -m jotgate.sdk.generate_jwt          # the same, where only the package is installed

The token stands alone on stdout. Exit codes: 0 a token was printed; 1 the secret is missing or is none; 2 an argument
is wrong.
"""

import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Final

from jotgate.core.guessing import guessable
from jotgate.core.issuer_profiles import PROFILES
from jotgate.core.prompt_chain_secret import (
    ALGORITHM,
    DEFAULT_ALGORITHM,
    PROFILE,
    SECRET,
    algorithm_fault,
    bearer_key,
    make_secret,
    secret_fault,
)
from jotgate.core.values import Secret, parse_duration_s
from jotgate.errors import ClaimRefused, CommandError, JotgateError, KeyRefused, TokenMalformed
from jotgate.jose import jwt
from jotgate.sdk.environment import read_variable

_DEFAULT_SUBJECT: Final = "client"
_NOT_CONFIGURED: Final = 1
_BAD_ARGUMENT: Final = 2
_LIFETIME_MAX_S: Final = PROFILES[PROFILE].lifetime_max_s


def generate_token(
    secret_key: str,
    subject: str = _DEFAULT_SUBJECT,
    expires_in_seconds: int | None = None,
    algorithm: str = DEFAULT_ALGORITHM,
) -> str:
    """A token with the claims `sub`, `iat` and, if it is to end, `exp`; its header is `alg` and `typ`.

    Raises:
        KeyRefused: the secret is too short for the algorithm (RFC 7518 s3.2), or no secret.
        CommandError: the algorithm, the subject or the time is none.
    """
    if fault := algorithm_fault(algorithm):
        raise CommandError(fault)
    if fault := secret_fault(secret_key, algorithm):
        raise KeyRefused(fault)
    if expires_in_seconds is not None and expires_in_seconds <= 0:
        raise CommandError("a token ends at least one second from now", hint="Leave the time out for one without end")
    issued_at_s = int(time.time())
    claims: dict[str, object] = {"sub": subject, "iat": issued_at_s}
    if expires_in_seconds is not None:
        claims["exp"] = issued_at_s + int(expires_in_seconds)
    try:
        return jwt.sign(claims, "JWT", bearer_key(secret_key, algorithm), with_kid=False).decode("ascii")
    except (ClaimRefused, TokenMalformed) as refusal:
        raise CommandError(f"no such token can be made: {refusal.message}") from refusal


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a token; the exit code, as the head of this module says. Raises SystemExit with 2 for a bad argument."""
    parser = _parser()
    given = parser.parse_args(arguments)
    secret: str = given.secret or read_variable(SECRET)
    algorithm: str = given.algorithm.strip().upper()
    if fault := algorithm_fault(algorithm):
        parser.error(f"--algorithm: {fault}")
    if not secret:
        return _fail(
            _NOT_CONFIGURED,
            f"{SECRET} not found in the environment or .env",
            f"Make a secret: {make_secret(algorithm)}, then write it into .env as {SECRET}=…",
        )
    if fault := secret_fault(secret, algorithm):
        return _fail(_NOT_CONFIGURED, fault)
    try:
        lifetime_s = None if given.expires_in is None else _seconds(given.expires_in)
        token = generate_token(secret, given.subject, lifetime_s, algorithm)
    except CommandError as error:
        return _fail(_BAD_ARGUMENT, error.message, error.hint)
    except JotgateError as error:
        return _fail(_NOT_CONFIGURED, error.message, error.hint)
    for warning in _warnings(secret, algorithm, lifetime_s, read_variable(ALGORITHM).strip().upper() or algorithm):
        sys.stderr.write(f"WARNING: {warning}\n")
    sys.stdout.write(f"{token}\n")
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="generate_jwt.py",
        description="Print a bearer token for the prompt-chaining API.",
        epilog="Exit codes: 0 a token was printed, 1 the secret is missing or is none, 2 an argument is wrong.",
        allow_abbrev=False,
    )
    parser.add_argument("--secret", help=f"secret to sign with (default: {SECRET} of the environment or of .env)")
    parser.add_argument("--subject", default=_DEFAULT_SUBJECT, help="claim 'sub' (default: %(default)s)")
    parser.add_argument("--expires-in", metavar="TIME", help="such as 30d, 24h or 3600s (default: no expiration)")
    parser.add_argument("--algorithm", default=DEFAULT_ALGORITHM, help="HS256, HS384 or HS512 (default: %(default)s)")
    return parser


def _seconds(text: str) -> int:
    """The seconds of a time; a number alone is seconds. Raises CommandError."""
    return parse_duration_s(f"{text}s" if text.isascii() and text.isdigit() else text)


def _warnings(secret: str, algorithm: str, lifetime_s: int | None, configured: str) -> list[str]:
    """What the owner of a token should know that is made all the same."""
    found = []
    if reason := guessable(Secret(secret)):
        found.append(f"the secret is good for trying things out alone: {reason}")
    if lifetime_s is not None and lifetime_s > _LIFETIME_MAX_S:
        found.append(f"the API takes no token that lives longer than {_LIFETIME_MAX_S // 86_400} days")
    if configured != algorithm:
        found.append(f"{ALGORITHM} is set to another algorithm, and the API takes that one alone: add --algorithm")
    return found


def _fail(code: int, message: str, hint: str = "") -> int:
    sys.stderr.write("\n".join(filter(None, (f"ERROR: {message}", hint))) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
