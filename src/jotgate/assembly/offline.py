"""What a command does itself when no jotgate runs on DATA; its caller holds the lock."""

import os

from jotgate.assembly.authority import open_authority, open_verifier
from jotgate.assembly.system import SystemClock
from jotgate.core.claims import Issued, TokenRequest
from jotgate.core.principals import Principal
from jotgate.processes.sockets import local_url
from jotgate.stores.directory import DataDirectory
from jotgate.stores.settings import Sources, load_settings


def issue(directory: DataDirectory, sources: Sources, request: TokenRequest) -> Issued:
    """Issue a token, and make the installation if this is the first start.

    Raises:
        ConfigurationError, DirectoryRefused, AuditUnavailable: see `assembly.authority`.
    """
    os.umask(0o077)
    config = load_settings(sources, secrets=False).require()
    server = config.server
    url = local_url(server.host, server.port, tls=bool(config.tls.cert))
    authority = open_authority(directory, server.public_url, url)
    try:
        return authority.tokens.issue(request)
    finally:
        authority.log.close()


def verify(directory: DataDirectory, sources: Sources, token: bytes) -> Principal:
    """Check a token.

    Raises:
        TokenError: one subclass for each reason.
        CommandError, ConfigurationError, DirectoryRefused: see `assembly.authority`.
    """
    return open_verifier(directory, load_settings(sources, secrets=False).require()).verify(
        token, SystemClock().now_s()
    )
