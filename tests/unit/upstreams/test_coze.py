"""How Coze is reached: below which path, through which proxy, and by which mode."""

from msgspec.structs import replace

from jotgate.core.calls import Outbound
from jotgate.core.routes import HEALTH, HealthCheck, Proxy, Reach, Upstream
from jotgate.core.values import Secret
from jotgate.testing.ports import ManualClock, at_once
from jotgate.upstreams.coze import CozeUpstream
from jotgate.upstreams.coze_runs import CozeRuns
from jotgate.upstreams.credential_sources import StaticKeys
from tests.coze_calls import CozeStage, ScriptedConnections
from tests.metering import Chance

UPSTREAM = Upstream("coze", "coze", "http://coze.example:8080/base/", credential=Secret("pat_x"))
BODY = b'{"model":"bot:1","messages":[{"role":"user","content":"Hi"}]}'


def asked(upstream: Upstream, operation: str = "chat.completions") -> ScriptedConnections:
    """What is asked of Coze for a call of somebody."""
    connections = ScriptedConnections()
    port = CozeUpstream(upstream, CozeRuns(ManualClock(), Chance(), at_once), connections, StaticKeys(upstream))
    stage = CozeStage()
    stage.chat("Hi")
    (call,) = stage.gateway.live
    port.begin(Outbound(operation, b"POST", b"/v1/chat/completions", b"", BODY), call)
    return connections


def test_targets_lie_below_the_base_url() -> None:
    connections = asked(UPSTREAM)
    assert connections.targets == ["POST /base/v3/chat"]
    lines = connections.last.outbound.lines
    assert b"Host: coze.example:8080\r\n" in lines
    assert b"Authorization: Bearer pat_x\r\n" in lines
    assert b"Content-Type: application/json\r\n" in lines
    assert b"Content-Length: %d\r\n" % len(connections.last.outbound.body) in lines


def test_through_a_proxy_a_plain_request_names_its_whole_url() -> None:
    reach = Reach(proxy=Proxy("proxy.example", 3128, Secret("user:word")))
    connections = asked(replace(UPSTREAM, reach=reach))
    assert connections.targets == ["POST http://coze.example:8080/base/v3/chat"]
    assert b"Proxy-Authorization: Basic " in connections.last.outbound.lines
    secured = asked(replace(UPSTREAM, base_url="https://api.coze.com", reach=reach))
    assert secured.targets == ["POST /v3/chat"]
    assert b"Proxy-Authorization" not in secured.last.outbound.lines


def test_health_is_a_path_of_the_host() -> None:
    connections = asked(replace(UPSTREAM, health=HealthCheck("/ready")), HEALTH)
    assert connections.targets == ["GET /ready"]
