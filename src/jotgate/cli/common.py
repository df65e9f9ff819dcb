"""What the commands share: where DATA and the configuration are, and how wrong usage is said."""

import argparse
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jotgate.core.preset_names import PRESETS
from jotgate.errors import CommandError, DirectoryRefused

if TYPE_CHECKING:
    from jotgate.stores.settings import Sources

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
_PORT_MAX: Final = 65_535
_WORKERS_MAX: Final = 64
_OPTIONS: Final = {
    "host": "server.host",
    "port": "server.port",
    "workers": "server.workers",
    "behind_proxy": "server.behind_proxy",
    "tls_cert": "tls.cert",
    "tls_key": "tls.key",
    "log_level": "logs.level",
    "log_format": "logs.format",
    "open_local": "coze_proxy.open_local",
}
_OPEN_PRESET: Final = "coze-proxy"


class UsageError(CommandError):
    """The command line is wrong; exit code 2. The message is what the parser found, the hint what to type."""


class ControlRefusal(CommandError):
    """What the running control process answered instead of doing it; `name` is its error code."""

    def __init__(self, name: str, message: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.name = name


def add_data_option(parser: argparse.ArgumentParser) -> None:
    """Add `--data`, which every command takes."""
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="directory of the installation (default: JOTGATE_DATA, else ~/.local/share/jotgate)",
    )


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """Add `--config`."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="configuration (default: JOTGATE_CONFIG, else ./jotgate.toml when it is there)",
    )


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that stand for settings: those in `_OPTIONS`, and `--development`."""
    parser.add_argument("--host", metavar="ADDRESS", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, metavar="PORT", help="port to listen on; 0 picks one (default: 8080)")
    parser.add_argument("--workers", type=_workers, metavar="N", help="worker processes (default: 1)")
    parser.add_argument(
        "--tls-cert", type=os.path.abspath, metavar="FILE", help="serve TLS with this certificate (PEM, with its chain)"
    )
    parser.add_argument("--tls-key", type=os.path.abspath, metavar="FILE", help="the certificate's private key (PEM)")
    parser.add_argument(
        "--behind-proxy",
        action="store_const",
        const=True,
        help="listen in the clear where only the trusted proxies of the configuration can reach it",
    )
    parser.add_argument(
        "--log-level",
        metavar="LEVEL",
        choices=("debug", "info", "warning", "error"),
        help="least weight of what is logged: debug, info, warning or error (default: info)",
    )
    parser.add_argument(
        "--log-format",
        metavar="FORM",
        choices=("auto", "json", "text"),
        help="json, text, or auto: text on a terminal, else JSON (default: auto)",
    )
    parser.add_argument("--development", action="store_true", help="let the configuration hold credentials")


def add_preset_option(parser: argparse.ArgumentParser) -> None:
    """Add `--preset`, which may be given several times, and `--open-local`, which says how one of them is served."""
    parser.add_argument(
        "--preset",
        metavar="NAME",
        action="append",
        choices=PRESETS,
        help=f"serve an older system too, on a listener of its own, as its variables say: {' or '.join(PRESETS)} "
        "(may be given several times)",
    )
    parser.add_argument(
        "--open-local",
        action="store_const",
        const=True,
        help="with --preset coze-proxy: look at no credential, and take every caller of this machine for one user; "
        "listens on loopback alone",
    )


def say_next(command: str, arguments: argparse.Namespace, comment: str = "", *, without: Sequence[str] = ()) -> None:
    """Say what one may do next; on stderr, since stdout holds what was asked for.

    The options of this command go on to that one, which acts on the same installation then, `without` some of them.
    """
    words = command.split()
    for name in ("data", "config", *_OPTIONS, "development"):
        value = None if name in without else getattr(arguments, name, None)
        if value is not None and value is not False:
            words.append(f"--{name.replace('_', '-')}")
            words += [] if value is True else [str(value)]
    words += [word for preset in getattr(arguments, "preset", None) or () for word in ("--preset", preset)]
    sys.stderr.write(f"  next  {shlex.join(words)}{comment}\n")


def data_directory(arguments: argparse.Namespace) -> Path:
    """DATA, absolute: `--data`, else JOTGATE_DATA, else the default."""
    chosen = arguments.data or environment().get("JOTGATE_DATA")
    return Path(os.path.abspath(chosen)) if chosen else default_data_directory()


def default_data_directory() -> Path:
    """`jotgate` in XDG_DATA_HOME, which counts if it is absolute, else in ~/.local/share."""
    shared = Path(os.environ.get("XDG_DATA_HOME", ""))
    if shared.is_absolute():
        return shared / "jotgate"
    try:
        return Path.home() / ".local" / "share" / "jotgate"
    except RuntimeError:
        raise DirectoryRefused(
            "this user has no home directory, so there is no default place for DATA",
            hint="Choose a directory with --data or JOTGATE_DATA",
        ) from None


def config_file(arguments: argparse.Namespace) -> Path | None:
    """The configuration's path, absolute: `--config`, else JOTGATE_CONFIG, else ./jotgate.toml if it is there."""
    chosen = arguments.config or environment().get("JOTGATE_CONFIG")
    if chosen:
        return Path(os.path.abspath(chosen))
    usual = _usual_config()
    return usual if usual.exists() else None


def environment() -> Mapping[str, str]:
    """The environment over the variables of `.env` in the working directory."""
    from jotgate.stores.dotenv import with_dotenv

    return with_dotenv(os.environ, _dotenv()).values


def sources(arguments: argparse.Namespace) -> "Sources":
    """Where settings come from: the configuration, the environment, `.env`, and the options of `add_server_options`."""
    from jotgate.stores.settings import Sources

    given = {path: getattr(arguments, name, None) for name, path in _OPTIONS.items()}
    presets = tuple(dict.fromkeys(getattr(arguments, "preset", None) or ()))
    if getattr(arguments, "open_local", None) and _OPEN_PRESET not in presets:
        raise UsageError(f"--open-local says how {_OPEN_PRESET} is served", hint=f"Add --preset {_OPEN_PRESET}")
    file = config_file(arguments)
    return Sources(
        file=file or _usual_config(),
        environment=os.environ,
        dotenv=_dotenv(),
        options={path: value for path, value in given.items() if value is not None},
        development=getattr(arguments, "development", False),
        awaited=file is None,
        presets=presets,
    )


def _usual_config() -> Path:
    return Path(os.path.abspath("jotgate.toml"))


def _dotenv() -> Path:
    return Path(os.path.abspath(".env"))


def _port(text: str) -> int:
    return _whole_number(text, 0, _PORT_MAX)


def _workers(text: str) -> int:
    return _whole_number(text, 1, _WORKERS_MAX)


def _whole_number(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text[:9]) <= most and len(text) < 9):
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from {least} to {most}")
    return int(text)
