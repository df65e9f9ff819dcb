"""What `jotgate doctor` looks at: the clock, limits, DATA, the settings, the address, control, and each upstream.

Nothing is changed and nothing is taken: a check looks, and says what it saw and what would mend it.
"""

import ctypes
import os
import resource
import socket
import stat
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from jotgate.assembly.check import check_settings as check_all
from jotgate.assembly.pings import ping
from jotgate.core.config import Config, Server, seconds
from jotgate.core.issuer_checks import way_of
from jotgate.core.issuer_compiler import iss_of
from jotgate.core.mcp_tools import server_of
from jotgate.core.status import Status, elsewhere, is_elsewhere
from jotgate.core.upstream_orders import UpstreamAnswer
from jotgate.core.upstream_tokens import TokenStanding
from jotgate.errors import AddressUnavailable, JotgateError
from jotgate.processes.sockets import listen_tcp
from jotgate.stores.directory import DataDirectory
from jotgate.stores.files import check_private
from jotgate.stores.settings import Settings, Sources

_TIME_ERROR: Final = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES: Final = 256
_OPEN_FILES_GOOD: Final = 16_384
_OPEN_FILES_LEAST: Final = 1_024
_PINGS_AT_ONCE: Final = 8
_CONNECT_S: Final = 2.0
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH

State = Literal["ok", "fault", "unknown"]


class Check(Struct, frozen=True):
    """One line of the report: what was looked at, how it is, what was seen, and what would mend it."""

    name: str
    state: State
    text: str
    fix: str = ""


Ask = Callable[[], Status | None]
AskUpstreams = Callable[[], UpstreamAnswer | None]


def examine(directory: DataDirectory, sources: Sources, ask: Ask, ask_upstreams: AskUpstreams) -> Iterator[Check]:
    """Every check, in the order in which a reader wants them.

    `ask` finds the running control, or None; `ask_upstreams` what that says of the credentials of its upstreams.
    """
    settings = check_all(directory, sources)
    running, control = _find_control(directory, ask)
    silent = running is None and control.state == "fault"
    config = Config() if settings.config is None else settings.config
    yield check_synchronised(_kernel_clock_state())
    if running is not None:
        yield check_step(running.clock_step_s, config)
    yield check_open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    yield from check_files(directory, settings.files, settings.secret_files)
    yield from check_settings(settings)
    yield control
    if settings.config is not None:
        if not silent:  # The address would look as if another program had taken it.
            yield check_address(config.server, running)
            yield from check_name(config.server, running)
        yield from check_faces(settings, running)
        yield from check_issuers(settings, running)
        yield from check_upstream_tokens(settings, running, _find_lacks(running, ask_upstreams))
        yield from check_upstreams(settings, config)


def _find_control(directory: DataDirectory, ask: Ask) -> tuple[Status | None, Check]:
    try:
        running = ask()
    except JotgateError as error:
        return None, Check("control", "fault", error.message, error.hint)
    if running is None:
        return None, Check("control", "unknown", f"no jotgate runs on '{directory.path}'", "Start it: jotgate up")
    text = f"process {running.pid}, version {running.version}, answers; workers connected: {running.workers}"
    if not running.workers:
        return running, Check("control", "fault", text, "Look at what jotgate says in its log about its workers")
    return running, Check("control", "ok", text)


def _kernel_clock_state() -> int | None:
    """What adjtimex(2) returns, which needs no privilege when it changes nothing; None when it cannot be asked."""
    try:
        return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
    except (OSError, AttributeError):
        return None


def check_synchronised(state: int | None) -> Check:
    """Whether something keeps the clock right; a wrong one makes good tokens expired or immature."""
    if state is None or state < 0:
        return Check("clock", "unknown", "the kernel does not say whether the clock is synchronised")
    if state == _TIME_ERROR:
        return Check(
            "clock",
            "unknown",
            "the kernel knows of no synchronisation; in a container or virtual machine the host may do it",
            "Run an NTP client: timedatectl set-ntp true",
        )
    return Check("clock", "ok", "the kernel's clock is synchronised")


def check_step(step_s: float, config: Config) -> Check:
    """Whether the civil clock was set since control started."""
    allowed_s = max(1, seconds(config.issuer.leeway))
    if abs(step_s) <= allowed_s:
        return Check("clock step", "ok", f"the clock was set by {step_s:+.3f} s since jotgate started")
    return Check(
        "clock step",
        "fault",
        f"the clock was set by {step_s:+.1f} s since jotgate started: tokens of before are judged by another time",
        "Find out what sets the clock, let an NTP client slew it, and create new tokens",
    )


