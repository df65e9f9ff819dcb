"""What may not be said of those who connect: proxies that are believed, the files of TLS, the origins of web pages."""

import ipaddress
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from jotgate.core.config import Config, Cors, Server, Tls
from jotgate.core.faults import Fault, shown

_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(?::[1-9][0-9]{0,4})?", re.ASCII)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def check_proxies(server: Server) -> list[Fault]:
    """The faults of `trusted_proxies` and of what rests on it."""
    path = "server.trusted_proxies"
    faults = [(path, f"holds {shown(text)}; {fault}") for text in server.trusted_proxies if (fault := _network(text))]
    if server.behind_proxy and not server.trusted_proxies:
        faults.append(
            (
                "server.behind_proxy",
                f"needs {path}: write the addresses of the proxies there, or every caller looks like the proxy",
            )
        )
    if server.client_certificate_field and not server.trusted_proxies:
        faults.append(("server.client_certificate_field", f"needs {path}: nobody else is believed what it says"))
    return faults


def check_asking_proxies(proxies: Iterable[str]) -> list[Fault]:
    """The faults of `decisions.proxies`."""
    return [("decisions.proxies", f"holds {shown(text)}; {fault}") for text in proxies if (fault := _network(text))]


def check_tls(tls: Tls) -> list[Fault]:
    """The faults of `[tls]` that can be seen without its files."""
    if tls.cert and not tls.key:
        return [("tls.key", "is missing beside tls.cert; write the path of the certificate's private key")]
    if tls.key and not tls.cert:
        return [("tls.cert", "is missing beside tls.key; write the path of the certificate, with its chain")]
    if tls.client_ca and not tls.cert:
        return [("tls.client_ca", "stands without tls.cert and tls.key, and nobody is asked for a certificate then")]
    if tls.client_certificates == "optional" and not tls.client_ca:
        return [("tls.client_certificates", "needs tls.client_ca, without which nobody is asked for a certificate")]
    return []


def check_cors(cors: Cors) -> list[Fault]:
    """The faults of `[cors]`."""
    return [("cors.origins", f"holds {shown(text)}; {fault}") for text in cors.origins if (fault := origin_fault(text))]


def _network(text: str) -> str:
    """What is wrong with a network; empty when nothing."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        try:
            meant = ipaddress.ip_network(text, strict=False)
        except ValueError:
            return 'write an address such as "10.1.2.3" or a network such as "10.0.0.0/8"'
        return f'the network is written "{meant}"'
    if network.prefixlen == 0:
        return "that is everybody; name the proxies"
    return ""


def origin_fault(text: str) -> str:
    """What is wrong with a web origin (RFC 6454 s6.2) that is compared byte for byte; empty when nothing."""
    if text == "*":
        return "that is every page there is; name the origins"
    if _ORIGIN.fullmatch(text) is None:
        return 'write scheme and host in small letters, and a port if it is not the usual one: "https://app.example"'
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        return "there is no such port"
    if port == _DEFAULT_PORTS[parts.scheme]:
        return f'browsers leave the usual port out: write "{text.rpartition(":")[0]}"'
    return ""


def shows_certificates(config: Config) -> bool:
    """Whether a caller can show a client certificate: over TLS of ours, or through a proxy that says so."""
    return bool(config.tls.client_ca or config.server.client_certificate_field)
