"""Upstreams that a test asks one call of, straight, through a proxy or under roots of its own."""

import ssl
from typing import Final

from jotgate.core.calls import Outbound, ResponseHead
from jotgate.core.routes import Proxy, Reach
from jotgate.core.values import Secret
from jotgate.errors import UpstreamError
from jotgate.testing.certificates import Authority
from jotgate.upstreams.openai import OpenAIUpstream
from tests.loops import until
from tests.proxies import ProxyServer

CALL: Final = Outbound("embeddings", b"POST", b"/", b"X-Request-Id: r\r\n", b"{}")
PASSWORD: Final = "Basic dXNlcjpwYXNz"


class Ear:
    """Takes down what an upstream says."""

    def __init__(self) -> None:
        self.body = b""
        self.error: UpstreamError | None = None
        self.written: bool | None = None
        self.over = False

    def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        self.body += piece
        self.over = complete

    def failed(self, error: UpstreamError, written: bool) -> None:
        self.error, self.written, self.over = error, written, True


async def ask(port: OpenAIUpstream, outbound: Outbound = CALL) -> Ear:
    ear = Ear()
    port.begin(outbound, ear)
    await until(lambda: ear.over)
    return ear


def through(proxy: ProxyServer, credential: str = "") -> Reach:
    return Reach(Proxy("127.0.0.1", proxy.port, Secret(credential) if credential else None))


def server_side(authority: Authority, *hosts: str) -> ssl.SSLContext:
    """The upstream's half of TLS."""
    pair = authority.issue("server", hosts=hosts or ("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    return context


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.root.read_text())
