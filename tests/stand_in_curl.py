"""Stands in for curl on a machine that has none: just the options that our lines use.

It is run as a program, by any Python, and refuses every other option.
"""

import argparse
import base64
import ssl
import sys
import urllib.request
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.parse import quote_plus

FORM: Final = "application/x-www-form-urlencoded"


def main() -> int:
    """Send the request, and print the body of the answer, whatever its status."""
    parser = argparse.ArgumentParser(prog="curl", allow_abbrev=False)
    parser.add_argument("url")
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-u", default="")
    parser.add_argument("-X")
    parser.add_argument("-H", action="append", default=[])
    parser.add_argument("-d", action="append", default=[])
    parser.add_argument("--data-urlencode", dest="d", action="append", type=_escaped)
    parser.add_argument("--cacert")
    asked = parser.parse_args()
    fields = {"Content-Type": FORM} if asked.d else {}
    if asked.u:
        fields["Authorization"] = "Basic " + base64.b64encode(asked.u.encode()).decode()
    fields |= {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in asked.H)}
    body = "&".join(asked.d).encode() if asked.d else None
    request = urllib.request.Request(asked.url, body, fields, method=asked.X)
    context = ssl.create_default_context(cafile=asked.cacert) if asked.cacert else None
    if context is not None:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # As curl does: a certificate may vouch for itself.
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            sys.stdout.buffer.write(answer.read())
    except HTTPError as refusal:
        sys.stdout.buffer.write(refusal.read())
    return 0


def _escaped(text: str) -> str:
    name, _, value = text.partition("=")
    return f"{name}={quote_plus(value)}"


def install(folder: Path) -> Path:
    """Put it into a folder as `curl`; returns the folder, which belongs into PATH."""
    program = folder / "curl"
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{Path(__file__).resolve()}' \"$@\"\n")
    program.chmod(0o755)
    return folder


if __name__ == "__main__":
    sys.exit(main())
