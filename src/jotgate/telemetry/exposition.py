"""Prometheus' text format 0.0.4, and jotgate's series in it. docs/running.md has the same list."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Literal, NamedTuple

from jotgate import __version__
from jotgate.core.figures import BOUNDS_US, Counts, Gauges, QuotaCounts, Row, add_buckets
from jotgate.core.key_fetches import KeyStanding
from jotgate.core.mcp_pins import KnownTools
from jotgate.core.upstream_tokens import TokenStanding
from jotgate.telemetry.census import Census

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_MICRO: Final = 1_000_000
_UNKNOWN: Final = "unknown"
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_NO_BUCKETS: Final = (0,) * (len(BOUNDS_US) + 1)

Labels = Mapping[str, str]


class Histogram(NamedTuple):
    """Counts by bucket (not yet added up) and the sum of what was observed, in microseconds."""

    buckets: tuple[int, ...]
    sum_us: int


class Family(NamedTuple):
    """One metric: its name, what it says, and a value for each set of labels."""

    name: str
    kind: Literal["counter", "gauge"]
    text: str
    samples: list[tuple[Labels, float]]


class HistogramFamily(NamedTuple):
    """A metric with buckets."""

    name: str
    text: str
    samples: list[tuple[Labels, Histogram]]


def expose(
    census: Census,
    issuer_keys: Iterable[KeyStanding] = (),
    upstream_tokens: Iterable[TokenStanding] = (),
    tools: KnownTools = KnownTools(),  # noqa: B008 - it does not change
) -> bytes:
    """The body of GET /metrics."""
    counts = census.counts()
    of_control = [*_fetched(list(issuer_keys)), *_exchanged(list(upstream_tokens)), _tools(tools)]
    families = [*_counted(counts), *_limited(counts.quotas), *_standing(census), *of_control]
    return write(families).encode("utf-8")


def _tools(known: KnownTools) -> Family:
    states = [(server, tool.state) for server, tools in known.servers.items() for tool in tools.values()]
    return Family(
        "jotgate_mcp_tools",
        "gauge",
        "Tools of MCP servers: shown as approved; new, or changed, and hidden until they are approved.",
        sum_samples(({"server": server, "state": state}, 1) for server, state in states),
    )


def write(families: Iterable[Family | HistogramFamily]) -> str:
    """The families in the text format; one without samples is left out."""
    return "".join(line + "\n" for family in families if family.samples for line in _lines(family))


def _counted(counts: Counts) -> Iterator[Family | HistogramFamily]:
    rows = counts.rows
    yield Family(
        "jotgate_requests_total",
        "counter",
        "Requests that have ended, by operation, class of status and outcome.",
        sum_samples((_request_labels(row), row.count) for row in rows),
    )
    yield Family(
        "jotgate_refusals_total",
        "counter",
        "Requests that were told no, by error code.",
        sum_samples(({"code": row.label.code}, row.count) for row in rows if row.label.outcome == "refused"),
    )
    yield Family(
        "jotgate_cuts_total",
        "counter",
        "Running calls that were cut as their token ended or may have, or their quota was spent, by error code.",
        sum_samples(({"code": row.label.code}, row.count) for row in rows if row.label.outcome == "cut"),
    )
    yield Family(
        "jotgate_tokens_total",
        "counter",
        "Tokens as the upstreams counted them, in prompts (in) and answers (out).",
        sum_samples(
            ({"upstream": row.label.upstream, "direction": direction}, count)
            for row in rows
            if row.label.upstream
            for direction, count in (("in", row.tokens_in), ("out", row.tokens_out))
        ),
    )
    yield HistogramFamily(
        "jotgate_request_duration_seconds",
        "From a request's head to its end.",
        _histograms((row.label.operation, row.total, row.total_us) for row in rows),
    )
    yield HistogramFamily(
        "jotgate_added_duration_seconds",
        "What jotgate and the caller added to the upstream's time, of complete calls.",
        _histograms((row.label.operation, row.added, row.added_us) for row in rows if any(row.added)),
    )
    yield Family(
        "jotgate_upstream_attempts_total",
        "counter",
        "Attempts at upstreams, by how they ended; passed_over: the next upstream was tried instead.",
        sum_samples(_attempts(counts)),
    )
    yield Family(
        "jotgate_verifications_total",
        "counter",
        "Tokens looked at, by whether the cache of verified ones held them.",
        [({"cache": "hit"}, counts.cache_hits), ({"cache": "miss"}, counts.cache_misses)],
    )
    yield Family(
        "jotgate_personal_tokens_total",
        "counter",
        "Personal tokens looked at, by whether control had to be asked about them.",
        [({"cache": "hit"}, counts.personal_hits), ({"cache": "miss"}, counts.personal_misses)],
    )


def _limited(counts: QuotaCounts) -> Iterator[Family]:
    yield Family(
        "jotgate_quota_refusals_total",
        "counter",
        "Calls that were refused or cut as a quota was spent, by what it counts by, and what of.",
        sum_samples((label._asdict(), count) for label, count in counts.refused),
    )
    yield Family(
        "jotgate_quota_overrun_tokens_total",
        "counter",
        "Tokens that calls used beyond what they had reserved of their quotas.",
        [({}, counts.overrun)],
    )
    yield Family(
        "jotgate_quota_uncounted_calls_total",
        "counter",
        "Calls that were let through while nobody could say what was left of their quotas.",
        [({}, counts.uncounted)],
    )


def _standing(census: Census) -> Iterator[Family]:
    workers = census.gauges()
    for name, text, read in _GAUGES:
        yield Family(name, "gauge", text, [({"worker": str(slot)}, read(one)) for slot, one in workers.items()])
    yield Family(
        "jotgate_worker_restarts_total",
        "counter",
        "Workers started in the place of another.",
        [({"worker": str(slot)}, count) for slot, count in sorted(census.restarts.items())],
    )
    yield Family("jotgate_build_info", "gauge", "The version; always 1.", [({"version": __version__}, 1)])


def _fetched(issuers: list[KeyStanding]) -> Iterator[Family]:
    yield Family(
        "jotgate_key_fetches_total",
        "counter",
        "Fetches of the keys of other issuers, by how they ended.",
        [
            ({"issuer": one.issuer, "outcome": outcome}, count)
            for one in issuers
            for outcome, count in one.fetches.items()
        ],
    )
    yield Family(
        "jotgate_issuer_keys",
        "gauge",
        "Keys that are held of each other issuer; with none, its tokens are answered with 503.",
        [({"issuer": one.issuer}, len(one.kids)) for one in issuers],
    )
    yield Family(
        "jotgate_issuer_keys_age_seconds",
        "gauge",
        "Time since the keys of each other issuer were fetched, or confirmed.",
        [({"issuer": one.issuer}, one.age_s) for one in issuers if one.age_s is not None],
    )


def _exchanged(upstreams: list[TokenStanding]) -> Iterator[Family]:
    yield Family(
        "jotgate_upstream_token_exchanges_total",
        "counter",
        "Exchanges by which tokens for upstreams are got, by how they ended.",
        [
            ({"upstream": one.upstream, "outcome": outcome}, count)
            for one in upstreams
            for outcome, count in (("obtained", one.obtained), ("failed", one.failed))
        ],
    )
    yield Family(
        "jotgate_upstream_token_sessions",
        "gauge",
        "Sessions of which a token is held.",
        [({"upstream": one.upstream}, one.sessions) for one in upstreams],
    )
    yield Family(
        "jotgate_upstream_token_failing",
        "gauge",
        "1 when the last exchange failed, else 0.",
        [({"upstream": one.upstream}, int(bool(one.fault))) for one in upstreams],
    )


_GAUGES: Final[tuple[tuple[str, str, Callable[[Gauges], float]], ...]] = (
    ("jotgate_live_calls", "Calls under way.", lambda one: one.live_calls),
    ("jotgate_audit_waiting_rows", "Audit records that control has not confirmed.", lambda one: one.audit_rows),
    ("jotgate_audit_waiting_bytes", "Size of the audit records that wait.", lambda one: one.audit_bytes),
    ("jotgate_snapshot_version", "The version of the snapshot that new calls see.", lambda one: one.snapshot),
    ("jotgate_control_silence_seconds", "Time since control's last word.", lambda one: one.control_age_s),
    (
        "jotgate_loop_block_seconds",
        "The longest time for which the event loop stood still in the last minute.",
        lambda one: one.block_s,
    ),
    ("jotgate_quota_waiting_calls", "Calls that wait for units of their quotas.", lambda one: one.units_waiting),
)


def _request_labels(row: Row) -> Labels:
    label = row.label
    return {
        "operation": label.operation or _UNKNOWN,
        "status": f"{label.status}xx" if label.status else _UNKNOWN,
        "outcome": label.outcome,
    }


def _attempts(counts: Counts) -> Iterator[tuple[Labels, int]]:
    for row in counts.rows:
        if row.label.upstream:
            yield {"upstream": row.label.upstream, "outcome": row.label.outcome}, row.count
    for upstream, count in counts.passed_over.items():
        yield {"upstream": upstream, "outcome": "passed_over"}, count


def sum_samples(parts: Iterable[tuple[Labels, int]]) -> list[tuple[Labels, float]]:
    """One sample for each set of labels, in a stable order."""
    sums: dict[tuple[tuple[str, str], ...], int] = {}
    for labels, count in parts:
        key = tuple(labels.items())
        sums[key] = sums.get(key, 0) + count
    return [(dict(key), sums[key]) for key in sorted(sums)]


def add_histograms(parts: Iterable[tuple[Labels, Histogram]]) -> list[tuple[Labels, Histogram]]:
    """One histogram for each set of labels, in a stable order."""
    found: dict[tuple[tuple[str, str], ...], Histogram] = {}
    for labels, one in parts:
        key = tuple(labels.items())
        known = found.get(key, Histogram(_NO_BUCKETS, 0))
        found[key] = Histogram(add_buckets(known.buckets, one.buckets), known.sum_us + one.sum_us)
    return [(dict(key), found[key]) for key in sorted(found)]


def _histograms(parts: Iterable[tuple[str, tuple[int, ...], int]]) -> list[tuple[Labels, Histogram]]:
    """One histogram for each operation."""
    return add_histograms(
        ({"operation": operation or _UNKNOWN}, Histogram(buckets, sum_us)) for operation, buckets, sum_us in parts
    )


def _lines(family: Family | HistogramFamily) -> Iterator[str]:
    yield f"# HELP {family.name} {_escape_help(family.text)}"
    if isinstance(family, Family):
        yield f"# TYPE {family.name} {family.kind}"
        for labels, value in family.samples:
            yield _sample(family.name, labels, value)
        return
    yield f"# TYPE {family.name} histogram"
    for labels, histogram in family.samples:
        yield from _bucket_lines(family.name, labels, histogram)


def _bucket_lines(name: str, labels: Labels, histogram: Histogram) -> Iterator[str]:
    total = 0
    for bound, count in zip([*(_number(us / _MICRO) for us in BOUNDS_US), "+Inf"], histogram.buckets, strict=True):
        total += count
        yield _sample(f"{name}_bucket", {**labels, "le": bound}, total)
    yield _sample(f"{name}_sum", labels, histogram.sum_us / _MICRO)
    yield _sample(f"{name}_count", labels, total)


def _sample(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{label}="{text.translate(_ESCAPES)}"' for label, text in labels.items())
    return f"{name}{{{inside}}} {_number(value)}" if inside else f"{name} {_number(value)}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.9f}".rstrip("0")


def _escape_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")
