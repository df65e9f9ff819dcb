r"""Makes a token for the MCP daemon: asks for its secret, a user and a time, and prints the token.

    python setup_jwt_token.py
    printf '%s\n' "$SUPABASE_JWT_SECRET" agent_001 24 | python setup_jwt_token.py

It is one file and needs Python 3.11 alone. The secret is not shown while it is typed, and is kept nowhere. Exit codes:
0 a token was printed; 1 what was entered is none.
"""

import base64
import getpass
import hashlib
import hmac
import json
import sys
import time
from datetime import UTC, datetime

SECRET_BYTES_MIN = 32  # RFC 7518 s3.2: a key of HS256 is as long as its hash.
HOURS_DEFAULT = 24
HOURS_MAX = 90 * 24
QUOTA = 100
WARNING = (
    "WARNING: whoever has this secret can make a token for anybody, with any role. Keep it at the server and with its "
    "operator; give clients tokens."
)


class Refused(Exception):
    """What was entered is none; the text says why."""


def ask(question: str, *, hidden: bool = False) -> str:
    """One line of the terminal, or of what is piped in."""
    if hidden and sys.stdin.isatty():
        return getpass.getpass(question).strip()
    sys.stdout.write(question)
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not sys.stdin.isatty():
        sys.stdout.write("\n")
    return line.strip()


def read_hours(text: str) -> int:
    """Whole hours; 24 where nothing is entered."""
    if not text:
        return HOURS_DEFAULT
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= HOURS_MAX):
        raise Refused(f"the time must be a whole number of hours from 1 to {HOURS_MAX}")
    return int(text)


def encode(raw: bytes) -> str:
    """Base64url without padding (RFC 7515 s2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def make_token(secret: str, user: str, hours: int, now_s: int) -> str:
    """A token as the daemon takes it."""
    if len(secret.encode()) < SECRET_BYTES_MIN:
        raise Refused(f"the secret has fewer than {SECRET_BYTES_MIN} characters, and is no key of HS256")
    if not user or not user.isprintable():
        raise Refused("the user identifier is empty, or holds what cannot be printed")
    claims = {
        "sub": user,
        "name": "AI Client",
        "iat": now_s,
        "exp": now_s + hours * 3600,
        "iss": "exai-mcp-server",
        "aud": "exai-mcp-client",
        "quota": QUOTA,
        "role": "user",
    }
    head = {"alg": "HS256", "typ": "JWT"}
    signed = ".".join(encode(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims))
    return signed + "." + encode(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())


def main() -> int:
    """Ask, and print; the exit code."""
    sys.stdout.write("=== EX-AI MCP Server JWT Token Setup ===\n")
    sys.stderr.write(WARNING + "\n")
    try:
        secret = ask("Enter your Supabase JWT Secret: ", hidden=True)
        user = ask("Enter your user identifier: ")
        hours = read_hours(ask(f"Enter token expiration (hours, default {HOURS_DEFAULT}): "))
        now_s = int(time.time())
        token = make_token(secret, user, hours, now_s)
    except UnicodeError:
        sys.stderr.write("ERROR: what was entered is no text in UTF-8\n")
        return 1
    except Refused as refusal:
        sys.stderr.write(f"ERROR: {refusal}\n")
        return 1
    except (EOFError, KeyboardInterrupt):
        sys.stderr.write("\nERROR: it was broken off, and no token was made\n")
        return 1
    ends = datetime.fromtimestamp(now_s + hours * 3600, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    sys.stdout.write(
        f"\n\N{WHITE HEAVY CHECK MARK} JWT Token Generated Successfully!\n\nToken: {token}\n\n"
        f"Expires: {ends}\nUser: {user}\nQuota: {QUOTA} requests\n"
    )
    return 0


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    sys.exit(main())
