"""Asks an upstream for its models, as a check that it can be reached and takes its credential; costs nothing there."""

import http.client
import socket
import ssl
from base64 import b64encode
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from jotgate import __version__
from jotgate.core.config import UpstreamEntry
from jotgate.core.routes import Proxy, Reach
from jotgate.core.values import Secret

_PATIENCE_S: Final = 5.0
_HTTPS_PORT: Final = 443
# It takes a bearer for calls of the OpenAI API, and its own fields for its list of models.
_ANTHROPIC: Final = "api.anthropic.com"
_ANTHROPIC_VERSION: Final = "2023-06-01"
_REFUSED: Final = frozenset({401, 403})
_NO_LIST: Final = frozenset({404, 405, 501})
_OK: Final = range(200, 300)


class Pong(NamedTuple):
    """What came of it."""

    state: Literal["ok", "fault", "unknown"]
    text: str
    fix: str = ""


def ping(entry: UpstreamEntry, credential: Secret | None, reach: Reach) -> Pong:
    """`GET base_url/models` with the credential, the way that calls go, answered within five seconds."""
    parts = urlsplit(entry.base_url)
    host = parts.hostname or ""
    headers = {"Accept": "application/json", "User-Agent": f"jotgate/{__version__}"}
    if credential is not None:
        headers |= _for_upstream(host, credential)
    target = f"{parts.path.rstrip('/')}/models"
    connection = _connect(parts.scheme, host, parts.port, reach)
    if reach.proxy is not None and parts.scheme == "http":
        target = f"http://{parts.netloc}{target}"
        headers |= _for_proxy(reach.proxy)
    try:
        connection.request("GET", target, headers=headers)
        status = connection.getresponse().status
    except ssl.SSLCertVerificationError as error:
        return Pong(
            "fault",
            f"{parts.netloc} shows a certificate that is not trusted: {error.verify_message}",
            "Check base_url and the machine's CA certificates",
        )
    except socket.gaierror:
        return Pong("fault", f"the name '{host}' has no address", "Check base_url and the machine's DNS")
    except TimeoutError:
        return Pong(
            "fault", f"{parts.netloc} did not answer within {_PATIENCE_S:g} s", "Check base_url and the network"
        )
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        return Pong("fault", f"{parts.netloc} cannot be reached: {reason}", "Check base_url, and that it runs")
    finally:
        connection.close()
    return _judge(parts.netloc, status, credential)


def _for_upstream(host: str, credential: Secret) -> dict[str, str]:
    """The header fields that show the credential where models are listed."""
    if host == _ANTHROPIC:
        return {"x-api-key": credential.reveal(), "anthropic-version": _ANTHROPIC_VERSION}
    return {"Authorization": f"Bearer {credential.reveal()}"}


def _connect(scheme: str, host: str, port: int | None, reach: Reach) -> http.client.HTTPConnection:
    proxy = reach.proxy
    if scheme == "https":
        context = ssl.create_default_context(cadata=reach.roots or None)
        if proxy is None:
            return http.client.HTTPSConnection(host, port, timeout=_PATIENCE_S, context=context)
        tunnel = http.client.HTTPSConnection(proxy.host, proxy.port, timeout=_PATIENCE_S, context=context)
        tunnel.set_tunnel(host, port or _HTTPS_PORT, _for_proxy(proxy))
        return tunnel
    if proxy is not None:
        return http.client.HTTPConnection(proxy.host, proxy.port, timeout=_PATIENCE_S)
    return http.client.HTTPConnection(host, port, timeout=_PATIENCE_S)


def _for_proxy(proxy: Proxy) -> dict[str, str]:
    """The header that the proxy itself wants (RFC 7617 s2)."""
    if proxy.credential is None:
        return {}
    return {"Proxy-Authorization": "Basic " + b64encode(proxy.credential.reveal().encode()).decode("ascii")}


def _judge(where: str, status: int, credential: Secret | None) -> Pong:
    if status in _OK:
        return Pong("ok", f"{where} answers" + (" and takes the credential" if credential is not None else ""))
    if status in _REFUSED:
        text = "refuses the credential" if credential is not None else "wants a credential, and none is configured"
        return Pong("fault", f"{where} {text} (status {status})", "Check credential_env or credential_file")
    if status in _NO_LIST:
        return Pong("unknown", f"{where} answers, and has no list of models by which to check the credential")
    return Pong("fault", f"{where} answers GET /models with status {status}", "Check base_url")