def check_open_files(limit: int) -> Check:
    """Whether enough files may be open: each call under way needs two."""
    name, text = "open files", f"at most {limit} files may be open at once"
    if limit == resource.RLIM_INFINITY or limit >= _OPEN_FILES_GOOD:
        return Check(name, "ok", "no limit" if limit == resource.RLIM_INFINITY else text)
    state: State = "fault" if limit < _OPEN_FILES_LEAST else "unknown"
    return Check(name, state, f"{text}; each call under way needs two", "Raise it: LimitNOFILE=65536, or ulimit -Hn")


def check_files(directory: DataDirectory, read: Iterable[Path], secret: Container[Path]) -> Iterator[Check]:
    """Owner and mode of everything in DATA, and of the files that settings were read from, some of them secret."""
    if not directory.path.exists():
        yield Check("files", "unknown", f"'{directory.path}' is not there yet", "The first start makes it: jotgate up")
    else:
        yield from _check_data(directory)
    for path in read:
        yield from _check_read(path, secret=path in secret)


def _check_data(directory: DataDirectory) -> Iterator[Check]:
    faults = 0
    paths = [directory.path, *sorted(directory.path.rglob("*"))]
    for path in paths:
        try:
            found = path.stat()
            check_private(path, found, 0o700 if stat.S_ISDIR(found.st_mode) else 0o600)
        except FileNotFoundError:
            continue  # A file that came and went.
        except OSError as error:
            faults += 1
            yield Check("files", "fault", f"'{path}' cannot be looked at: {error.strerror}", "Run this as its owner")
        except JotgateError as error:
            faults += 1
            yield Check("files", "fault", error.message, error.hint)
    if not faults:
        yield Check("files", "ok", f"all of '{directory.path}' is this user's alone")


def _check_read(path: Path, *, secret: bool) -> Iterator[Check]:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return  # Where it must be there, the settings say that it is not.
    mode = stat.S_IMODE(found.st_mode)
    refused, fix = _refused_mode(found.st_uid) if secret else (_OTHERS_WRITE, "go-w")
    if mode & refused:
        what = "others can read or write it, and it holds secrets" if secret else "others can write it"
        yield Check("files", "fault", f"'{path}' has mode {mode:04o}: {what}", f"chmod {fix} '{path}'")
    else:
        yield Check("files", "ok", f"'{path}' has mode {mode:04o}")


def _refused_mode(owner: int) -> tuple[int, str]:
    """What the mode of a secret may not give, and what chmod then takes away.

    Who does not own the file reads it as one of its group, as with root's keys and a service's group.
    """
    if owner == os.geteuid():
        return stat.S_IRWXG | stat.S_IRWXO, "go-rwx"
    return stat.S_IWGRP | stat.S_IRWXO, "g-w,o-rwx"


def check_settings(settings: Settings) -> Iterator[Check]:
    """Each fault in the settings."""
    for finding in settings.findings:
        where = ": ".join(filter(None, (finding.where, finding.setting)))
        yield Check("settings", "fault", f"{where} {finding.fault}", "jotgate check lists all faults")
    if not settings.findings:
        yield Check("settings", "ok", "no fault")


def check_address(server: Server, running: Status | None) -> Check:
    """Whether the address is free, or that of the jotgate that runs takes connections."""
    if running is not None:
        return _check_listener(running.url)
    where = f"{server.host} port {server.port}"
    try:
        for listener in listen_tcp(server.host, server.port, 1):
            listener.close()
    except AddressUnavailable as error:
        return Check("address", "fault", error.message, error.hint)
    return Check("address", "ok", f"{where} is free")


def check_name(server: Server, running: Status | None) -> Iterator[Check]:
    """Whether the name of the installation leads to it, as far as that can be told from here."""
    if running is not None and not server.public_url and is_elsewhere(running.issuer, running.url):
        text, _, fix = elsewhere(running.issuer, running.url).partition(". ")
        yield Check("name", "fault", text, fix.removesuffix("."))


def _check_listener(url: str) -> Check:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), _CONNECT_S):
            return Check("address", "ok", f"{url} takes connections")
    except OSError as error:
        fix = "Look at jotgate's log, and at the firewall of this machine"
        return Check("address", "fault", f"{url} takes no connections: {error.strerror or error}", fix)


