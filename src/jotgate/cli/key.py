"""`jotgate key`: lists, replaces, ends, imports and exports the keys that sign jotgate's own tokens."""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jotgate.cli.common import (
    EXIT_OK,
    UsageError,
    add_config_option,
    add_data_option,
    say_next,
)
from jotgate.cli.new_files import new_file
from jotgate.cli.outcomes import may_be_done
from jotgate.cli.tables import print_table, time_text
from jotgate.errors import CommandError

if TYPE_CHECKING:
    from jotgate.cli.operator import Offline
    from jotgate.core.key_orders import KeyAnswer, KeyOrder, KeyView

_MATERIAL_BYTES_MAX: Final = 65_536
_HEAD: Final = ("KEY ID", "ALGORITHM", "STATE", "WHEN", "PRIVATE PART")
_LOOK_S: Final = 0.2
_GRACE_S: Final = 15.0
_KID: Final = "key ID, as 'jotgate key list' shows it (write -- before one that begins with '-')"


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `jotgate key` and its actions."""
    noun = commands.add_parser("key", help="replace, revoke and show signing keys", description="Signing keys.")
    actions = noun.add_subparsers(dest="action", required=True, metavar="ACTION")
    _register_life(actions)
    taking = actions.add_parser(
        "import",
        help="take a key that was made elsewhere",
        description="Take a key that was made elsewhere, in PEM or as a JWK, from a file or from stdin. Its private "
        "part never belongs on the command line.",
    )
    taking.add_argument("file", nargs="?", metavar="FILE", help="file with the key (default: stdin)")
    taking.add_argument(
        "--algorithm", default="", metavar="ALG", help="what it signs with, where the key leaves it open"
    )
    taking.add_argument(
        "--state",
        choices=("pending", "retired"),
        default="pending",
        metavar="STATE",
        help="pending: it may be made to sign; retired: it verifies what it signed (default: pending)",
    )
    _finish(taking, take)
    giving = actions.add_parser(
        "export",
        help="show a key's public part, or write its private part to a file",
        description="Print the public part of a key as a JWK. With --private its private part is written to a new file "
        "of mode 0600, as PEM, and the audit log says so.",
    )
    giving.add_argument("kid", metavar="KID", help=_KID)
    giving.add_argument("--private", action="store_true", help="export the private part; needs --out")
    giving.add_argument("--out", metavar="FILE", help="write to this file, which must not be there yet")
    _finish(giving, give)


def _register_life(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    shown = actions.add_parser("list", help="show all keys", description="Show all signing keys, oldest first.")
    shown.add_argument("--json", action="store_true", help="print them as one JSON object")
    _finish(shown, show)
    rotating = actions.add_parser(
        "rotate",
        help="replace the key that signs by a new one",
        description="Make a new key, publish it, and let it sign as soon as everyone who verifies tokens knows it. The "
        "key before it verifies until the last of its tokens has ended.",
    )
    rotating.add_argument("--algorithm", default="", metavar="ALG", help="what it signs with (default: keys.algorithm)")
    rotating.add_argument(
        "--ahead",
        metavar="TIME",
        help="publish it now and let it sign after this time, without waiting here: 10m, 1h, 1d",
    )
    _finish(rotating, rotate)
    promoting = actions.add_parser(
        "promote",
        help="let a pending key sign",
        description="Let a pending key sign as soon as everyone who verifies tokens knows it.",
    )
    promoting.add_argument("kid", metavar="KID", help=_KID)
    _finish(promoting, promote)
    retiring = actions.add_parser(
        "retire", help="let a pending key verify only", description="Let a pending key verify only, and then go."
    )
    retiring.add_argument("kid", metavar="KID", help=_KID)
    _finish(retiring, retire)
    revoking = actions.add_parser(
        "revoke",
        help="refuse all that a key signed, at once",
        description="Refuse all tokens that a key signed, from now on. The one that signs is replaced by a new one in "
        "the same step.",
    )
    revoking.add_argument("kid", metavar="KID", help=_KID)
    revoking.add_argument("--yes", action="store_true", help="do it; without this, only say what it would do")
    _finish(revoking, revoke)


def _finish(parser: argparse.ArgumentParser, run: object) -> None:
    add_data_option(parser)
    add_config_option(parser)
    parser.set_defaults(run=run)


def show(arguments: argparse.Namespace) -> int:
    """Print all keys."""
    from jotgate.core.key_orders import KeyOrder

    answer = _ask(arguments, KeyOrder(action="list"))
    if arguments.json:
        import msgspec

        keys = [msgspec.structs.asdict(key) for key in answer.keys]
        sys.stdout.write(json.dumps({"keys": keys}, indent=2) + "\n")
    else:
        print_table([_row(key) for key in answer.keys], _HEAD)
    sys.stdout.flush()
    return EXIT_OK


def rotate(arguments: argparse.Namespace) -> int:
    """Replace the key that signs."""
    from jotgate.core.key_orders import KeyOrder
    from jotgate.core.values import parse_duration_s

    try:
        ahead_s = None if arguments.ahead is None else parse_duration_s(arguments.ahead)
    except CommandError as error:
        raise UsageError(error.message, hint=error.hint) from None
    answer = _ask(arguments, KeyOrder(action="rotate", algorithm=arguments.algorithm, ahead_s=ahead_s))
    if ahead_s is None:
        return _follow(arguments, answer)
    key = answer.find(answer.kid)
    when = "" if key is None or key.signs_from_s is None else f" and signs from {time_text(key.signs_from_s)} on"
    sys.stdout.write(f"{answer.kid} is published{when}\n")
    sys.stdout.flush()
    if not answer.running:
        sys.stderr.write("  note  no jotgate runs here: one that runs then, on any machine, will do it\n")
    say_next("jotgate key list", arguments, " shows when it does")
    return EXIT_OK


def promote(arguments: argparse.Namespace) -> int:
    """Let a pending key sign."""
    from jotgate.core.key_orders import KeyOrder

    return _follow(arguments, _ask(arguments, KeyOrder(action="promote", kid=arguments.kid)))


def retire(arguments: argparse.Namespace) -> int:
    """Let a key verify only."""
    from jotgate.core.key_orders import KeyOrder

    answer = _ask(arguments, KeyOrder(action="retire", kid=arguments.kid))
    key = answer.find(answer.kid)
    end_s = None if key is None else key.verifies_until_s
    until = "" if end_s is None else f" and verifies until {time_text(end_s)}"
    sys.stdout.write(f"{answer.kid} is retired{until}\n")
    sys.stdout.flush()
    say_next("jotgate key list", arguments)
    return EXIT_OK


def revoke(arguments: argparse.Namespace) -> int:
    """Refuse all that a key signed."""
    from jotgate.core.key_orders import KeyOrder

    if not arguments.yes:
        raise _impact(arguments)
    with may_be_done("'jotgate key list' shows"):
        answer = _ask(arguments, KeyOrder(action="revoke", kid=arguments.kid))
    sys.stdout.write(f"{answer.kid} is revoked: what it signed is refused\n")
    signing = next((key for key in answer.keys if key.state == "active"), None)
    if signing is not None and signing.activated_at_s is not None:
        sys.stdout.write(f"{signing.kid} signs since {time_text(signing.activated_at_s)}\n")
    sys.stdout.flush()
    if answer.running and not answer.settled:
        sys.stderr.write(f"  note  not every worker has confirmed it; all do within {answer.patience_s:g} s\n")
    if answer.shared:
        sys.stderr.write(f"  note  other machines follow within a second, or serve nothing after {_span(answer)}\n")
    say_next("jotgate token create --subject NAME", arguments, " makes a token with the key that signs now")
    return EXIT_OK


def take(arguments: argparse.Namespace) -> int:
    """Import a key."""
    from jotgate.core.key_orders import KeyOrder

    material = _read_material(arguments.file)
    order = KeyOrder(action="import", material=material, algorithm=arguments.algorithm, state=arguments.state)
    answer = _ask(arguments, order)
    sys.stdout.write(f"{answer.kid}\n")
    sys.stdout.flush()
    if arguments.state == "pending":
        say_next(f"jotgate key promote {answer.kid}", arguments, " lets it sign")
    else:
        say_next("jotgate key list", arguments)
    return EXIT_OK


def give(arguments: argparse.Namespace) -> int:
    """Export a key."""
    from jotgate.core.key_orders import KeyOrder

    if arguments.private and not arguments.out:
        raise UsageError("a private key is written to a file only", hint="Name a new file with --out")
    order = KeyOrder(action="export", kid=arguments.kid, private=arguments.private)
    if not arguments.out:
        sys.stdout.write(_ask(arguments, order).text)
        sys.stdout.flush()
        return EXIT_OK
    with new_file(Path(arguments.out)) as descriptor:
        os.write(descriptor, _ask(arguments, order).text.encode())
    sys.stderr.write(f"  note  written to '{arguments.out}', which only you can read\n")
    return EXIT_OK


def _ask(arguments: argparse.Namespace, order: "KeyOrder") -> "KeyAnswer":
    """What the running control answers, or what this process does itself under the lock on DATA."""
    from jotgate.cli.operator import carry_out
    from jotgate.core.key_orders import KeyAnswer

    def offline() -> "Offline[KeyOrder, KeyAnswer]":
        from jotgate.assembly.offline import tend_keys

        return tend_keys

    return carry_out(arguments, "/keys", order, KeyAnswer, offline)


def _follow(arguments: argparse.Namespace, answer: "KeyAnswer") -> int:
    """Wait until a key signs, and say so; who interrupts this loses nothing, since control goes on."""
    from jotgate.core.key_orders import KeyOrder

    kid = answer.kid
    patience_s = answer.patience_s
    if answer.shared and _state(answer, kid) == "pending":
        sys.stderr.write(f"{kid} is published; it signs when every machine knows it, in about {_span(answer)}\n")
    if not answer.running and _state(answer, kid) == "pending":
        sys.stderr.write("  note  no jotgate runs here: one that runs, on any machine, will let it sign\n")
        return EXIT_OK
    end_s = time.monotonic() + patience_s + _GRACE_S
    while _state(answer, kid) == "pending":
        if time.monotonic() >= end_s:
            raise CommandError(
                f"the key {kid} does not sign yet",
                hint="Look at 'jotgate status' and at the log; control goes on trying",
            )
        time.sleep(_LOOK_S)
        answer = _ask(arguments, KeyOrder(action="list"))
    if _state(answer, kid) != "active":
        raise CommandError(f"the key {kid} is {_state(answer, kid)} now", hint="Look at 'jotgate key list'")
    _tell_rotation(answer, kid)
    say_next("jotgate key list", arguments)
    return EXIT_OK


def _tell_rotation(answer: "KeyAnswer", kid: str) -> None:
    key = answer.find(kid)
    if key is not None and key.activated_at_s is not None:
        sys.stdout.write(f"{kid} signs since {time_text(key.activated_at_s)}\n")
        for one in answer.keys:
            if one.state == "retired" and one.retired_at_s == key.activated_at_s and one.verifies_until_s is not None:
                sys.stdout.write(f"{one.kid} verifies until {time_text(one.verifies_until_s)}\n")
    sys.stdout.flush()


def _impact(arguments: argparse.Namespace) -> UsageError:
    """What a revocation would do, as the refusal of one that was not confirmed."""
    from jotgate.core.key_orders import KeyOrder

    key = _ask(arguments, KeyOrder(action="list")).find(arguments.kid)
    if key is None:
        return UsageError("there is no key with this key ID", hint="Look at 'jotgate key list'")
    active = ", and a new key would sign at once" if key.state == "active" else ""
    what = (
        f"{key.live_tokens} tokens that are known to live would be refused" if key.live_tokens else "its tokens would"
    )
    tail = "" if key.live_tokens else " be refused"
    return UsageError(
        f"this cannot be undone: the key {key.kid} is {key.state}; {what}{tail}{active}",
        hint="Say that you mean it with --yes; to replace a key without losing a token: jotgate key rotate",
    )


def _state(answer: "KeyAnswer", kid: str) -> str:
    key = answer.find(kid)
    return "" if key is None else key.state


def _read_material(name: str | None) -> str:
    if name is None and sys.stdin.isatty():
        raise UsageError("there is no key to read", hint="Name a file with the key, or give the key on stdin")
    try:
        if name is None:
            content = sys.stdin.buffer.read(_MATERIAL_BYTES_MAX + 1)
        else:
            with open(name, "rb") as file:
                content = file.read(_MATERIAL_BYTES_MAX + 1)
    except OSError as error:
        raise CommandError(f"'{name}' cannot be read: {error.strerror}", hint="Name a file with the key") from None
    if len(content) > _MATERIAL_BYTES_MAX:
        raise CommandError("what is given is longer than any key", hint="Give one key in PEM, or as a JWK")
    return content.decode("utf-8", "replace")


def _row(key: "KeyView") -> list[str]:
    moments = {
        "pending": "signs by hand" if key.signs_from_s is None else f"signs from {time_text(key.signs_from_s)}",
        "active": f"since {time_text(key.activated_at_s)}",
        "retired": f"until {time_text(key.verifies_until_s)}",
    }
    private = "here" if key.private else "damaged" if key.private_fault else "not here"
    return [key.kid, key.algorithm, key.state, moments.get(key.state, f"since {time_text(key.ended_at_s)}"), private]


def _span(answer: "KeyAnswer") -> str:
    return f"{answer.patience_s:.0f} s"
