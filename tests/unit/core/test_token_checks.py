"""What `[tokens]` and `[dpop]` may not say."""

import pytest

from jotgate.core.config import DpopEntry
from jotgate.core.config_reader import parse
from jotgate.core.proof_times import ProofRules
from jotgate.core.refresh import RefreshRules
from jotgate.core.status_lists import StatusRules
from jotgate.core.token_checks import proof_rules, refresh_rules, status_rules
from jotgate.errors import ConfigurationError


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ({"refresh_grace": "61s"}, "tokens.refresh_grace"),
        ({"refresh_grace": "2m"}, "tokens.refresh_grace"),
        ({"refresh_grace": "-1s"}, "tokens.refresh_grace"),
        ({"refresh_idle": "0s"}, "tokens.refresh_idle"),
        ({"refresh_idle": "366d"}, "tokens.refresh_idle"),
        ({"refresh_life": "366d"}, "tokens.refresh_life"),
        ({"refresh": "1d"}, "tokens.refresh"),
        ({"status_list_ttl": "4s"}, "tokens.status_list_ttl"),
        ({"status_list_ttl": "61m"}, "tokens.status_list_ttl"),
        ({"status_lists": "yes"}, "tokens.status_lists"),
    ],
)
def test_each_fault_is_told_where_it_stands(table: dict[str, str], path: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse({"tokens": table})
    assert [where for where, _ in caught.value.faults] == [path]


def test_the_rules_are_in_seconds() -> None:
    table = {"refresh_grace": "0s", "refresh_idle": "365d", "refresh_life": "1m"}
    assert refresh_rules(parse({"tokens": table}).tokens) == RefreshRules(0, 365 * 86_400, 60)
    assert refresh_rules(parse({}).tokens) == RefreshRules(10, 30 * 86_400, 90 * 86_400)


def test_status_lists_are_off_and_good_for_a_while_longer_than_they_are_kept() -> None:
    assert status_rules(parse({})) == StatusRules(on=False, ttl_s=60, life_s=120)
    table = {"tokens": {"status_lists": True, "status_list_ttl": "5s"}, "limits": {"max_staleness_s": 30}}
    assert status_rules(parse(table)) == StatusRules(on=True, ttl_s=5, life_s=35)


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ({"proof_age": "301s"}, "dpop.proof_age"),
        ({"proof_age": "0s"}, "dpop.proof_age"),
        ({"nonce": "on"}, "dpop.nonce"),
        ({"nonces": "off"}, "dpop.nonces"),
    ],
)
def test_each_fault_of_what_proofs_must_be_is_told_where_it_stands(table: dict[str, str], path: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse({"dpop": table})
    assert [where for where, _ in caught.value.faults] == [path]


def test_what_proofs_must_be_is_in_seconds() -> None:
    assert proof_rules(parse({"dpop": {"proof_age": "5m", "nonce": "required"}}).dpop) == ProofRules(300, True)
    assert proof_rules(DpopEntry()) == ProofRules(60, nonce_required=False)
