"""`jotgate up`: starts the gateway, and prints how to use it once it serves."""

import argparse
import os
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from jotgate.cli.common import (
    add_config_option,
    add_data_option,
    add_preset_option,
    add_server_options,
    data_directory,
    default_data_directory,
    sources,
)
from jotgate.cli.face_lines import face_lines

if TYPE_CHECKING:
    from jotgate.assembly.supervisor import ServedFace
    from jotgate.assembly.trust import Trust
    from jotgate.stores.directory import DataDirectory
    from jotgate.stores.settings import Sources

_SUBJECT: Final = "me"
_BODY: Final = '{"model":"echo","messages":[{"role":"user","content":"hello"}]}'


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate up`."""
    parser = commands.add_parser(
        "up",
        help="start the gateway",
        description="Start the gateway, and run it until it gets SIGTERM or Ctrl-C (a second one stops it at once). "
        "What is given here goes before what the configuration says.",
    )
    add_data_option(parser)
    add_server_options(parser)
    add_config_option(parser)
    add_preset_option(parser)
    parser.set_defaults(run=up)


def up(arguments: argparse.Namespace) -> int:
    """Run the gateway."""
    # Until the supervisor takes it: all is about to be read, and the signal would end what starts.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from jotgate.assembly.supervisor import UpOptions, run
    from jotgate.stores.directory import DataDirectory

    directory = DataDirectory(data_directory(arguments))
    chosen = sources(arguments)

    def announce(url: str, known: str, faces: "Sequence[ServedFace]") -> None:
        _announce(directory, url, known, _trust(chosen, url, known), faces)
        # On a thread: a server of this machine that answers late must not hold up the supervisor.
        threading.Thread(target=_suggest, args=(chosen, url), name="first run", daemon=True).start()

    return run(UpOptions(directory, chosen), announce)


def _trust(chosen: "Sources", url: str, known: str) -> "Trust":
    from jotgate.assembly.trust import Trust, find_trust
    from jotgate.stores.settings import load_settings

    if not (url.startswith("https:") and known.startswith("https:")):
        return Trust()
    tls = load_settings(chosen, secrets=False).tls
    if tls is None or not tls.cert:
        return Trust()
    found = find_trust(url, urlsplit(known).hostname or "", (chosen.file.parent if chosen.file else Path()) / tls.cert)
    # Whoever calls it by another URL may well be shown another certificate, by a proxy.
    return found if known == url or not found.fault else Trust()


def _announce(
    directory: "DataDirectory", url: str, known: str, trust: "Trust", faces: "Sequence[ServedFace]" = ()
) -> None:
    """Print the first lines; callers know it by the second URL. A token goes to a terminal alone, else into a log."""
    token = _new_token(directory) if sys.stdout.isatty() else f"$({_create_command(directory.path)})"
    roots = shlex.quote(str(trust.file)) if trust.file else ""
    curl = f"curl --cacert {roots}" if roots else "curl"
    fields = f'-H "Authorization: Bearer {token}" -H "Content-Type: application/json" -d \'{_BODY}\''
    lines = [
        f"jotgate serves {url}{'' if known == url else f' as {known}'}",
        "",
        *((fault, "") if (fault := _elsewhere(directory, url, known)) else ()),
        *((f"Clients do not accept its certificate: {trust.fault}", "") if trust.fault else ()),
        "Try it:",
        f"  {curl} {known}/v1/chat/completions {fields}",
        "",
        "For the OpenAI SDKs:",
        *([f"  export SSL_CERT_FILE={roots} NODE_EXTRA_CA_CERTS={roots}"] if trust.anywhere else ()),
        f"  export OPENAI_BASE_URL={known}/v1",
        f'  export OPENAI_API_KEY="{token}"',
        "",
        *face_lines(faces, curl, partial(_command, directory.path)),
    ]
    _print("\n".join(lines))


def _elsewhere(directory: "DataDirectory", url: str, known: str) -> str:
    """Why clients do not find what the installation's name leads to; empty when they do, or the operator says so."""
    from jotgate.core.status import elsewhere, is_elsewhere
    from jotgate.stores.files import PrivateFiles
    from jotgate.stores.installation import read_installation

    found = read_installation(PrivateFiles(directory.path))
    if known != url or found is None or not is_elsewhere(found.issuer, url):
        return ""
    return elsewhere(found.issuer, url)


def _suggest(chosen: "Sources", url: str) -> None:
    """Say how to add the upstreams that are within reach, if there are any that the configuration does not have."""
    from jotgate.assembly.discovery import find_keys, find_servers, fit, suggest
    from jotgate.cli.common import environment
    from jotgate.stores.settings import load_settings

    settings = load_settings(chosen, secrets=False)
    config = settings.config
    if config is None or chosen.file is None:
        return
    found = find_keys(environment(), config)
    if not config.upstreams:
        found += find_servers(config, urlsplit(url).port or 0)
    found = fit(found, config)
    if found:
        names = ", ".join(one.found for one in found)
        lines = suggest(found, config, chosen.file, settings.origins)
        _print(f"\nFound {names}. To use what you want of it, write this {lines}\n")


def _print(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads them, and it serves all the same; the rest of the buffer must not be tried again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _new_token(directory: "DataDirectory") -> str:
    from jotgate.cli.operator import ask_running
    from jotgate.core.claims import Issued, TokenRequest

    return ask_running(directory, "/tokens", TokenRequest(subject=_SUBJECT), Issued).token


def _create_command(data: Path) -> str:
    return _command(data, "token", "create", "--subject", _SUBJECT)


def _command(data: Path, *words: str) -> str:
    return shlex.join([*_program(), *words, *(("--data", str(data)) if data != default_data_directory() else ())])


def _program() -> list[str]:
    """How to run this program again: by its name if the PATH finds it, else as it was run."""
    invoked = Path(sys.argv[0])
    if invoked.name == "__main__.py":
        return [sys.executable, "-m", "jotgate"]
    found = shutil.which("jotgate")
    if found and os.path.realpath(found) == os.path.realpath(invoked):
        return ["jotgate"]
    return [os.path.abspath(invoked)]
