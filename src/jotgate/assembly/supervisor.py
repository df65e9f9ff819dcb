"""`jotgate up`: takes DATA and the address, and runs the supervisor on them."""

import os
import resource
from collections.abc import Callable, Sequence
from contextlib import suppress
from socket import socket
from typing import Final, NamedTuple

from jotgate.assembly.at_start import at_start, at_urls
from jotgate.assembly.sources import pack
from jotgate.core.config import Logs, seconds
from jotgate.core.presets import Preset
from jotgate.errors import AddressUnavailable
from jotgate.processes.child import MODULE
from jotgate.processes.console import say
from jotgate.processes.marks import make_marks
from jotgate.processes.notify import take_notifier
from jotgate.processes.sockets import listen_tcp, listen_unix, local_url
from jotgate.processes.supervisor import Launch, Supervisor
from jotgate.stores.directory import DataDirectory
from jotgate.stores.settings import Sources, load_settings
from jotgate.telemetry.logs import install

_LOCK_PATIENCE_S: Final = 3.0
_OPEN_FILES: Final = 65_536
_DEVELOPMENT: Final = (
    "--development relaxes: the configuration may hold credentials themselves (upstreams: credential); "
    "do not serve others like this"
)


class UpOptions(NamedTuple):
    """Where DATA and the settings are."""

    directory: DataDirectory
    sources: Sources


class ServedFace(NamedTuple):
    """A face as those who start it are told of it: what its preset comes to, and its URL on this machine."""

    preset: Preset
    url: str


def run(options: UpOptions, announce: Callable[[str, str, Sequence[ServedFace]], None], module: str = MODULE) -> int:
    """Run jotgate until it is told to stop. Returns the exit code.

    Once it serves, `announce` gets the URL that it listens on, the one that callers know it by, and its faces. `module`
    is what its children run.

    Raises:
        ConfigurationError, DirectoryRefused, DirectoryBusy, AddressUnavailable: it cannot be started.
    """
    os.umask(0o077)
    _allow_many_files()
    sources, directory = options.sources, options.directory
    found = load_settings(sources)
    logs = Logs() if found.config is None else found.config.logs
    install("supervisor", logs.level, logs.format)
    for warning in found.warnings:
        say(warning)
    config = found.require()
    settings = config.server
    if sources.development:
        say(_DEVELOPMENT)
    directory.prepare()
    directory.check_socket_paths()
    lock_fd = directory.take_lock(_LOCK_PATIENCE_S)
    listeners = [listen_tcp(settings.host, settings.port, settings.workers)]
    listeners += [_listen_face(one, settings.workers) for one in found.presets]
    hosts = (settings.host, *(one.listen[0] for one in found.presets))
    url, *urls = (
        local_url(host, sockets[0].getsockname()[1], tls=bool(config.tls.cert))
        for host, sockets in zip(hosts, listeners, strict=True)
    )
    faces = [ServedFace(one, face_url) for one, face_url in zip(found.presets, urls, strict=True)]
    paths = (directory.control_socket, directory.edge_socket, directory.bus_socket)
    operator, edge, bus = (listen_unix(path) for path in paths)
    launch = Launch(
        directory=str(directory.path),
        config=str(sources.file) if sources.file else "",
        sources=pack(
            sources, {**at_start(config, found.presets), **at_urls({one.preset.name: one.url for one in faces})}
        ),
        logs=f"{logs.format} {logs.level}",
        drain_s=seconds(settings.drain_timeout),
        url=url,
        lock_fd=lock_fd,
        worker_fds=tuple(tuple(one.fileno() for one in of_worker) for of_worker in zip(*listeners, strict=True)),
        control_fds=(operator.fileno(), edge.fileno(), bus.fileno()),
        marks_fd=make_marks(),
        module=module,
    )
    try:
        return Supervisor(
            launch, lambda: announce(url, settings.public_url or url, faces), take_notifier(os.environ)
        ).run()
    finally:
        for path in paths:
            with suppress(OSError):
                path.unlink()


def _listen_face(preset: Preset, count: int) -> list[socket]:
    """The sockets of a preset's face. Raises AddressUnavailable, which names what decides where it listens."""
    try:
        return listen_tcp(*preset.listen, count)
    except AddressUnavailable as refusal:
        host, port = preset.listen_settings
        raise AddressUnavailable(
            f"the preset '{preset.name}' cannot be served: {refusal.message}",
            hint=f"Free that port, or choose another address with {' and '.join(dict.fromkeys((host, port)))}",
        ) from None


def _allow_many_files() -> None:
    """Raise the soft limit of open files, which is often 1024: each call under way needs two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
