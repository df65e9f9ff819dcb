"""What a command does itself when no jotgate runs on DATA; its caller holds the lock."""

import os
from pathlib import Path

from jotgate.assembly.authority import open_authority, open_verifier
from jotgate.assembly.system import SystemClock
from jotgate.core.claims import Issued, TokenRequest
from jotgate.core.principals import Principal
from jotgate.processes.sockets import local_url
from jotgate.stores.directory import DataDirectory
from jotgate.stores.settings import read_config


def issue(directory: DataDirectory, config_file: Path | None, request: TokenRequest) -> Issued:
    """Issue a token, and make the installation if this is the first start.

    Raises:
        ConfigurationError, DirectoryRefused, AuditUnavailable: see `assembly.authority`.
    """
    os.umask(0o077)
    config = read_config(config_file)
    server = config.server
    authority = open_authority(directory, config, local_url(server.host, server.port))
    try:
        return authority.tokens.issue(request)
    finally:
        authority.log.close()


def verify(directory: DataDirectory, config_file: Path | None, token: bytes) -> Principal:
    """Check a token.

    Raises:
        TokenError: one subclass for each reason.
        CommandError, ConfigurationError, DirectoryRefused: see `assembly.authority`.
    """
    return open_verifier(directory, read_config(config_file)).verify(token, SystemClock().now_s())
