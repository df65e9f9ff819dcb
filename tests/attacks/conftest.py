"""The gateways that the attacks are made on: one for the whole session, which must stand unshaken after every row."""

import time
from collections.abc import Iterator

import pytest

from jotgate.testing.issuer import TestIssuer, wrong_tokens
from jotgate.testing.running import running_gateway
from jotgate.testing.upstream import upstream_in_thread
from tests.attacks.catalogue import Catalogue
from tests.attacks.target import MODEL, SETTINGS, UPSTREAM, Target
from tests.attacks.trust import Trust, trusting_gateway


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
    return target.own_issuer()


@pytest.fixture(scope="session")
def catalogue(forge: TestIssuer) -> Catalogue:
    """The wrong tokens of `jotgate.testing` by row."""
    return Catalogue(wrong_tokens(forge.key, forge.issuer, forge.audience, time.time()))


@pytest.fixture(scope="session")
def trust() -> Iterator[Trust]:
    """A gateway that trusts several issuers, and who they are."""
    with trusting_gateway() as trusting:
        yield trusting
