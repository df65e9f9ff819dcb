"""The options by which commands that make tokens say how much may be spent with them."""

import argparse


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
    totals = {"requests": arguments.max_requests, "tokens": arguments.max_tokens, "USD": arguments.max_cost}
    return (*(f"{given} {unit}" for unit, given in totals.items() if given is not None), *arguments.limit)
