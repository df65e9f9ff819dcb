"""A URL of the settings has its parts, or is told to be none in the same words wherever it stands."""

import pytest

from jotgate.core.url_parts import HTTP, url_parts


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://idp.example", "idp.example", None),
        ("http://[::1]:8080/v1?a=b#c", "::1", 8080),
        ("https://user:word@idp.example:65535", "idp.example", 65_535),
    ],
)
def test_a_url_has_its_parts(url: str, host: str, port: int | None) -> None:
    parts = url_parts(url, HTTP, "is none")
    assert (parts.hostname, parts.port) == (host, port)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", "is none"),
        ("idp.example", "is none"),
        ("ftp://idp.example", "is none"),
        ("https:///keys", "is none"),
        ("https://idp.example:0", "is none"),
        ("https://idp.example:port", "is not a URL"),
        ("https://idp.example:99999", "is not a URL"),
        ("https://[::1", "is not a URL"),
        ("https://idp.example/a b", "holds characters that no URL has"),
        ("https://ïdp.example", "holds characters that no URL has"),
        ("https://idp.example/\r\nX: y", "holds characters that no URL has"),
        ("https://idp.example/" + "x" * 2_048, "is longer than 2048 characters"),
    ],
)
def test_what_is_no_such_url_is_told_why(url: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        url_parts(url, HTTP, "is none")


def test_some_urls_need_no_host() -> None:
    assert url_parts("postgresql:///d?host=/run", ("postgresql",), "is none", host=False).hostname is None
