"""The findings of the soak of trust, and of the flood, as a page."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from bench.soak.flood import FloodFindings, median_p99
from bench.soak.tokens import FAULTS, Verdict
from bench.soak.trust import TrustFindings
from bench.soak.trust_load import CONNECTIONS
from bench.soak.trust_rig import COOLDOWN_S, WORKERS

_HEADING: Final = """\
# {good:,} good tokens while every key changes and the provider dies: none refused, and no wrong one taken

Run of {when}; `make soak` repeats it. `jotgate up --workers {workers}` trusts a real provider, npm's
`oidc-provider`, by discovery, with a cooldown of {cooldown:g} s. {connections} connections bring good tokens of both
and every wrong one that there is a name for. A good token is one of ours, or one whose key the provider published at
least one cooldown earlier, or the first to bring it.
"""
_VERDICTS: Final[tuple[Verdict, ...]] = (
    "good, taken",
    "good, REFUSED",
    "too new to be owed, taken",
    "too new to be owed, refused",
    "wrong, refused",
    "wrong, not to be known now",
    "wrong, TAKEN",
    "wrong, answered otherwise",
)


def render(found: Mapping[str, TrustFindings], flood: FloodFindings | None) -> str:
    """The page. `found` is by the name of the store."""
    good = sum(one.account.count("good, taken") for one in found.values())
    when = f"{datetime.now(UTC):%Y-%m-%d}"
    parts = (
        [_HEADING.format(good=good, when=when, workers=WORKERS, cooldown=COOLDOWN_S, connections=CONNECTIONS)]
        if found
        else []
    )
    parts += [_trust(store, one) for store, one in found.items()]
    if flood is not None:
        parts.append(_flood(flood))
    return "\n".join(parts)


def _trust(store: str, found: TrustFindings) -> str:
    account = found.account
    deeds = "\n".join(f"- {count} {name}" for name, count in found.done.items())
    rows = "\n".join(
        _row(verdict, account.verdicts["ours", verdict], account.verdicts["the provider's", verdict])
        for verdict in _VERDICTS
        if account.count(verdict) or verdict in FAULTS
    )
    codes = ", ".join(f"{status} {code} {count:,}" for (status, code), count in account.refusals.most_common())
    return f"""\
## On {store}

In {found.seconds:.0f} s:

{deeds}

Good tokens had {account.kinds(wrong=False)} different keys, and wrong ones were of {account.kinds(wrong=True):,} kinds.
{found.brought_first} new keys of the provider were brought by a token that came at once.

| token | ours | the provider's |
|---|---|---|
{rows}

Wrong ones met: {codes}.
"""


def _row(verdict: str, ours: int, theirs: int) -> str:
    return f"| {verdict} | {ours:,} | {theirs:,} |"


def _flood(found: FloodFindings) -> str:
    thrown = sum(found.statuses.values())
    answers = ", ".join(f"{name} {count:,}" for name, count in found.statuses.most_common())
    return f"""\
## {thrown:,} tokens with keys that nobody has

The provider was asked for its keys {found.fetches} times, where {found.allowed} would be one for each cooldown.
The strangers met: {answers}.
Good tokens, {len(found.calm)} rounds of calm and of flood in turn: p99 {median_p99(found.calm) * 1e3:.2f} ms in calm,
{median_p99(found.flooded) * 1e3:.2f} ms in the flood, {found.ratio:.2f} times as much (medians of the rounds).
"""
