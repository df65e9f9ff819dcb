"""The decision service as values: what a proxy asks about, the rules of paths, and what is told of who may pass.

A proxy holds a request, and asks whether it may pass. Paths are compared as what they name: decoded once, and refused
where an upstream might read them in another way than the rules do.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.expectations import RouteExpectation
from jotgate.core.identity_tokens import IdentityRules
from jotgate.core.operations import DECIDE, Operation
from jotgate.core.principals import Principal
from jotgate.errors import MethodRefused, PolicyDenied, RequestMalformed

DECISIONS: Final = "decisions"
"""The name of the face (`Request.face`) by which such a request is decided; it has no listener of its own."""

DECISION: Final = Operation(DECIDE, b"*", b"/", False)
"""The operation that such a request asks for, whatever its method and path are."""

IDENTITY_FIELDS: Final = (
    "X-Jot-Subject",
    "X-Jot-Client",
    "X-Jot-Tenant",
    "X-Jot-Scopes",
    "X-Jot-Roles",
    "X-Jot-Issuer",
    "X-Jot-Actor",
    "X-Jot-Identity",
)
"""The fields that tell the upstream who calls. Each is in every answer that lets a request pass, empty where it says
nothing, so that a proxy that copies them puts them in the place of what a caller wrote there."""

STATUS_FIELD: Final = "X-Jot-Status"
"""The field that tells a proxy the status which it cannot be answered with."""

# Printable ASCII (RFC 3986 has no other signs in a path); what else stands there, servers read in many ways.
_PATH: Final = re.compile(rb"/[!-~]*")
# So much is a path that all read alike: no escape, no parameter, no segment that is empty or begins with a dot.
_PLAIN: Final = re.compile(rb"/|(?:/(?!\.)[A-Za-z0-9._~!$&'()*+,=:@-]+)+/?")
_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ENCODED_TWICE: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_DANGEROUS: Final = re.compile(r"[/\\\x00-\x1f\x7f]")
# Where some servers take a path to end, although these were encoded.
_ENDS: Final = re.compile(r"[?#;]")
_DOTS: Final = frozenset({".", ".."})
_SAFE: Final = " !\"#$&'()*+,/:;<=>?@[\\]^`{|}~"
_SAFE_IN_LIST: Final = _SAFE.replace(",", "")
_AMBIGUOUS: Final = "the path can be read in more than one way, and which rule is its own cannot be known"


class PathRule(Struct, frozen=True, kw_only=True):
    """One of `[[decisions.paths]]`: what may pass to a path and all below it.

    `hosts` and `methods` say which requests it is about; none: all. Their token needs all of `scopes`, and has to be
    such as `expects`. `public`: no token is looked at. `preflights`: none is of a browser's preflight.
    """

    name: str
    path: str = "/"
    hosts: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset()
    scopes: tuple[str, ...] = (DECIDE,)
    expects: RouteExpectation | None = None
    public: bool = False
    preflights: bool = False


class DecisionRules(Struct, frozen=True, kw_only=True):
    """`[decisions]`: who may ask, and what is answered.

    `proxies` are networks. `public_url` is the URL that callers know the proxy by, for proofs of possession. `identity`
    is what the last of `IDENTITY_FIELDS` says; None: nothing. `grpc` is the address where Envoys ask over gRPC; empty:
    nowhere.
    """

    proxies: tuple[str, ...]
    paths: tuple[PathRule, ...]
    public_url: str = ""
    identity: IdentityRules | None = None
    grpc: str = ""


class Asked(Struct, frozen=True, kw_only=True):
    """What a proxy asks about: the request that it holds, as far as the proxy tells of it.

    `headers` has lower-case names. `address` is the caller's, `certificate` the one that it showed the proxy, in DER.
    `host` is in lower case without a port; empty: not known.
    """

    method: bytes
    path: bytes
    query: bytes
    headers: dict[bytes, bytes]
    address: str
    host: str = ""
    certificate: bytes = b""


class PathRules:
    """The rules, found by path, host and method. The longest path decides, whatever stands above it."""

    def __init__(self, rules: Iterable[PathRule]) -> None:
        found: dict[str, list[PathRule]] = {}
        for rule in rules:
            found.setdefault(rule.path, []).append(rule)
        # Of two for one path that goes before which names the host.
        self._by_path = {path: sorted(some, key=lambda rule: not rule.hosts) for path, some in found.items()}
        self._free = {rule.name: replace(rule, public=True) for some in found.values() for rule in some}
        self._only: Final = self._the_only()
        self._by_host = any(rule.hosts for some in found.values() for rule in some)

    def find(self, asked: Asked) -> PathRule:
        """The rule of a request; of a preflight that may pass without a token, one that is public.

        Raises:
            RequestMalformed: its path can be read in more than one way, or its host decides and is not known.
            PolicyDenied: no rule is about its path and host.
            MethodRefused: those that are about them are not about its method.
        """
        rule = self._only
        if rule is None:
            if self._by_host and not asked.host:
                raise RequestMalformed("the proxy does not say the host of the request that it asks about")
            path = read_path(asked.path)
            rule = self._choose(path, asked)
            cut = _ENDS.split(path, maxsplit=1)[0]
            if cut != path and self._choose(cut, asked) is not rule:
                raise RequestMalformed(_AMBIGUOUS)
        elif not _PATH.fullmatch(asked.path):
            raise RequestMalformed("the path has signs that no path has")
        if rule.preflights and is_preflight(asked):
            return self._free[rule.name]
        return rule

    def _the_only(self) -> PathRule | None:
        """The rule of all requests, if there is one for all: then the path decides nothing."""
        rules = self._by_path.get("/", [])
        if len(self._by_path) == len(rules) == 1 and not rules[0].hosts and not rules[0].methods:
            return rules[0]
        return None

    def _choose(self, path: str, asked: Asked) -> PathRule:
        for place in _places(path):
            rules = [one for one in self._by_path.get(place, ()) if not one.hosts or asked.host in one.hosts]
            if rules:
                return _of_method(rules, asked)
        raise PolicyDenied("", "no path of this gateway's decisions is that of this request")


def read_path(raw: bytes) -> str:
    """What a path names: decoded once, without the parameters of its segments and without a slash at its end.

    Raises:
        RequestMalformed: somebody else might take it for another path.
    """
    if _PLAIN.fullmatch(raw):
        return raw.decode("ascii").rstrip("/") or "/"
    if not _PATH.fullmatch(raw) or _ESCAPE.search(raw):
        raise RequestMalformed("the path has signs that no path has")
    segments = [_read_segment(one) for one in raw[1:].split(b"/")]
    if "" in segments[:-1]:
        raise RequestMalformed(_AMBIGUOUS)
    return "/" + "/".join(segments).rstrip("/")


def is_preflight(asked: Asked) -> bool:
    """Whether this is a browser's question before a request (Fetch standard, CORS-preflight fetch)."""
    headers = asked.headers
    return asked.method == b"OPTIONS" and b"origin" in headers and b"access-control-request-method" in headers


