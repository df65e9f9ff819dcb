"""The options by which commands that make tokens say how much may be spent with them."""

import argparse

from jotgate.cli.common import UsageError
from jotgate.errors import CommandError


def add_limit_options(parser: argparse.ArgumentParser) -> None:
    """Add them; `limits_of` reads them."""
    parser.add_argument("--max-requests", metavar="N", help="how many requests it is good for, in all")
    parser.add_argument("--max-tokens", metavar="N", help="how many tokens of input and output it is good for, in all")
    parser.add_argument("--max-cost", metavar="USD", help="how many dollars may be spent with it, in all")
    parser.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="LIMIT",
        help='any other limit, such as "1000 requests/day", "60 requests/60s burst 10" or "4 concurrent"; repeat it',
    )


def limits_of(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The texts of the limits that are asked for; whoever takes them checks them."""
    totals = {
        "--max-requests 1000": ("requests", arguments.max_requests),
        "--max-tokens 1000000": ("tokens", arguments.max_tokens),
        "--max-cost 2.50": ("USD", arguments.max_cost),
    }
    given = {example: (unit, text) for example, (unit, text) in totals.items() if text is not None}
    for example, (unit, text) in given.items():
        _check(example, unit, text)
    return (*(f"{text} {unit}" for unit, text in given.values()), *arguments.limit)


def _check(example: str, unit: str, text: str) -> None:
    from jotgate.core.limit_texts import read_limit

    option = example.partition(" ")[0]
    try:
        read_limit(f"{text or '-'} {unit}")
    except CommandError as fault:
        raise UsageError(f"{option}: {fault.message}", hint=f"Write it such as {example}") from None
    if " " in text:
        raise UsageError(f"{option} takes an amount alone", hint=f"Write it such as {example}")