def check_issuers(settings: Settings, running: Status | None) -> Iterator[Check]:
    """Each issuer beside this installation: those that control knows, or those of the settings when none runs."""
    if running is None:
        for one in settings.issuers:
            yield Check(
                f"issuer {one.entry.name}", "ok", f"{iss_of(one.entry) or 'no iss'}, keys by {way_of(one.entry)}"
            )
        return
    for state in running.issuers:
        text = f"{state.issuer or 'no iss'}, keys by {state.way or 'no way'}, from the {state.origin}"
        if not state.enabled:
            yield Check(f"issuer {state.name}", "ok", f"{text}, disabled")
        elif state.faults:
            fix = f"Mend it, and: jotgate issuer remove {state.name}; jotgate issuer add FILE"
            yield Check(f"issuer {state.name}", "fault", f"{text}, does not count: {'; '.join(state.faults)}", fix)
        else:
            yield Check(f"issuer {state.name}", "ok", text)


def check_faces(settings: Settings, running: Status | None) -> Iterator[Check]:
    """What a face lacks without which a part of it answers 503: of those that run, else of those that were named."""
    lacks = {one.name: list(one.missing) for one in settings.presets}
    if running is not None:
        lacks |= {one.name: one.missing for one in running.faces}
    for name, missing in lacks.items():
        if missing:
            fix = "Set it in .env or the environment: docs/systems/README.md"
            yield Check(f"face {name}", "fault", "; ".join(missing), fix)
        else:
            yield Check(f"face {name}", "ok", "nothing is missing")


def _find_lacks(running: Status | None, ask: AskUpstreams) -> dict[str, str] | None:
    """Why upstreams can be sent no token, by their names; None: control did not say."""
    try:
        answer = None if running is None else ask()
    except JotgateError:
        return None
    return None if answer is None else {one.name: one.lack for one in answer.upstreams}


def check_upstream_tokens(
    settings: Settings, running: Status | None, lacks: Mapping[str, str] | None
) -> Iterator[Check]:
    """How control gets the tokens of upstreams, as it says itself; a token is got by nobody else.

    Those of presets are told too, which the settings here need not name; those of MCP servers stand with these
    (`assembly.mcp_checks`). `lacks` is why there is none, by upstream;
    None: that is not known.
    """
    entries = () if settings.config is None else settings.config.upstreams
    grants: dict[str, str] = {one.name: one.oauth.grant for one in entries if one.oauth is not None}
    standings = {} if running is None else {one.upstream: one for one in running.upstream_tokens}
    for name in dict.fromkeys((*grants, *(one for one in standings if not server_of(one)))):
        standing = standings.get(name)
        grant = grants[name] if standing is None else standing.kind
        lack = None if lacks is None else lacks.get(name)
        yield _check_tokens(f"tokens {name}", f'by the grant "{grant}"', standing, lack)


def _check_tokens(name: str, by: str, standing: TokenStanding | None, lack: str | None) -> Check:
    if standing is None:
        return Check(name, "unknown", f"{by}; nothing runs that has got any", "Start it: jotgate up")
    if standing.fault:
        fix = "Look at its [upstreams.oauth], or the preset's variables, and at what the server knows of this client"
        return Check(name, "fault", f"{by}: {standing.fault}", fix)
    if lack:
        return Check(name, "fault", f"{by}: {lack}", f"Log in: jotgate upstream login {standing.upstream}")
    if lack is None and standing.kind == "refresh-token":
        return Check(name, "unknown", f"{by}; control does not say whether somebody has logged in", "Run this again")
    if standing.second:
        text = f"{by}, with the key {standing.key_id}: the first one is not taken any more"
        return Check(name, "ok", text, "Write it to private_key_env and key_id, and take the other out")
    return Check(name, "ok", f"{by}; {standing.obtained} got, {standing.failed} exchanges failed")


def check_upstreams(settings: Settings, config: Config) -> Iterator[Check]:
    """Ask each upstream for its models, with its credential; those whose tokens control gets are not asked."""
    if not config.upstreams:
        yield Check("upstreams", "ok", "none but the built-in echo", "Add one: docs/configuration.md")
        return
    with ThreadPoolExecutor(_PINGS_AT_ONCE) as pool:
        entries = [one for one in config.upstreams if one.oauth is None]
        credentials = [settings.credentials.get(one.name) for one in entries]
        reaches = [settings.reaches[one.name] for one in entries]
        for entry, answer in zip(entries, pool.map(ping, entries, credentials, reaches), strict=True):
            yield Check(f"upstream {entry.name}", answer.state, answer.text, answer.fix)