def identity_lines(principal: Principal) -> bytes:
    """The header lines that tell who calls, all of `IDENTITY_FIELDS` but the last.

    Signs that no header field takes, and `%`, are percent-encoded UTF-8; so is a comma in a role.
    """
    told = (
        quote(principal.subject, _SAFE),
        quote(principal.client_id, _SAFE),
        quote(principal.tenant, _SAFE),
        quote(" ".join(sorted(principal.scopes)), _SAFE),
        ",".join(quote(role, _SAFE_IN_LIST) for role in sorted(principal.roles)),
        quote(principal.issuer, _SAFE),
        quote(principal.actors[0].subject, _SAFE) if principal.actors else "",
    )
    return "".join(f"{name}: {value}\r\n" for name, value in zip(IDENTITY_FIELDS, told, strict=False)).encode("ascii")


def _of_method(rules: list[PathRule], asked: Asked) -> PathRule:
    method = asked.method.decode("latin-1")
    for rule in rules:
        if not rule.methods or method in rule.methods or (method == "HEAD" and "GET" in rule.methods):
            return rule
        if rule.preflights and is_preflight(asked):
            return rule
    allowed = ", ".join(sorted(set().union(*(rule.methods for rule in rules))))
    raise MethodRefused(allowed, f"this path takes {allowed} only")


def _places(path: str) -> Iterator[str]:
    """A path and all above it, the longest first."""
    while path != "/":
        yield path
        path = path.rpartition("/")[0] or "/"
    yield path


def _read_segment(raw: bytes) -> str:
    name, _, parameters = raw.partition(b";")
    try:
        segment = unquote_to_bytes(name).decode("utf-8")
        whole = segment + unquote_to_bytes(parameters).decode("utf-8")
    except UnicodeDecodeError:
        raise RequestMalformed(_AMBIGUOUS) from None
    if segment in _DOTS or _DANGEROUS.search(whole) or _ENCODED_TWICE.search(whole):
        raise RequestMalformed(_AMBIGUOUS)
    return segment
