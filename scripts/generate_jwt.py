"""Prints a bearer token for the prompt-chaining API; `generate_token` makes one in a program. See --help."""

import sys

from jotgate.sdk.generate_jwt import generate_token, main

__all__ = ["generate_token", "main"]

if __name__ == "__main__":
    sys.exit(main())
