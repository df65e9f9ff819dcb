"""`jotgate check`: finds all that is wrong with the settings, or says what is in effect and what decided it."""

import argparse
import json
import sys
from typing import TYPE_CHECKING, Final

from jotgate.cli.common import (
    EXIT_FAILED,
    EXIT_OK,
    add_config_option,
    add_data_option,
    add_preset_option,
    add_server_options,
    data_directory,
    say_next,
    sources,
)

if TYPE_CHECKING:
    from jotgate.core.config import Config
    from jotgate.stores.settings import Settings

_VALUE_WIDTH: Final = 32


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate check`."""
    parser = commands.add_parser(
        "check",
        help="check the configuration, and say what decides each setting",
        description="Check the configuration, the environment, .env, and the files that they name, as 'jotgate up' "
        "with the same options would read them. Exit status 0: nothing is wrong; 1: each fault is told.",
    )
    add_data_option(parser)
    add_server_options(parser)
    add_config_option(parser)
    add_preset_option(parser)
    parser.add_argument("--explain", action="store_true", help="print each setting, its value, and what decided it")
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    parser.set_defaults(run=check)


def check(arguments: argparse.Namespace) -> int:
    """Check the settings."""
    from jotgate.assembly.check import check_settings
    from jotgate.processes.console import say
    from jotgate.stores.directory import DataDirectory

    found = check_settings(DataDirectory(data_directory(arguments)), sources(arguments))
    if arguments.json:
        sys.stdout.write(json.dumps(_report(found), ensure_ascii=False, indent=2) + "\n")
        return EXIT_FAILED if found.findings else EXIT_OK
    for warning in found.warnings:
        say(warning)
    config = found.require()
    sys.stdout.write(_explain(config, found) if arguments.explain else "nothing is wrong with the settings\n")
    sys.stdout.flush()
    say_next("jotgate up", arguments)
    return EXIT_OK


def _report(found: "Settings") -> dict[str, object]:
    from jotgate.stores.effective import effective

    return {
        "sound": not found.findings,
        "faults": [{"where": one.where, "setting": one.setting, "fault": one.fault} for one in found.findings],
        "warnings": list(found.warnings),
        "presets": [
            {"name": one.name, "host": one.listen[0], "port": one.listen[1], "missing": list(one.missing)}
            for one in found.presets
        ],
        "settings": {
            path: {"value": value, "from": origin}
            for path, (value, origin) in (effective(found.config, found.origins) if found.config else {}).items()
        },
    }


def _explain(config: "Config", found: "Settings") -> str:
    from jotgate.stores.effective import effective

    rows = [
        (path, json.dumps(value, ensure_ascii=False), origin)
        for path, (value, origin) in effective(config, found.origins).items()
    ]
    width = max(len(path) for path, _, _ in rows)
    return "".join(f"{path:<{width}}  {value:<{_VALUE_WIDTH}}  {origin}\n" for path, value, origin in rows)
