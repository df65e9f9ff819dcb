"""The script reads the package's data without running it, and takes the dearer price where a call does not tell."""

from datetime import date

import pytest

from jotgate.core.prices import cost_nd, for_call
from jotgate.core.quotas import Price, Rates
from tools.prices import read_table

DAY = date(2026, 11, 23)


def price(prices: str, variants: str = "[]") -> Price | None:
    text = f"""
providers: list[Provider] = [
    Provider(
        id='p',
        name='P',
        api_pattern='https://p',
        models=[
            ModelInfo(id='m', match=ClauseEquals(equals='M'), prices={prices}, price_variants={variants}),
        ],
    )
]
"""
    return read_table(text, DAY).find("https://p/v1", "m")


def test_dollars_for_a_million_tokens_are_picodollars_for_one() -> None:
    found = price(
        "ModelPrice(input_mtok=Decimal('0.039'), output_mtok=Decimal('0.1800001'), cache_read_mtok=Decimal('9'))"
    )
    assert found == Price(39_000, 180_001)


def test_what_is_written_to_a_cache_counts_for_all_input() -> None:
    found = price("ModelPrice(input_mtok=Decimal('2'), cache_write_mtok=Decimal('2.5'), output_mtok=Decimal('8'))")
    assert found == Price(2_500_000, 8_000_000)


def test_tiers_of_input_and_output_are_one_list() -> None:
    found = price(
        "ModelPrice(input_mtok=TieredPrices(base=Decimal('1'), tiers=[Tier(start=200000, price=Decimal('2'))]),"
        " output_mtok=TieredPrices(base=Decimal('4'), tiers=[Tier(start=100000, price=Decimal('5'))]))"
    )
    assert found == Price(
        1_000_000,
        4_000_000,
        tiers=(Rates(1_000_000, 5_000_000, 100_000), Rates(2_000_000, 5_000_000, 200_000)),
    )


def test_of_prices_that_change_with_the_hour_the_highest_counts_and_of_those_before_today_none() -> None:
    found = price(
        "[ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('9'), output_mtok=Decimal('9'))),"
        " ConditionalPrice(constraint=StartDateConstraint(start_date=datetime.date(2026, 1, 1)),"
        " prices=ModelPrice(input_mtok=Decimal('2'), output_mtok=Decimal('2'))),"
        " ConditionalPrice(constraint=TimeOfDateConstraint("
        "start_time=datetime.time(1, 0, tzinfo=datetime.timezone.utc),"
        " end_time=datetime.time(4, 0, tzinfo=datetime.timezone.utc)),"
        " prices=ModelPrice(input_mtok=Decimal('1'), output_mtok=Decimal('4')))]"
    )
    assert found == Price(2_000_000, 4_000_000)


def test_what_makes_a_call_dearer_is_kept() -> None:
    found = price(
        "ModelPrice(input_mtok=Decimal('1'), output_mtok=Decimal('2'), cache_write_1h_mtok=Decimal('3'),"
        " input_audio_mtok=Decimal('4'), output_audio_mtok=Decimal('5'), requests_kcount=Decimal('12'))",
        "[PriceVariant(when={'service_tier': 'priority'},"
        " prices=ModelPrice(input_mtok=Decimal('6'), output_mtok=Decimal('7'))),"
        " PriceVariant(when={'processing': 'batch'}, prices=ModelPrice(input_mtok=Decimal('99')))]",
    )
    assert found is not None
    assert cost_nd(found, 0, 0) == 12_000_000
    assert for_call(found, b"{}") is not None
    assert found.extras == {
        "media": Rates(4_000_000, 5_000_000),
        "cache": Rates(3_000_000, 0),
        "fast": Rates(6_000_000, 7_000_000),
    }


def test_a_model_that_is_not_counted_in_tokens_has_no_price() -> None:
    assert price("ModelPrice(audio_hours=Decimal('0.36'))") is None


def test_what_is_not_known_ends_the_script() -> None:
    with pytest.raises(SystemExit, match="what is not known here"):
        price("ModelPrice(input_mtok=1 + 1)")
