"""Whatever limit there is can be written and read back, also through a token; a text is a limit, or is refused."""

from hypothesis import event, given
from hypothesis import strategies as st

from jotgate.core.limit_texts import AMOUNT_MAX, PERIOD_MAX_S, read_limit, write_limit
from jotgate.core.quotas import Limit, TokenLimit
from jotgate.core.revocations import token_handle
from jotgate.core.token_limits import limits_claim, read_token_limits
from jotgate.errors import CommandError

OWN = "https://gate.example"
UNITS = ("requests", "input_tokens", "output_tokens", "total_tokens", "cost", "tool_calls")
ZONES = ("UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "EST5EDT")

units = st.sampled_from(UNITS)
amounts = st.integers(0, AMOUNT_MAX)
limits = st.one_of(
    st.builds(Limit, units, amounts, st.sampled_from(("minute", "hour", "lifetime"))),
    st.builds(Limit, units, amounts, st.sampled_from(("day", "month")), st.sampled_from(ZONES)),
    st.builds(Limit, st.just("concurrent"), amounts, st.just("now")),
    st.builds(
        lambda unit, amount, period_s, burst: Limit(
            unit, amount, "rate", period_s=period_s, burst=0 if burst == amount else burst
        ),
        units,
        st.integers(1, AMOUNT_MAX),
        st.integers(1, PERIOD_MAX_S),
        amounts,
    ),
)
names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=600)
token_limits = st.builds(
    TokenLimit,
    limits,
    st.just("") | st.builds(token_handle, st.just(OWN) | names, names),
)


@given(limits)
def test_every_limit_reads_back_as_it_was_written(limit: Limit) -> None:
    assert read_limit(write_limit(limit)) == limit


@given(st.lists(token_limits, max_size=8, unique=True))
def test_a_token_says_every_limit(brought: list[TokenLimit]) -> None:
    claims = {"iss": OWN, "limits": limits_claim(brought, OWN)}
    assert sorted(read_token_limits(claims), key=repr) == sorted(brought, key=repr)


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["5", "0", "1.5", " ", "requests", "USD", "/", "day", "60s", "in", "UTC", "burst"])).map(
        "".join
    )
)
def test_a_text_is_a_limit_or_is_refused(text: str) -> None:
    try:
        limit = read_limit(text)
    except CommandError:
        event("refused")
        return
    event("read")
    assert limit.amount >= 0
    assert read_limit(write_limit(limit)) == limit
