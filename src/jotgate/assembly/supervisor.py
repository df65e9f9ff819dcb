"""`jotgate up`: takes DATA and the address, and runs the supervisor on them."""

import ipaddress
import os
import resource
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from jotgate.core.config import Server
from jotgate.errors import ConfigurationError
from jotgate.processes.sockets import listen_tcp, listen_unix, local_url
from jotgate.processes.supervisor import Launch, Supervisor
from jotgate.stores.directory import DataDirectory
from jotgate.stores.settings import read_config

_LOCK_PATIENCE_S: Final = 3.0
_OPEN_FILES: Final = 65_536


class UpOptions(NamedTuple):
    """What the command line says; None where the configuration speaks."""

    directory: DataDirectory
    config: Path | None
    host: str | None
    port: int | None
    workers: int | None


def run(options: UpOptions, announce: Callable[[str], None]) -> int:
    """Run jotgate until it is told to stop; `announce` gets its URL once it serves. Returns the exit code.

    Raises:
        ConfigurationError, DirectoryRefused, DirectoryBusy, AddressUnavailable: it cannot be started.
    """
    os.umask(0o077)
    _allow_many_files()
    settings = _merge(read_config(options.config).server, options)
    directory = options.directory
    directory.prepare()
    directory.check_socket_paths()
    lock_fd = directory.take_lock(_LOCK_PATIENCE_S)
    workers = listen_tcp(settings.host, settings.port, settings.workers)
    url = local_url(settings.host, workers[0].getsockname()[1])
    paths = (directory.control_socket, directory.edge_socket, directory.bus_socket)
    operator, edge, bus = (listen_unix(path) for path in paths)
    launch = Launch(
        directory=str(directory.path),
        config=str(options.config) if options.config else "",
        url=url,
        lock_fd=lock_fd,
        worker_fds=tuple(worker.fileno() for worker in workers),
        control_fds=(operator.fileno(), edge.fileno(), bus.fileno()),
    )
    try:
        return Supervisor(launch, lambda: announce(url)).run()
    finally:
        for path in paths:
            with suppress(OSError):
                path.unlink()


def _allow_many_files() -> None:
    """Raise the soft limit of open files, which is often 1024: each call under way needs two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _merge(server: Server, options: UpOptions) -> Server:
    """The settings of the file, under those of the command line."""
    host = server.host if options.host is None else options.host
    if not _is_loopback(host):
        fault = (
            f"is '{host}', which other machines can reach, and jotgate does not speak TLS yet: tokens would cross "
            f'the network in the clear; write "127.0.0.1" and put a proxy with TLS before it'
        )
        raise ConfigurationError([("server.host", fault)])
    return Server(
        host=host,
        port=server.port if options.port is None else options.port,
        workers=server.workers if options.workers is None else options.workers,
        public_url=server.public_url,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
