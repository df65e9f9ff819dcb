"""Whether an installation listens at the address that is its name."""

import pytest

from jotgate.core.status import elsewhere, is_elsewhere


@pytest.mark.parametrize(
    ("issuer", "url", "found"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", False),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8081", True),
        ("http://localhost:8080", "https://127.0.0.1:8080", True),
        ("http://[::1]:8080", "http://127.0.0.1:8080", True),
        ("https://gate.example", "http://127.0.0.1:8080", False),  # A proxy is there, as far as anybody here can tell.
    ],
)
def test_a_name_that_is_an_address_of_this_machine_can_be_a_dead_one(issuer: str, url: str, found: bool) -> None:
    assert is_elsewhere(issuer, url) is found


def test_what_to_do_is_said() -> None:
    said = elsewhere("http://127.0.0.1:8080", "http://127.0.0.1:8081")
    assert "--port 8080" in said
    assert "server.public_url" in said
