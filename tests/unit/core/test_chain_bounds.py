"""What the asks of a chain use at most, what is reserved beside, and what each step may use of it."""

import msgspec
import pytest
from msgspec.structs import replace

from jotgate.core.calls import Allowance
from jotgate.core.chain_bounds import Bound, bounds_of, budget_of, spare_of
from jotgate.core.chain_schemas import as_json, read_schema
from jotgate.core.chains import Chain, ChainStep, Retries

_SCHEMA = read_schema({"type": "object", "properties": {"a": {"type": "string"}}})
_SCHEMA_BYTES = len(msgspec.json.encode(as_json(_SCHEMA)))


def step(name: str, prompt: str, max_tokens: int, **members: object) -> ChainStep:
    return replace(ChainStep(name, "m", prompt, (), max_tokens=max_tokens), **members)


def chain(*steps: ChainStep, repairs: int = 1, tries: int = 3) -> Chain:
    return Chain("c", steps, repairs=repairs, retries=Retries(tries))


def test_a_step_is_sent_the_conversation_its_prompt_and_what_stands_in_it() -> None:
    first, second, third = bounds_of(
        chain(step("one", "Find.", 50), step("two", "Work on {{one}}.", 60), step("three", "Say {{two}}.", 70))
    )
    assert first == Bound(1, 5, 50)
    assert second == Bound(1, 16 + 2 * 50, 60)
    assert third == Bound(1, 12 + 2 * 60, 70), "what the first said does not stand in it"


@pytest.mark.parametrize(
    ("prompt", "times"),
    [
        ("nothing", 0),
        ("{{one}}", 1),
        ("{{one}} {{ one }}", 2),
        ("{{one.a}} {{one.b}} {{one.c.d}}", 1),
        ("{{one.a}} {{one.b}} {{one.a}}", 2),
        ("{{one.a}} {{one.a.b}} {{one}}", 3),
        ("{{oneself}}", 0),
    ],
)
def test_members_of_one_output_share_nothing_and_what_stands_twice_counts_twice(prompt: str, times: int) -> None:
    _, second = bounds_of(chain(step("one", "x", 50), step("two", prompt, 60)))
    assert second.input_tokens == len(prompt) + times * 2 * 50


def test_what_the_caller_said_and_schemas_count_for_each_place_that_they_stand_in() -> None:
    (only,) = bounds_of(chain(step("one", "{{request}} {{instructions}} {{request}}", 50)))
    assert only.passes == 4
    for asks_for, prompt, times in (
        ("json_schema", "", 1),
        ("json_schema", "{{schema}}", 2),
        ("prompt", "{{schema}}", 1),
    ):
        (only,) = bounds_of(chain(step("one", prompt, 50, schema=_SCHEMA, asks_for=asks_for)))
        assert only.input_tokens == len(prompt) + times * _SCHEMA_BYTES


def test_one_more_ask_is_as_large_as_the_largest() -> None:
    large = chain(
        step("one", "x", 500, schema=_SCHEMA, asks_for="prompt"), step("two", "{{request}}", 60, streamed=True)
    )
    assert spare_of(large, 1_024) == Bound(2, 1 + 2 * 500 + 1_024, 500)
    assert spare_of(replace(large, repairs=0), 1_024) == Bound(2, 11, 500)
    assert spare_of(chain(step("one", "x", 5_000, streamed=True)), 1_024).output_tokens == 1_024, "a stream's beginning"
    assert spare_of(chain(step("one", "x", 5_000)), 1_024).output_tokens == 5_000


def test_without_repairs_and_further_tries_nothing_is_reserved_beside() -> None:
    assert spare_of(chain(step("one", "x", 50), repairs=0, tries=1), 1_024) == Bound()
    assert spare_of(chain(step("one", "x", 50), repairs=0, tries=2), 1_024) == Bound(1, 1, 50)
    assert spare_of(chain(step("one", "x", 50), repairs=1, tries=1), 1_024) == Bound(1, 1, 50)


def test_a_step_has_what_those_before_it_left_and_not_what_is_kept_for_those_behind_it() -> None:
    asked = chain(step("one", "x" * 10, 50), step("two", "y" * 20, 60))
    spare = spare_of(asked, 1_024)
    assert spare == Bound(1, 20, 60)
    # A body of 100 tokens, sent three times; an answer of at most 40 beside the 50 and the 60.
    allowance = Allowance(3 * 100 + 50, 50 + 60 + 40, 3, 50, 110)
    first = budget_of(asked, allowance, 0, (0, 0))
    assert (first.ask_in, first.ask_out) == (110, 50)
    assert (first.most_in, first.most_out) == (350 - 120, 150 - 40)
    second = budget_of(asked, allowance, 1, (30, 10))
    assert (second.ask_in, second.ask_out) == (120, 40)
    assert (second.most_in, second.most_out) == (320, 140)


def test_a_step_is_asked_again_while_what_it_may_use_is_enough() -> None:
    asked = chain(step("one", "x" * 10, 50), step("two", "y" * 20, 60))
    first = budget_of(asked, Allowance(350, 150, 3, 50, 110), 0, (0, 0))
    assert first.affords(0, 0, repair=False)
    assert first.affords(120, 60, repair=False)
    assert not first.affords(121, 60, repair=False)
    assert not first.affords(120, 61, repair=False)
    assert not first.affords(20, 5, repair=True), "there is no room for what has to be repaired"
