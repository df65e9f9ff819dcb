"""What issues tokens of an installation, put together from DATA: by control, or by a command when none runs.

Whoever opens it holds the lock on DATA.
"""

import os
from typing import Final

from msgspec import Struct

from jotgate.assembly.system import SystemClock, SystemEntropy
from jotgate.core.compiler import compile_issuer
from jotgate.core.config import Config
from jotgate.errors import CommandError
from jotgate.gateway.world import build_verifier
from jotgate.keystores import PemKeystore
from jotgate.services.issuer import TokenIssuer
from jotgate.services.keyring import Keyring, open_keyring
from jotgate.services.recorder import Recorder
from jotgate.services.verifier import Verifier
from jotgate.stores.directory import DataDirectory
from jotgate.stores.files import PrivateFiles, prepare_directory
from jotgate.stores.installation import check_public_url, fix_installation, read_installation
from jotgate.stores.segments import SegmentWriter

_INSTANCE_BYTES: Final = 6
VERIFIED_TOKENS: Final = 2
"""What a verifier outside of workers remembers: next to nothing."""


class Authority(Struct, frozen=True):
    """An open installation. Close `log` when done."""

    issuer_url: str
    keyring: Keyring
    log: SegmentWriter
    recorder: Recorder
    tokens: TokenIssuer


def open_authority(directory: DataDirectory, public_url: str, url: str) -> Authority:
    """Open the installation in DATA, which this makes if it is the first start.

    `url` is where the gateway listens: the issuer's name from now on, unless there is a public URL or the name was
    fixed before.

    Raises:
        ConfigurationError: the public URL is not the name that was fixed.
        DirectoryRefused: a file in DATA cannot be used.
        AuditUnavailable: the audit log cannot be written.
    """
    files = directory.prepare()
    installation = fix_installation(files, public_url, url)
    keyring = _open_keyring(directory)
    clock = SystemClock()
    log = SegmentWriter(directory.audit, os.urandom(_INSTANCE_BYTES).hex(), clock)
    recorder = Recorder(log, clock)
    if keyring.created:
        key = keyring.signing_key
        recorder.record("key.created", actor="jotgate", details={"kid": key.kid, "algorithm": key.algorithm.name})
    return Authority(
        issuer_url=installation.issuer,
        keyring=keyring,
        log=log,
        recorder=recorder,
        tokens=TokenIssuer(
            issuer=installation.issuer,
            key=keyring.signing_key,
            clock=clock,
            entropy=SystemEntropy(),
            recorder=recorder,
        ),
    )


def open_verifier(directory: DataDirectory, config: Config) -> Verifier:
    """What checks tokens of the installation in DATA.

    Raises:
        CommandError: there is no installation.
        ConfigurationError, DirectoryRefused: as for `open_authority`.
    """
    files = directory.prepare()
    if read_installation(files) is None:
        raise CommandError(
            f"there is no jotgate installation in '{directory.path}'",
            hint="Name its directory with --data or JOTGATE_DATA",
        )
    installation = fix_installation(files, config.server.public_url, "")
    return _verifier(config, installation.issuer, _open_keyring(directory))


def check_name(directory: DataDirectory, config: Config) -> None:
    """Refuse a public URL that is not the name of the installation in DATA, if there is one.

    Raises:
        ConfigurationError: it is another.
        DirectoryRefused: DATA cannot be read.
    """
    installation = read_installation(PrivateFiles(directory.path))
    if installation is not None:
        check_public_url(installation, config.server.public_url)


def _open_keyring(directory: DataDirectory) -> Keyring:
    prepare_directory(directory.keys)
    return open_keyring(PemKeystore(PrivateFiles(directory.keys)))


def _verifier(config: Config, issuer_url: str, keyring: Keyring) -> Verifier:
    return build_verifier((compile_issuer(config, issuer_url, keyring.key_set.to_jwks()),), VERIFIED_TOKENS)
