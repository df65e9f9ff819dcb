"""Which URLs of a Valkey may stand in `[hints]`, and beside what."""

import pytest

from jotgate.core.config import HintsEntry
from jotgate.core.hint_checks import check_hints
from jotgate.core.values import Secret


@pytest.mark.parametrize(
    "url",
    [
        "valkey://127.0.0.1:6379",
        "redis://localhost",
        "valkey://[::1]:6379/",
        "valkeys://valkey.example",
        "rediss://jotgate@valkey.example:6380",
        "valkey://10.0.0.7:6379?tls=disable",
        "unix:///run/valkey/valkey.sock",
    ],
)
def test_good_urls_have_no_fault(url: str) -> None:
    assert check_hints(HintsEntry(url=url)) == []


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("127.0.0.1:6379", "is not the URL of a Valkey"),
        ("http://127.0.0.1:6379", "is not the URL of a Valkey"),
        ("valkey://", "is not the URL of a Valkey"),
        ("valkey://host:0", "is not the URL of a Valkey"),
        ("valkey://host:port", "is not a URL"),
        ("valkey://ho st", "holds characters that no URL has"),
        ("valkeys://jotgate:secret@valkey.example", "holds a password"),
        ("valkeys://valkey.example/3", "leave it out: hints are in no database"),
        ("valkeys://valkey.example?db=3", "only tls=disable may stand there"),
        ("valkey://valkey.example:6379", "crosses the network in the clear"),
        ("unix://run/valkey.sock", "is not the path of a socket"),
        ("unix:", "is not the path of a socket"),
    ],
)
def test_other_urls_are_refused_without_being_shown_whole(url: str, fault: str) -> None:
    ((path, found),) = check_hints(HintsEntry(url=url))
    assert path == "hints.url"
    assert fault in found
    assert "secret" not in found


def test_a_password_stands_once_and_beside_a_url() -> None:
    twice = HintsEntry(url="valkey://localhost", password_env="VALKEY", password_file="valkey.txt")
    assert [path for path, _ in check_hints(twice)] == ["hints.password_file"]
    alone = HintsEntry(password=Secret("a"))
    assert check_hints(alone) == [("hints.password", "stands without hints.url, and nobody would be shown it")]
