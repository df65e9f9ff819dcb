"""The listening sockets that the supervisor owns and its children inherit."""

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

from jotgate.errors import AddressUnavailable, DirectoryRefused

_BACKLOG: Final = 1024


def listen_tcp(host: str, port: int, count: int) -> list[socket.socket]:
    """`count` listening sockets on one address, among which the kernel shares out the connections.

    The first takes the address for itself and only then agrees to share it (SO_REUSEPORT), so that no other program
    is listening there unnoticed. Port 0 picks a free one.

    Raises:
        AddressUnavailable: the address is taken, not of this machine, or not permitted.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise AddressUnavailable(
            f"'{host}' is no address of this machine: {error.strerror}", hint="Try --host 127.0.0.1"
        ) from None
    sockets: list[socket.socket] = []
    try:
        for index in range(count):
            listener = socket.socket(family, kind, protocol)
            sockets.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if index:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.setblocking(False)
            address = listener.getsockname()
    except OSError as error:
        for listener in sockets:
            listener.close()
        raise _unavailable(host, port, error) from None
    return sockets


def _unavailable(host: str, port: int, error: OSError) -> AddressUnavailable:
    if error.errno == errno.EADDRINUSE:
        return AddressUnavailable(
            f"port {port} of {host} is taken by another program",
            hint="Stop that program, choose another port with --port, or let jotgate pick one with --port 0",
        )
    if error.errno == errno.EACCES:
        return AddressUnavailable(
            f"port {port} is not permitted to this user", hint="Choose a port above 1023 with --port"
        )
    return AddressUnavailable(
        f"{host} port {port} cannot be listened on: {error.strerror}", hint="Check --host and --port"
    )


def listen_unix(path: Path) -> socket.socket:
    """A listening Unix socket of mode 0600 in place of whatever a dead process left there.

    Only the holder of the lock on DATA may call this. Raises DirectoryRefused.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            path.unlink()
        listener.bind(os.fspath(path))
        path.chmod(0o600)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise DirectoryRefused(
            f"no socket can be made at '{path}': {error.strerror or error}",
            hint="Check the directory's mode and the disk, or choose another with --data or JOTGATE_DATA",
        ) from None
    listener.setblocking(False)
    return listener


def local_url(host: str, port: int, *, tls: bool = False) -> str:
    """The URL of what listens there, as this machine reaches it."""
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
