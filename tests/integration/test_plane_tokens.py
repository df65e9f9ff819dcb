"""Real proxies before a gateway under TLS: those that ask know it by its certificate, and those that ask nobody verify.

What is refused here is signed by the installation's own key: tokens that a proxy has to look into to refuse.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from jotgate.jose import jwt
from jotgate.jose.keys import SigningKey, signing_key_from_pem
from jotgate.testing.certificates import Authority
from jotgate.testing.forge import ABSENT
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.running import until
from jotgate.testing.upstream import unary, upstream_in_thread
from tests.planes import Plane, PlaneStage, plane_stage
from tests.ways import server_side

CONFIGURATION: Final = """\
[decisions]
proxies = ["127.0.0.1"]
"""
NAMES: Final = ("nginx", "envoy", "caddy", "traefik", pytest.param("haproxy", marks=pytest.mark.peers))
OFFLINE: Final = ("envoy", pytest.param("haproxy", marks=pytest.mark.peers))
SPOOFED: Final = {"X-Jot-Subject": "root", "X-Jot-Tenant": "root", "X-Jot-Roles": "admin", "X_Jot_Subject": "root"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stage(authority: Authority) -> Iterator[PlaneStage]:
    pair = authority.issue("gate")
    with plane_stage(CONFIGURATION, "--tls-cert", str(pair.cert), "--tls-key", str(pair.key)) as found:
        yield found


@pytest.fixture(scope="module")
def good(stage: PlaneStage) -> str:
    return stage.token()


@pytest.fixture(scope="module")
def own(stage: PlaneStage) -> TestIssuer:
    """Makes tokens with the key of the installation."""
    return TestIssuer(_own_key(stage), stage.gateway.url, stage.gateway.url, time.time())


def _own_key(stage: PlaneStage) -> SigningKey:
    (file,) = (stage.gateway.data / "keys").glob("*.pem")
    return signing_key_from_pem(file.read_bytes(), "ES256")


def gate(stage: PlaneStage) -> str:
    """Where the gateway is reached by a name that its certificate has."""
    return stage.gateway.url.replace("127.0.0.1", "localhost")


@pytest.mark.parametrize("name", NAMES)
def test_the_gate_is_known_by_its_certificate(
    name: str, stage: PlaneStage, authority: Authority, good: str, tmp_path: Path
) -> None:
    plane = stage.start(name, "--roots", str(authority.root), gate=gate(stage))
    assert plane(good).status == 200
    before = len(stage.upstream.requests)
    other = Authority(tmp_path, "another authority").root
    assert stage.start(name, "--roots", str(other), gate=gate(stage), asks=500)(good).status >= 500
    assert len(stage.upstream.requests) == before


@pytest.mark.parametrize("name", NAMES)
def test_the_upstream_is_known_by_its_certificate(
    name: str, stage: PlaneStage, authority: Authority, good: str
) -> None:
    roots = ("--roots", str(authority.root))
    with upstream_in_thread(tls=server_side(authority, "localhost")) as right:
        right.default = unary(b"{}")
        plane = stage.start(name, *roots, "--upstream", f"https://localhost:{right.port}", gate=gate(stage))
        assert plane(good).status == 200
        assert right.requests[-1].headers["x-jot-subject"] == "ann"
    with upstream_in_thread(tls=server_side(authority, "other.example")) as wrong:
        plane = stage.start(name, *roots, "--upstream", f"https://localhost:{wrong.port}", gate=gate(stage))
        assert plane(good).status >= 500
        assert wrong.requests == []


def judged_offline(plane: Plane, stage: PlaneStage, own: TestIssuer, good: str) -> None:
    """What has to be so wherever nobody is asked."""
    until(lambda: plane(good, fields=SPOOFED).status == 200, "it has keys, and lets a good token pass")
    told = stage.upstream.requests[-1].headers
    assert (told["x-jot-subject"], told["x-jot-scopes"], told["x-jot-client"]) == ("ann", "decide", "jotgate-cli")
    assert not told.get("x-jot-tenant")
    assert not {"x-jot-roles", "x_jot_subject", "authorization"} & told.keys()
    before = len(stage.upstream.requests)
    refused: dict[str, bytes] = {
        "signature": f"{good[:-8]}AAAAAAAA".encode(),
        "ended": own.token(exp=int(time.time()) - 60),
        "endless": own.token(exp=ABSENT),
        "issuer": own.token(iss="https://other.example"),
        "audience": own.token(aud="https://other.example"),
        "longer audience": own.token(aud=f"{own.audience}/more"),
        "type": jwt.sign(own.claims(scope="decide"), "JWT", own.key),
        "bound": own.token(scope="decide", cnf={"jkt": "x"}),
        "scope": own.token(scope="decided chat"),
        "none": own.alg_none(),
    }
    for what, token in refused.items():
        assert plane(token.decode()).status in {401, 403}, what
    nobody = plane()
    assert nobody.status == 401
    assert nobody.all("www-authenticate")[0].startswith("Bearer")
    assert len(stage.upstream.requests) == before
    assert plane(own.token(scope="chat decide", aud=["https://other.example", own.audience]).decode()).status == 200


@pytest.mark.parametrize("name", OFFLINE)
def test_who_asks_nobody_takes_what_the_key_set_and_the_claims_allow(
    name: str, stage: PlaneStage, authority: Authority, own: TestIssuer, good: str
) -> None:
    plane = stage.start(name, "--offline", "--roots", str(authority.root), gate=gate(stage))
    judged_offline(plane, stage, own, good)


def test_envoy_verifies_by_itself_and_asks_of_what_is_good(
    stage: PlaneStage, authority: Authority, own: TestIssuer, good: str
) -> None:
    plane = stage.start("envoy", "--jwt", "--roots", str(authority.root), gate=gate(stage))
    until(lambda: plane(good, fields=SPOOFED).status == 200, "it has keys, and lets a good token pass")
    assert stage.upstream.requests[-1].headers["x-jot-issuer"] == stage.gateway.url
    for token in (own.unknown_key(), own.token(exp=int(time.time()) - 60), jwt.sign(own.claims(), "JWT", own.key)):
        assert plane(token.decode()).status in {401, 403}
    once = stage.token("--max-requests", "1")
    assert [plane(once).status, plane(once).status] == [200, 429]
