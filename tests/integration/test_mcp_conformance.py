"""MCP's own conformance suite: nothing fails through the gateway that passes at the same server without it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from bench.nginx import find_nginx
from jotgate.testing.running import running_gateway, until
from tests.peers.mcp_programs import INSTALLED, LACKING, free_port, read_outcome, running_peer, start_suite, wait_for

_REVISIONS: Final = ("2025-11-25", "2026-07-28")
_WITHIN_S: Final = 50.0
# The suite has no token to send: nginx adds it, and passes all else as it comes.
_NGINX: Final = """\
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; events {{}}
http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {url}; proxy_http_version 1.1; proxy_buffering off;
    proxy_set_header Connection ""; proxy_set_header Host $http_host;
    proxy_set_header Authorization "Bearer {token}"; }} }} }}
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not INSTALLED.exists(), reason=LACKING),
]


@contextmanager
def _with_token(url: str, token: str, folder: Path) -> Iterator[str]:
    """A way to the gateway that has the token already."""
    port = free_port()
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port, url=url, token=token))
    nginx = subprocess.Popen([find_nginx(), "-p", folder, "-c", folder / "nginx.conf"])
    try:
        until((folder / "nginx.pid").exists, "nginx listens")
        yield f"http://127.0.0.1:{port}"
    finally:
        nginx.terminate()
        nginx.wait()


def test_nothing_fails_through_the_gateway_that_passes_without_it(tmp_path: Path) -> None:
    with running_peer() as bare, running_peer() as behind:
        settings = f'[[mcp.servers]]\nname = "peer"\nurl = "{behind}"\n'
        with running_gateway(settings) as gateway:
            token = gateway.token("--scope", "mcp:peer:*")
            with _with_token(gateway.url, token, tmp_path) as way:
                places = {"without": bare, "through": f"{way}/mcp/peer"}
                runs = {(name, one): tmp_path / f"{name}-{one}" for name in places for one in _REVISIONS}
                wait_for([start_suite(places[name], one, path) for (name, one), path in runs.items()], _WITHIN_S)
    for revision in _REVISIONS:
        without = read_outcome(runs["without", revision])
        through = read_outcome(runs["through", revision])
        assert len(without.passed) > 30
        worse = {name: through.failed.get(name) for name in without.passed.keys() - through.passed.keys()}
        assert worse == {}
        assert through.failed.keys() <= without.failed.keys()
