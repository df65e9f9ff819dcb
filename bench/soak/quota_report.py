"""The page that says what became of quotas while machines died."""

from collections.abc import Sequence
from textwrap import fill
from typing import Final

from bench.soak.quota_endings import EndingsFindings
from bench.soak.quota_load import CLIENTS
from bench.soak.quota_rig import MACHINES, WORKERS
from bench.soak.quotas import FIRST_AT, STREAMS, Pass, Sizes
from jotgate.testing.call_log import tokens_of

PAGE: Final = """\
# A quota of {requests:,} requests and {tokens:,} tokens, {clients} clients, machines that die: never over by one

Run of {when}; `make soak` repeats it. {machines} machines of {workers} workers each share a PostgreSQL and a Valkey.
What counts is what reached the upstream by its own log: it keeps `max_tokens` and `max_completion_tokens`, says in
`usage` what it sent, and writes down what it had written of each answer when the connection went away. Lost are units
that a killed worker held, those of calls that ran in it among them: they count as spent. Debt is what calls used beyond
what they had reserved.

{passes}
## Streams without a ceiling

{clients} streams at once without `max_tokens` under a quota of {streams:,} tokens: the first of them was told that it
is spent when {first:.1%} of it had come (never before {first_at:.0%}).

## {calls:,} calls that end anyhow

{leaving}

{endings}
"""
_PASS: Final = """\
## {title}

{done}

| | limit | reached the upstream | posted | lost | debt | still reserved |
|---|---|---|---|---|---|---|
{rows}

{seen}
"""
_WIDTH: Final = 120


def render_quotas(passes: Sequence[Pass], ended: EndingsFindings, sizes: Sizes, when: str) -> str:
    """What was found, as a page."""
    streams = next(one for one in passes if one.name == STREAMS)
    return PAGE.format(
        requests=sizes.requests,
        tokens=sizes.tokens,
        clients=CLIENTS,
        when=when,
        machines=MACHINES,
        workers=WORKERS,
        passes="\n".join(_render_pass(one, sizes) for one in passes if one is not streams),
        streams=sizes.streams,
        first=(streams.crowd.first or 0) / sizes.streams,
        first_at=FIRST_AT,
        calls=ended.calls,
        leaving=_render_leaving(ended),
        endings=_render_endings(ended),
    )


def _render_pass(one: Pass, sizes: Sizes) -> str:
    rows = []
    for unit, limit, reached in (
        ("requests", sizes.requests, one.reached),
        ("total_tokens", sizes.tokens, one.sold),
    ):
        account = one.accounts[unit]
        figures = (limit, reached, account.posted, account.lost, account.debt, account.leased)
        rows.append(f"| {unit.removeprefix('total_')} | " + " | ".join(f"{figure:,}" for figure in figures) + " |")
    return _PASS.format(
        title=f"Until the {one.name} are spent",
        done="\n".join(f"- {count} {name}" for name, count in one.done.items()),
        rows="\n".join(rows),
        seen=_render_seen(one),
    )


def _render_seen(one: Pass) -> str:
    counts = ", ".join(f"{count:,} {name}" for name, count in one.crowd.counts.most_common() if count)
    return fill(
        f"What the clients saw: {counts}. Calls were sold {one.beyond:,} tokens beyond what they were charged: those "
        f"were under way when a stream was cut, and were left of the quota. The pass took {one.seconds:,.0f} s.",
        _WIDTH,
    )


def _render_leaving(ended: EndingsFindings) -> str:
    units = {one.unit for one in ended.accounts}
    return fill(
        f"Each is counted on {len(ended.accounts)} accounts of {len(units)} units at 4 levels. In the end nothing is "
        f"reserved on any of them; {len(ended.lines):,} requests reached the upstream and as many are posted; "
        f"{sum(ended.charges.values()):,} tokens are posted, as many as the audit log says were charged, and the "
        f"upstream sold {tokens_of(ended.lines):,}. The calls took {ended.seconds:,.0f} s.",
        _WIDTH,
    )


def _render_endings(ended: EndingsFindings) -> str:
    rows = ["| how it ended for the upstream | calls | tokens sold | charged |", "|---|---|---|---|"]
    for ending, count in ended.endings.most_common():
        lines = [line for line in ended.lines if line.ending == ending]
        charged = sum(ended.charges.get(line.request_id, 0) for line in lines)
        rows.append(f"| {ending} | {count:,} | {tokens_of(lines):,} | {charged:,} |")
    return "\n".join(rows)
