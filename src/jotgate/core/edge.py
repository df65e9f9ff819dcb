"""How the edge treats those who connect, and what it shows them under TLS."""

from typing import Literal

from msgspec import Struct

from jotgate.core.values import Secret

CertificateField = Literal["", "client-cert", "x-ssl-client-cert"]
"""The field in which trusted proxies write the certificate of the caller; empty: in none."""


class TlsMaterial(Struct, frozen=True):
    """What the edge shows and demands under TLS, all PEM: the certificate and its chain, its key, the clients' roots.

    `client_ca` empty: clients are asked for no certificate; `client_optional`: one that has none may come all the same.
    Control has read and checked it; workers open no file.
    """

    certificates: str
    key: Secret
    client_ca: str = ""
    min_version: Literal["1.2", "1.3"] = "1.2"
    client_optional: bool = False


class Edge(Struct, frozen=True):
    """How the edge treats those who connect.

    `trusted_proxies` are networks. `forwarded_fields` is the family of fields that they are believed. `origins` are
    the web origins that may read answers. `hsts`: browsers are told to come back under TLS only. `credential_cookie`
    is the name of the cookie that holds a token; empty: no route allows cookies. `certificate_field` is where trusted
    proxies write the certificate of the caller.
    """

    trusted_proxies: tuple[str, ...] = ()
    forwarded_fields: Literal["x-forwarded", "forwarded"] = "x-forwarded"
    origins: tuple[str, ...] = ()
    hsts: bool = False
    credential_cookie: str = ""
    tls: TlsMaterial | None = None
    certificate_field: CertificateField = ""
