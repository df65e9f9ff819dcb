"""`jotgate plane`: writes the configuration by which a proxy asks this installation, and finds what is out of date."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jotgate.cli.check_lines import print_checks
from jotgate.cli.common import (
    EXIT_FAILED,
    EXIT_OK,
    UsageError,
    add_config_option,
    add_data_option,
    data_directory,
    sources,
)
from jotgate.errors import CommandError, DirectoryRefused

if TYPE_CHECKING:
    from jotgate.assembly.plane_checks import Looking
    from jotgate.cli.operator import Offline
    from jotgate.core.key_orders import KeyAnswer, KeyOrder
    from jotgate.planes.facts import GateFacts, Printed, Wish

_PLANES: Final = ("envoy", "nginx", "caddy", "traefik", "haproxy")
_ACTIONS: Final = ("print", "check")
_LISTEN: Final = "127.0.0.1:8000"


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate plane`."""
    parser = commands.add_parser(
        "plane",
        help="write the configuration of a proxy that asks jotgate for decisions",
        description="Write the configuration by which Envoy, nginx, Caddy, Traefik or HAProxy lets pass whom this "
        "installation lets pass; or check one that was written before, and say what has changed since.",
        epilog="example: jotgate plane nginx print --upstream http://127.0.0.1:9000",
    )
    parser.add_argument("plane", choices=_PLANES, metavar="NAME", help="envoy, nginx, caddy, traefik or haproxy")
    parser.add_argument("action", choices=_ACTIONS, metavar="ACTION", help="print or check")
    parser.add_argument("file", nargs="?", metavar="FILE", help="with check: the configuration")
    parser.add_argument("--upstream", metavar="URL", help="with print: the origin of what is protected")
    parser.add_argument(
        "--listen", metavar="ADDRESS", default=_LISTEN, help=f"host:port where it takes requests (default: {_LISTEN})"
    )
    parser.add_argument(
        "--gate", metavar="URL", default="", help="origin where it reaches jotgate (default: where jotgate listens)"
    )
    parser.add_argument(
        "--roots", metavar="FILE", default="", help="certificates that vouch for jotgate and the upstream under TLS"
    )
    parser.add_argument("--jwt", action="store_true", help="envoy: verify tokens by its own filter before it asks")
    parser.add_argument(
        "--offline", action="store_true", help="envoy, haproxy: verify tokens and ask nobody; revocations are not seen"
    )
    parser.add_argument("--grpc", action="store_true", help="envoy: ask by gRPC")
    parser.add_argument("--keep-token", action="store_true", help="send the caller's token on to the upstream")
    parser.add_argument("--out", metavar="DIR", default="", help="write files there; haproxy needs it")
    add_data_option(parser)
    add_config_option(parser)
    parser.set_defaults(run=plane)


def plane(arguments: argparse.Namespace) -> int:
    """Print a configuration, or check one."""
    return _print(arguments) if arguments.action == "print" else _check(arguments)


def _print(arguments: argparse.Namespace) -> int:
    from jotgate.assembly.check import check_settings
    from jotgate.assembly.planes import find_facts, find_keys, print_for
    from jotgate.cli.operator import find_status
    from jotgate.stores.directory import DataDirectory

    if arguments.file is not None:
        raise UsageError("print takes no FILE", hint="It writes to stdout, or below --out DIR")
    if not arguments.upstream:
        raise UsageError("--upstream is missing", hint="Name the origin of what is protected: http://127.0.0.1:9000")
    directory = DataDirectory(data_directory(arguments))
    config = check_settings(directory, sources(arguments)).require()
    keys = find_keys(lambda order: _ask(arguments, order), whole=True) if arguments.plane == "haproxy" else []
    wish = _wish(arguments)
    running = find_status(directory)
    facts = find_facts(directory, config, running, wish, keys)
    printed = print_for(arguments.plane, facts, wish)
    main = Path(wish.folder) / printed.files[0].name
    if wish.folder:
        _write(Path(wish.folder), printed)
        sys.stdout.write("".join(f"{Path(wish.folder) / one.name}\n" for one in printed.files))
    else:
        sys.stdout.write(printed.files[0].text)
    sys.stdout.flush()
    if running is None and not (wish.gate or wish.offline):
        sys.stderr.write(f"  note  no jotgate runs on {directory.path}: its address is that of the settings\n")
    if not config.decisions.proxies and not wish.offline:
        sys.stderr.write('  note  nobody may ask yet: set decisions.proxies, such as proxies = ["127.0.0.1"]\n')
    sys.stderr.write(f"  next  {printed.start.replace('FILE', str(main))}\n")
    return EXIT_OK


def _check(arguments: argparse.Namespace) -> int:
    from jotgate.assembly.plane_checks import check_plane

    if arguments.file is None:
        raise UsageError("check needs a FILE", hint="Name the configuration that was printed")
    file = Path(os.path.abspath(arguments.file))
    return EXIT_OK if print_checks(check_plane(file, look(arguments), arguments.plane)) else EXIT_FAILED


def look(arguments: argparse.Namespace) -> "Looking":
    """What a look at a printed configuration needs. Raises ConfigurationError and CommandError."""
    from jotgate.assembly.check import check_settings
    from jotgate.assembly.plane_checks import Looking
    from jotgate.assembly.planes import find_facts, find_keys
    from jotgate.assembly.system import SystemClock
    from jotgate.cli.operator import find_status
    from jotgate.stores.directory import DataDirectory

    directory = DataDirectory(data_directory(arguments))
    config = check_settings(directory, sources(arguments)).require()
    running = find_status(directory)

    def find(wish: "Wish", name: str) -> "GateFacts":
        if name == "haproxy" and running is None:
            raise CommandError("no jotgate runs that could say which keys verify", hint="Start it: jotgate up")
        keys = find_keys(lambda order: _ask(arguments, order), whole=False) if name == "haproxy" else []
        return find_facts(directory, config, running, wish, keys)

    return Looking(find, running, SystemClock().now_s, bool(config.decisions.proxies))


def _wish(arguments: argparse.Namespace) -> "Wish":
    from jotgate.planes.facts import Wish

    return Wish(
        upstream=arguments.upstream,
        listen=arguments.listen,
        gate=arguments.gate,
        roots=os.path.abspath(arguments.roots) if arguments.roots else "",
        jwt=arguments.jwt,
        offline=arguments.offline,
        grpc=arguments.grpc,
        keep_token=arguments.keep_token,
        folder=os.path.abspath(arguments.out) if arguments.out else "",
    )


def _ask(arguments: argparse.Namespace, order: "KeyOrder") -> "KeyAnswer":
    from jotgate.cli.operator import carry_out
    from jotgate.core.key_orders import KeyAnswer

    def offline() -> "Offline[KeyOrder, KeyAnswer]":
        from jotgate.assembly.offline import tend_keys

        return tend_keys

    return carry_out(arguments, "/keys", order, KeyAnswer, offline)


def _write(folder: Path, printed: "Printed") -> None:
    """Write the files in the place of those that are there, the main one last: it names the others."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for one in reversed(printed.files):
            fresh = folder / f".{one.name}.new"
            fresh.write_text(one.text, encoding="utf-8")
            fresh.replace(folder / one.name)
    except OSError as error:
        raise DirectoryRefused(
            f"'{folder}' cannot be written to: {error.strerror}", hint="Name another --out"
        ) from None
