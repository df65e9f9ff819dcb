"""Installs npm's counterparts from their locks, or says what is missing: `python -m tests.peers.install [oidc|mcp]`.

Node and npm come with a wheel. No script of a package is run.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.peers.mcp_programs import FOLDER as MCP
from tests.peers.oidc_provider import FOLDER as OIDC
from tests.peers.oidc_provider import node, npm

_WITHIN_S: Final = 300.0
_LINE: Final = "=" * 108
_LACKING: Final = {
    OIDC: """\
NOT COVERED: npm could not install `oidc-provider`, `oauth4webapi`, `express`, `jsonwebtoken`, `jwks-rsa` and `openai`
({why}).
Nothing is tested against a real OpenID Connect provider, by that client or with the own code of the documents 000 and
003, until it can: their tests are skipped, and `make soak` and `make bench` fail. Once npm reaches its registry,
`make setup` installs it.""",
    MCP: """\
NOT COVERED: npm could not install the conformance suite, the inspector and `server-everything` of MCP ({why}).
Nothing is tested against a server of the older era alone, by the inspector or by the conformance suite, until it can:
their tests are skipped. Once npm reaches its registry, `make setup` installs it.""",
}


def main(names: list[str]) -> int:
    """Install those of these folders, or all. It is no failure if they cannot be had: jotgate itself needs none."""
    for folder, lacking in _LACKING.items():
        if names and folder.name not in names:
            continue
        if why := _install(folder):
            print(_LINE, lacking.format(why=why), _LINE, sep="\n", file=sys.stderr)
    return 0


def _install(folder: Path) -> str:
    """Install what a folder's lock names; why it could not be, or nothing."""
    command = [node(), npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    command += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        return f"not within {_WITHIN_S:.0f} s"
    if done.returncode:
        print(*done.stderr.splitlines()[:4], sep="\n", file=sys.stderr)
        return f"it ended with {done.returncode}, see above"
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
