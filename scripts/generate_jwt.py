"""Prints a bearer token for the prompt-chaining API; `generate_token` makes one in a program. See --help."""

import sys

try:
    from jotgate.sdk.generate_jwt import generate_token, main
except ModuleNotFoundError as missing:
    if __name__ != "__main__":
        raise
    sys.exit(
        f"ERROR: this Python has no module '{missing.name}'; run the script by the one that has jotgate, such as "
        ".venv/bin/python, which 'make setup' makes"
    )

__all__ = ["generate_token", "main"]

if __name__ == "__main__":
    sys.exit(main())
