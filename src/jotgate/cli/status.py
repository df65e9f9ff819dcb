"""`jotgate status`: how the running jotgate is doing, and whether the settings on disk are those in effect."""

import argparse
import sys
import time
from typing import TYPE_CHECKING

from jotgate.cli.common import EXIT_OK, add_data_option, data_directory, say_next

if TYPE_CHECKING:
    from jotgate.core.key_fetches import KeyStanding
    from jotgate.core.status import FaceState, IssuerState, Status
    from jotgate.core.upstream_tokens import TokenStanding


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate status`."""
    parser = commands.add_parser(
        "status",
        help="show how the running jotgate is doing",
        description="Ask the jotgate that runs on DATA how it is doing, and which settings are in effect.",
    )
    add_data_option(parser)
    parser.add_argument("--json", action="store_true", help="print it as one JSON object")
    parser.set_defaults(run=status)


def status(arguments: argparse.Namespace) -> int:
    """Print the status."""
    import msgspec

    from jotgate.cli.operator import ask_status
    from jotgate.stores.directory import DataDirectory

    found = ask_status(DataDirectory(data_directory(arguments)))
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n" if arguments.json else _describe(found))
    sys.stdout.flush()
    if not arguments.json:
        say_next("jotgate doctor", arguments)
    return EXIT_OK


def _describe(found: "Status") -> str:
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found.read_at_s))
    behind = [f"worker {one.slot} is still on {one.snapshot}" for one in found.settled if one.snapshot < found.snapshot]
    rows = [
        ("version", found.version),
        ("url", found.url),
        *(("face", _describe_face(one)) for one in found.faces),
        ("issuer", found.issuer),
        ("key", found.kid),
        ("workers", str(found.workers)),
        ("snapshot", ", ".join([str(found.snapshot), *behind])),
        ("settings", f"read {when}" + (", and refused: what was in effect before stays so" if found.faults else "")),
        *(("fault", fault) for fault in found.faults),
        *(("pending", f"{path} has changed, and waits for the next start") for path in found.pending),
        *(("issuer", _describe_issuer(one)) for one in found.issuers),
        *(("keys", _describe_keys(one)) for one in found.issuer_keys),
        *(("tokens", _describe_tokens(one)) for one in found.upstream_tokens),
        *(("metrics", url) for url in found.metrics),
    ]
    return f"jotgate runs (pid {found.pid})\n" + "".join(f"  {name:<10}{value}\n" for name, value in rows)


def _describe_face(one: "FaceState") -> str:
    return f"{one.name}: {one.url}" + "".join(f"; {missing}" for missing in one.missing)


def _describe_issuer(one: "IssuerState") -> str:
    said = f"{one.name}: {one.issuer or 'no iss'}, by {one.way or 'no way'}, from the {one.origin}"
    if not one.enabled:
        return f"{said}, disabled"
    return said + "".join(f"; does not count: {fault}" for fault in one.faults)


def _describe_keys(one: "KeyStanding") -> str:
    count = f"{len(one.kids)} key{'s' * (len(one.kids) != 1)}" if one.kids else "NO KEYS, and its tokens get 503"
    age = "" if one.age_s is None else f", fetched {one.age_s:.0f} s ago"
    fault = f"; the last fetch failed: {one.fault}" if one.fault else ""
    return f"{one.issuer}: {count}{age}, the next fetch in {one.next_s:.0f} s{fault}"


def _describe_tokens(one: "TokenStanding") -> str:
    said = f"{one.upstream}: by {one.kind}, of {one.sessions} session{'s' * (one.sessions != 1)}"
    if one.key_id:
        said += f", key {one.key_id}" + (", the next one: the first is not taken any more" if one.second else "")
    said += f"; {one.obtained} got, {one.failed} failed"
    if not one.fault:
        return said
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one.failing_since_s))
    return f"{said}; FAILS since {since}: {one.fault}"
