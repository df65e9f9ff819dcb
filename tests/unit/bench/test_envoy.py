"""The Envoy that jotgate is measured beside."""

import json

from bench.envoy import configuration
from bench.jotgate import IssuerFacts

ISSUER = IssuerFacts("https://issuer.example", "https://audience.example", '{"keys":[]}')


def test_it_verifies_every_request_with_the_issuers_key() -> None:
    text = json.dumps(configuration(1, 2, ISSUER, cached=False))

    assert '"match": {"prefix": "/"}, "requires"' in text
    assert '"issuer": "https://issuer.example", "audiences": ["https://audience.example"]' in text
    assert "jwt_cache_config" not in text


def test_the_cache_is_all_that_sets_the_two_apart() -> None:
    cached, bare = (json.dumps(configuration(1, 2, ISSUER, cached=cached)) for cached in (True, False))

    assert cached.replace(', "jwt_cache_config": {"jwt_cache_size": 1000}', "") == bare
