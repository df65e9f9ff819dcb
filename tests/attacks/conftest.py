"""The gateways that the attacks are made on: one for the whole session, which must stand unshaken after every row."""

import time
from collections.abc import Iterator

import pytest

from jotgate.jose.keys import signing_key_from_pem
from jotgate.testing.issuer import TestIssuer, wrong_tokens
from jotgate.testing.running import Gateway, running_gateway
from jotgate.testing.upstream import upstream_in_thread
from tests.attacks.catalogue import Catalogue
from tests.attacks.target import MODEL, Target

SETTINGS = '[metrics]\nlisten = "127.0.0.1:0"\n[logs]\nlevel = "debug"\n'
UPSTREAM = '[[upstreams]]\nname = "recording"\nkind = "openai"\nbase_url = "{}"\nmodels = ["{}"]\n'


def own_issuer(gateway: Gateway) -> TestIssuer:
    """An issuer of wrong tokens that holds the gateway's own signing key."""
    kid = (gateway.data / "keys" / "active").read_text().strip()
    (pem,) = (gateway.data / "keys").glob("*.pem")
    return TestIssuer(signing_key_from_pem(pem.read_bytes(), "ES256", kid), gateway.url, gateway.url, time.time())


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    """A gateway with its own ES256 key and one upstream, which says much in its logs."""
    with upstream_in_thread() as upstream:
        config = SETTINGS + UPSTREAM.format(upstream.base_url, MODEL)
        with running_gateway(config, "--workers", "1") as gateway:
            yield Target(gateway, upstream, gateway.token("--ttl", "1h").encode())


@pytest.fixture(scope="session")
def forge(target: Target) -> TestIssuer:
    """What an attacker could make who had the gateway's own key; most attacks want less."""
    return own_issuer(target.gateway)


@pytest.fixture(scope="session")
def catalogue(forge: TestIssuer) -> Catalogue:
    """The wrong tokens of `jotgate.testing` by row."""
    return Catalogue(wrong_tokens(forge.key, forge.issuer, forge.audience, time.time()))
