"""`jotgate doctor`: looks at everything that jotgate needs, and says what would mend what is wrong."""

import argparse
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from jotgate.cli.check_lines import print_checks
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
from jotgate.cli.plane import look
from jotgate.errors import JotgateError

if TYPE_CHECKING:
    from jotgate.assembly.doctor import Check


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate doctor`."""
    parser = commands.add_parser(
        "doctor",
        help="find out what is wrong",
        description="Look at the clock, limits, files, settings, control, the address, faces and upstreams. Nothing "
        "is changed. Give it the options of 'jotgate up'. Exit status 0: no fault; 1: each is told.",
    )
    add_data_option(parser)
    add_server_options(parser)
    add_preset_option(parser)
    add_config_option(parser)
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.set_defaults(run=doctor)


def doctor(arguments: argparse.Namespace) -> int:
    """Print the report, each line as soon as it is known."""
    import msgspec

    from jotgate.assembly.doctor import examine
    from jotgate.cli.operator import ask_if_running, find_status
    from jotgate.core.upstream_orders import UpstreamAnswer, UpstreamOrder
    from jotgate.stores.directory import DataDirectory

    directory = DataDirectory(data_directory(arguments))
    listing = UpstreamOrder(action="list")
    general = examine(
        directory,
        sources(arguments),
        lambda: find_status(directory),
        lambda: ask_if_running(directory, "/upstreams", listing, UpstreamAnswer),
    )
    checks = chain(general, _of_mcp(arguments), _of_planes(arguments), _of_kong(arguments))
    if arguments.json:
        found = list(checks)
        sound = not any(check.state == "fault" for check in found)
        sys.stdout.write(msgspec.json.encode({"sound": sound, "checks": found}).decode("utf-8") + "\n")
        return EXIT_OK if sound else EXIT_FAILED
    if not print_checks(checks):
        return EXIT_FAILED
    if find_status(directory) is None:
        say_next("jotgate up", arguments)
    else:
        say_next("jotgate status", argparse.Namespace(data=arguments.data))
    return EXIT_OK


def _of_mcp(arguments: argparse.Namespace) -> "Iterator[Check]":
    """What is to be said of the MCP servers that the settings name."""
    from jotgate.assembly.mcp_checks import look_at_mcp
    from jotgate.cli.operator import ask_if_running, find_status
    from jotgate.core.mcp_credential_orders import McpCredentialAnswer, McpCredentialOrder
    from jotgate.core.mcp_orders import McpAnswer, McpOrder
    from jotgate.stores.directory import DataDirectory
    from jotgate.stores.settings import load_settings

    directory = DataDirectory(data_directory(arguments))
    yield from look_at_mcp(
        load_settings(sources(arguments)),
        lambda: find_status(directory),
        lambda: ask_if_running(directory, "/mcp/tools", McpOrder(action="list"), McpAnswer),
        lambda: ask_if_running(directory, "/mcp/credentials", McpCredentialOrder(action="list"), McpCredentialAnswer),
    )


def _of_kong(arguments: argparse.Namespace) -> "Iterator[Check]":
    """What is to be said of Kong, where settings or a face name one."""
    from jotgate.assembly.kong_check import look_at_kong
    from jotgate.cli.operator import ask_if_running, find_status
    from jotgate.core.kong_orders import KongOrder, KongReport
    from jotgate.stores.directory import DataDirectory
    from jotgate.stores.settings import load_settings

    directory = DataDirectory(data_directory(arguments))
    order = KongOrder(action="plan")
    yield from look_at_kong(
        load_settings(sources(arguments)),
        lambda: find_status(directory),
        lambda: ask_if_running(directory, "/kong", order, KongReport),
    )


def _of_planes(arguments: argparse.Namespace) -> "Iterator[Check]":
    """What is to be said of the configurations of planes that sound settings name."""
    from jotgate.assembly.check import check_settings
    from jotgate.assembly.doctor import Check
    from jotgate.assembly.plane_checks import check_plane
    from jotgate.stores.directory import DataDirectory

    found = sources(arguments)
    config = check_settings(DataDirectory(data_directory(arguments)), found).config
    if config is None or not config.planes.files:
        return
    base = found.file.parent if found.file is not None else Path()
    try:
        looking = look(arguments)
    except JotgateError as error:
        yield Check("planes", "unknown", error.message, error.hint)
        return
    for name in config.planes.files:
        yield from check_plane(base / name, looking)
