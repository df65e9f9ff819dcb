"""Which addresses may be asked, and what may lead where (attack row C02)."""

import pytest

from jotgate.core.reach import Reach, Way, may_lead, public_fault, reach_of, split_url


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        ("93.184.216.34", "public"),
        ("2606:2800:220:1::1", "public"),
        ("10.0.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("fd12:3456::1", "private"),
        ("127.0.0.1", "loopback"),
        ("127.255.0.9", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("2002:7f00:1::", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a00:1", "private"),
        ("169.254.169.254", None),
        ("::ffff:169.254.169.254", None),
        ("2002:a9fe:a9fe::", None),
        ("64:ff9b::a9fe:a9fe", None),
        ("fd00:ec2::254", None),
        ("100.100.100.200", None),
        ("168.63.129.16", None),
        ("::ffff:168.63.129.16", None),
        ("192.0.0.192", None),
        ("fe80::1%eth0", None),
        ("0.0.0.0", None),  # noqa: S104 - it is refused
        ("::", None),
        ("224.0.0.1", None),
        ("240.0.0.1", None),
        ("255.255.255.255", None),
        ("ff02::1", None),
        ("::127.0.0.1", "loopback"),
        ("::10.0.0.1", "private"),
        ("::8.8.8.8", "private"),
        ("::ffff:0:127.0.0.1", "loopback"),
        ("::ffff:8.8.8.8", "public"),
        ("64:ff9b::808:808", "public"),
        ("64:ff9b:1::808:808", "private"),
        ("64:ff9b:1::a9fe:a9fe", None),
        ("fec0::1", "private"),
        ("3fff::1", "private"),
        ("2001:db8::1", "private"),
        ("5f00::1", "private"),
        ("4000::1", None),
        ("192.0.0.8", "private"),
        ("192.88.99.1", "private"),
        ("198.18.0.1", "private"),
    ],
)
def test_an_address_stands_as_far_in_as_it_leads(address: str, reach: Reach | None) -> None:
    assert reach_of(address) == reach


@pytest.mark.parametrize(
    ("before", "to", "may"),
    [
        (Way("public", True), Way("public", True), True),
        (Way("public", True), Way("private", True), False),
        (Way("public", True), Way("loopback", True), False),
        (Way("private", True), Way("private", True), True),
        (Way("private", True), Way("public", True), True),
        (Way("private", True), Way("loopback", True), False),
        (Way("loopback", False), Way("loopback", False), True),
        (Way("loopback", False), Way("public", True), True),
        (Way("loopback", True), Way("loopback", False), False),
    ],
)
def test_nothing_leads_further_in_nor_out_of_tls(before: Way, to: Way, may: bool) -> None:
    assert may_lead(before, to) is may


@pytest.mark.parametrize(
    "url",
    [
        "https://idp.example/keys",
        "https://idp.example:8443/a?b=c",
        "https://[::1]:1/",
        "http://127.0.0.1:1/keys",
        "http://[::1]/keys",
        "http://localhost:65535/",
    ],
)
def test_a_url_that_may_be_asked(url: str) -> None:
    assert split_url(url).geturl() == url


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://idp.example/keys", "not https"),
        ("http://10.0.0.1/", "not https"),
        ("http://2130706433/", "not https"),
        ("http://localhost.evil.example/", "not https"),
        ("ftp://idp.example/", "no https URL"),
        ("file:///etc/passwd", "no https URL"),
        ("data:application/json,1", "no https URL"),
        ("https:///keys", "no https URL"),
        ("//idp.example/keys", "no https URL"),
        ("keys", "no https URL"),
        ("https://good.example@evil.example/", "user name"),
        ("https://user:secret@idp.example/", "user name"),
        ("https://idp.example/#fragment", "fragment"),
        ("https://idp.example:0/", "no https URL"),
        ("https://idp.example:99999/", "is not a URL"),
        ("https://idp.example/a b", "characters"),
        ("https://idp.example\\@evil.example/", "characters"),
        ("https://idp.example/\r\nX: y", "characters"),
        ("https://idp.\tevil.example/", "characters"),
        ("https://ïdp.example/", "characters"),
    ],
)
def test_a_url_that_may_not(url: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        split_url(url)


@pytest.mark.parametrize(
    "url",
    ["https://idp.example", "https://idp.example:8443/a?b=c", "https://8.8.8.8/", "https://[2606:4700::1111]/"],
)
def test_a_url_that_may_lead_to_a_public_address(url: str) -> None:
    assert public_fault(url) == ""


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "intranet",
        "printer.local",
        "metadata.google.internal",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "0.0.0.0",  # noqa: S104 - it is refused
        "224.0.0.1",
        "255.255.255.255",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "1.2.3.4.5",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[fd00::1]",
        "[ff02::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[::10.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::808:808]",
        "[2002:7f00:1::]",
        "[2002:a00:1::]",
        "[2001:0:7f00:1::]",
        "user@idp.example",
        "user:secret@idp.example",
        "good.example@127.0.0.1",
        "idp.example:0",
        "idp%2eexample",
        "",
    ],
)
def test_a_url_that_leads_to_no_public_address(host: str) -> None:
    assert public_fault(f"https://{host}/keys")


@pytest.mark.parametrize(
    "url", ["http://idp.example/", "http://127.0.0.1/", "file:///etc/passwd", "gopher://a.example/"]
)
def test_a_url_that_is_not_https_leads_nowhere_public(url: str) -> None:
    assert public_fault(url)
