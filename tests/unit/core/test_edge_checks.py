"""Faults of what is said of those who connect, each with its remedy."""

from collections.abc import Mapping
from typing import Any

import pytest

from jotgate.core.config_reader import parse
from jotgate.errors import ConfigurationError


def faults(document: Mapping[str, Any]) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        parse(document)
    return dict(caught.value.faults)


_EVERY = "0.0.0.0"  # noqa: S104 - nothing listens there
TLS = {"cert": "a.pem", "key": "a.key"}


@pytest.mark.parametrize(
    "document",
    [
        {"server": {"host": "10.0.0.1"}, "tls": TLS},
        {"server": {"host": "::", "public_url": "https://gate.example"}, "tls": TLS},
        {"server": {"host": "10.0.0.1", "behind_proxy": True, "trusted_proxies": ["10.0.0.0/8", "fd00::1"]}},
        {"server": {"host": "127.0.0.1"}},
        {"server": {"trusted_proxies": ["10.0.0.1"], "client_certificate_field": "client-cert"}},
        {"tls": {**TLS, "client_ca": "ca.pem", "client_certificates": "optional"}},
        {"tls": {**TLS, "client_ca": "ca.pem", "min_version": "1.3"}},
        {"cors": {"origins": ["https://app.example", "http://localhost:5173", "http://[::1]:3000"]}},
    ],
)
def test_what_may_be_said(document: Mapping[str, Any]) -> None:
    parse(document)


@pytest.mark.parametrize(
    ("document", "path", "remedy"),
    [
        ({"server": {"host": "10.0.0.1"}}, "server.host", "--tls-cert"),
        ({"server": {"host": "gate.example"}}, "server.host", "--behind-proxy"),
        ({"server": {"host": _EVERY}, "tls": TLS}, "server.public_url", "https://gateway.example"),
        ({"server": {"host": "::"}, "tls": TLS}, "server.public_url", "https://gateway.example"),
        ({"server": {"behind_proxy": True}}, "server.behind_proxy", "write the addresses"),
        ({"server": {"trusted_proxies": ["10.0.0.1/8"]}}, "server.trusted_proxies", '"10.0.0.0/8"'),
        ({"server": {"trusted_proxies": ["proxy"]}}, "server.trusted_proxies", '"10.1.2.3"'),
        ({"server": {"trusted_proxies": ["0.0.0.0/0"]}}, "server.trusted_proxies", "name the proxies"),
        ({"server": {"trusted_proxies": ["::/0"]}}, "server.trusted_proxies", "name the proxies"),
        ({"server": {"forwarded_fields": "x-real-ip"}}, "server.forwarded_fields", '"x-forwarded" or "forwarded"'),
        ({"server": {"client_certificate_field": "client-cert"}}, "server.client_certificate_field", "trusted_proxies"),
        ({"server": {"client_certificate_field": "x-cert"}}, "server.client_certificate_field", "x-ssl-client-cert"),
        ({"tls": {**TLS, "client_certificates": "optional"}}, "tls.client_certificates", "needs tls.client_ca"),
        ({"tls": {"cert": "a.pem"}}, "tls.key", "private key"),
        ({"tls": {"key": "a.key"}}, "tls.cert", "with its chain"),
        ({"tls": {"client_ca": "ca.pem"}}, "tls.client_ca", "nobody is asked"),
        ({"tls": {**TLS, "min_version": "1.1"}}, "tls.min_version", '"1.2" or "1.3"'),
        ({"cors": {"origins": ["*"]}}, "cors.origins", "name the origins"),
        ({"cors": {"origins": ["null"]}}, "cors.origins", "https://app.example"),
        ({"cors": {"origins": ["https://app.example/"]}}, "cors.origins", "https://app.example"),
        ({"cors": {"origins": ["https://App.example"]}}, "cors.origins", "small letters"),
        ({"cors": {"origins": ["https://*.example"]}}, "cors.origins", "https://app.example"),
        ({"cors": {"origins": ["https://app.example:443"]}}, "cors.origins", 'write "https://app.example"'),
        ({"cors": {"origins": ["http://app.example:80"]}}, "cors.origins", 'write "http://app.example"'),
        ({"cors": {"origins": ["http://app.example:99999"]}}, "cors.origins", "no such port"),
        ({"cors": {"origins": ["ftp://app.example"]}}, "cors.origins", "https://app.example"),
        ({"limits": {"idle_s": 0.5}}, "limits.idle_s", "from 1 to 3600"),
        ({"limits": {"connections_per_address": 0}}, "limits.connections_per_address", "from 1 to 1000000"),
    ],
)
def test_what_may_not_be_said_and_what_to_write(document: Mapping[str, Any], path: str, remedy: str) -> None:
    found = faults(document)
    assert remedy in found[path]
    assert set(found) == {path}
