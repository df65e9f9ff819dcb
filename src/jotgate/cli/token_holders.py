"""`jotgate token revoke --client` and the like: all tokens of a client, a subject, a tenant or a key."""

import argparse
import sys
import time
from typing import TYPE_CHECKING, Final

from jotgate.cli.common import EXIT_OK, UsageError, say_next
from jotgate.cli.records import plain
from jotgate.cli.token_orders import order_revocation
from jotgate.errors import CommandError

if TYPE_CHECKING:
    from jotgate.cli.operator import Offline
    from jotgate.core.holder_orders import HolderAnswer, HolderKind, HolderOrder

_KINDS: "Final[tuple[HolderKind, ...]]" = ("client", "subject", "tenant", "key")
_NOW: Final = "now"
UNCOUNTED: Final = ", and what came of others with it as actor token, which is not counted"
"""Ends what is said of an order before it is confirmed: the ledger is not searched by the token of who acts."""
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


def add_holder_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name whose tokens are meant, and until when they were issued."""
    named = parser.add_mutually_exclusive_group()
    named.add_argument("--client", metavar="NAME", help="instead of a JTI: all that this client was issued")
    named.add_argument("--subject", metavar="NAME", help="all that speaks for NAME, with its personal tokens")
    named.add_argument("--tenant", metavar="NAME", help="all that was issued in this tenant, with its personal tokens")
    named.add_argument("--key", metavar="KID", help="all that this key has signed")
    parser.add_argument(
        "--before",
        metavar="TIME",
        help="with these: only what was issued until TIME, such as 2026-01-31T12:00:00Z; now if nothing is said",
    )


def find_holder(arguments: argparse.Namespace) -> "HolderKind | None":
    """Which of these options is given. Raises UsageError when more is said than can be meant."""
    kind = next((one for one in _KINDS if getattr(arguments, one) is not None), None)
    if kind is None and arguments.before is not None:
        raise UsageError("--before is for --client, --subject, --tenant and --key", hint="Leave it out")
    if kind is not None and (arguments.token_id or arguments.family):
        raise UsageError(
            f"--{kind} names all of its tokens, and stands without identifiers and without --family",
            hint="Their refresh-token families end with it",
        )
    return kind


def revoke_of(arguments: argparse.Namespace, kind: "HolderKind") -> int:
    """Revoke what somebody or something was issued, or say what that would do."""
    from jotgate.core.holder_orders import HolderOrder

    try:
        order = HolderOrder(
            kind=kind,
            name=getattr(arguments, kind),
            issuer=arguments.issuer,
            before_s=_before(arguments.before),
            reason=arguments.reason,
            confirmed=arguments.yes,
        )
    except CommandError as error:
        raise UsageError(error.message, hint=error.hint) from None
    answer = _ask(arguments, order)
    told = f"what the {kind} {plain(order.name)} {_meant(kind, answer)}: it {_impact(answer)}"
    if not answer.known:
        sys.stderr.write(
            f"  note  no {kind} {plain(order.name)} is known here: only tokens of other issuers can be meant\n"
        )
    if not answer.done:
        raise UsageError(f"this cannot be undone: {told}{UNCOUNTED}", hint="Say that you mean it with --yes")
    sys.stdout.write(f"revoked {told}\n")
    sys.stdout.flush()
    if answer.shared:
        sys.stderr.write("  note  other machines follow within a second, or serve nothing soon after\n")
    say_next("jotgate token list --live", arguments)
    return EXIT_OK


def told_of_tenant(arguments: argparse.Namespace, name: str) -> tuple[str, int]:
    """What would end with a tenant, as the end of a sentence, and how many personal tokens its principals have."""
    from msgspec.structs import replace

    from jotgate.core.holder_orders import HolderOrder

    answer = _ask(arguments, HolderOrder(kind="tenant", name=name))
    return _impact(replace(answer, personal_tokens=0)), answer.personal_tokens


def _before(text: str | None) -> int | None:
    """The time that is meant; None: that nothing is said. Raises UsageError."""
    from jotgate.core.times import parse_time_s

    if text is None:
        return None
    found = int(time.time()) if text == _NOW else parse_time_s(text)
    if found is None:
        raise UsageError(
            "--before is no time", hint=f"Write it as {time.strftime(_TIME, time.gmtime())}, or say --before now"
        )
    return found


def _meant(kind: "HolderKind", answer: "HolderAnswer") -> str:
    verb = "signed" if kind == "key" else "was issued"
    if answer.before_s is None:
        return f"{verb} and will be"
    return f"{verb} until {time.strftime(_TIME, time.gmtime(answer.before_s))}"


def _impact(answer: "HolderAnswer") -> str:
    if answer.live is None:
        return "invalidates tokens of another issuer, how many of them live is unknown here"
    told = f"invalidates {count_of(answer.live, answer.more)}"
    if answer.personal_tokens:
        plural = "" if answer.personal_tokens == 1 else "s"
        told += f" and {answer.personal_tokens} personal token{plural}"
    return told + (", and those of other issuers, whose number is unknown here" if answer.elsewhere else "")


def count_of(live: int, more: bool) -> str:
    """A number of live tokens, which may have been counted to a bound only."""
    text = f"{live} live {'token' if live == 1 else 'tokens'}"
    return f"more than {text}" if more else text


def _ask(arguments: argparse.Namespace, order: "HolderOrder") -> "HolderAnswer":
    from jotgate.core.holder_orders import HolderAnswer

    def offline() -> "Offline[HolderOrder, HolderAnswer]":
        from jotgate.assembly.tokens_offline import revoke_tokens_of

        return revoke_tokens_of

    return order_revocation(arguments, "/tokens/revoke-of", order, HolderAnswer, offline)
