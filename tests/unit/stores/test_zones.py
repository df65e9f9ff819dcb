"""The rules of time zones, which the machine keeps."""

import zoneinfo
from pathlib import Path

import pytest

from jotgate.core.policy_entries import PolicyEntry, WindowEntry
from jotgate.core.quota_entries import QuotaEntry
from jotgate.stores.zones import check_quota_zones, find_zone, read_zones


def test_a_zone_of_the_machine_is_found_and_utc_needs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = find_zone("Europe/Berlin", {})
    assert rules is not None
    assert rules.startswith(b"TZif")
    monkeypatch.setattr(zoneinfo, "TZPATH", (str(tmp_path),))
    assert find_zone("Europe/Berlin", {}) is None
    assert find_zone("Europe/Berlin", {"Europe/Berlin": rules}) == rules
    assert find_zone("UTC", {}) == b""


@pytest.mark.parametrize("content", [b"", b"TZif", b"[Europe]\n"])
def test_a_file_that_holds_no_rules_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    rules = find_zone("Europe/Berlin", {})
    assert rules
    for folder, text in (("bad", content), ("good", rules)):
        (tmp_path / folder / "Europe").mkdir(parents=True)
        (tmp_path / folder / "Europe" / "Berlin").write_bytes(text)
    monkeypatch.setattr(zoneinfo, "TZPATH", (str(tmp_path / "none"), str(tmp_path / "bad"), str(tmp_path / "good")))
    assert find_zone("Europe/Berlin", {}) == rules
    assert find_zone("Europe", {}) is None  # a folder


def test_an_unknown_zone_is_a_fault_at_its_place() -> None:
    entries = {
        "policies[0]": PolicyEntry(name="a", effect="allow", times=(WindowEntry(zone="Europe/Berlin"), WindowEntry())),
        "policies[1]": PolicyEntry(name="b", effect="allow", times=(WindowEntry(), WindowEntry(zone="Nowhere/Atall"))),
    }
    found, faults = read_zones(entries)
    assert list(found) == ["Europe/Berlin"]
    assert [path for path, _ in faults] == ["policies[1].times[1].zone"]


def test_a_limit_goes_by_a_clock_that_the_machine_knows() -> None:
    limits = ("5 requests/day in Europe/Berlin", "5 requests/day", "5 requests/day in Nowhere/Atall")
    entries = {f"quotas[{place}]": QuotaEntry(name=f"q{place}", limit=text) for place, text in enumerate(limits)}
    ((path, fault),) = check_quota_zones(entries)
    assert path == "quotas[2].limit"
    assert fault == "names 'Nowhere/Atall', a time zone that this machine does not know; leave it out for UTC"
