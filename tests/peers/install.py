"""Installs npm's counterparts from their lock, or says what is missing: `python -m tests.peers.install`.

Node and npm come with a wheel. No script of a package is run.
"""

import subprocess
import sys
from typing import Final

from tests.peers.oidc_provider import FOLDER, node, npm

_WITHIN_S: Final = 300.0
_LOUD: Final = """\
============================================================================================================
NOT COVERED: npm could not install `oidc-provider`, `oauth4webapi`, `express`, `jsonwebtoken`, `jwks-rsa` and `openai`
({why}).
Nothing is tested against a real OpenID Connect provider, by that client or with the own code of the documents 000 and
003, until it can: their tests are skipped, and `make soak` and `make bench` fail. Once npm reaches its registry,
`make setup` installs it.
============================================================================================================"""


def main() -> int:
    """Install them. It is no failure if they cannot be had: jotgate itself needs none of them."""
    command = [node(), npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    command += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=_WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        print(_LOUD.format(why=f"not within {_WITHIN_S:.0f} s"), file=sys.stderr)
        return 0
    if done.returncode:
        print(*done.stderr.splitlines()[:4], sep="\n", file=sys.stderr)
        print(_LOUD.format(why=f"it ended with {done.returncode}, see above"), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
