"""A quantile is a time that so many were within; the page has those of both machines."""

import pytest

from bench.soak.revocations import RevocationFindings, quantile, render_revocations


@pytest.mark.parametrize(("share", "wanted"), [(0.0, 1.0), (0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1_000.0)])
def test_a_quantile_is_a_time_within_which_that_share_was(share: float, wanted: float) -> None:
    assert quantile([float(number) for number in range(1_000, 0, -1)], share) == wanted


def test_of_few_the_last_is_the_longest() -> None:
    assert quantile([0.2, 0.1], 0.999) == 0.2


def test_the_page_shows_both_machines() -> None:
    found = RevocationFindings(answered=[0.01], here=[0.02], there=[0.25], seconds=3.0)
    page = render_revocations(found, "2026-11-23")
    assert "# 1 revocations at one machine: refused by both workers of another within 250 ms at p99.9" in page
    assert "| the machine that was told | 20 ms | 20 ms | 20 ms | 20 ms |" in page
    assert "| the other machine | 250 ms | 250 ms | 250 ms | 250 ms |" in page
