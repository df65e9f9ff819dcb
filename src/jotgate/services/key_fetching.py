"""One fetch of an issuer's keys: its discovery document where there is one, then its JWK Set.

What comes of it is the issuer's word and nothing else: a set that is none, or has no key that could be used, is a fetch
that failed, and takes nothing out of use. What is wrong is said in words for the operator.
"""

from typing import Final

from msgspec import Struct

from jotgate.core.issuers import KeySource
from jotgate.core.key_fetches import Failed, Get, Got
from jotgate.core.reach import PUBLIC_WAY, Way
from jotgate.errors import JotgateError
from jotgate.jose.encoding import parse_object
from jotgate.jose.keys import KeySet
from jotgate.ports import Clock, KeyFetch

_WELL_KNOWN: Final = "/.well-known/openid-configuration"
_METADATA_S: Final = 3_600.0
_BYTE_ORDER_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


class Metadata(Struct, frozen=True):
    """What a discovery document said, how it was come by, and when (monotonic)."""

    jwks_uri: str
    way: Way
    read_s: float


class KeptKeys(Struct, frozen=True):
    """A JWK Set, the IDs of its keys, where it was found, and its validators there."""

    jwks: bytes
    kids: tuple[str, ...]
    location: str
    etag: str = ""
    modified: str = ""


class Known(Struct, frozen=True):
    """What earlier fetches brought."""

    keys: KeptKeys | None = None
    metadata: Metadata | None = None


class Found(Struct, frozen=True):
    """What a fetch brought: all that is known now, and for how long the issuer calls it fresh."""

    keys: KeptKeys
    metadata: Metadata | None
    max_age_s: float | None


class KeyFetching:
    """Fetches for one source, within its `timeout_s` in all. Immutable."""

    def __init__(self, source: KeySource, fetch: KeyFetch, clock: Clock) -> None:
        self._source = source
        self._fetch = fetch
        self._clock = clock
        self._end_s = clock.monotonic_s() + source.timeout_s

    async def run(self, known: Known, *, thorough: bool) -> Found | Failed:
        """Fetch. `thorough`: for a key that is not known, so that the discovery document is read again as well."""
        if self._source.kind != "discovery":
            return await self._read_keys(self._source.location, None, known)
        metadata, now_s = known.metadata, self._clock.monotonic_s()
        outdated = metadata is None or thorough or now_s - metadata.read_s >= _METADATA_S
        if outdated:
            read = await self._read_metadata()
            if isinstance(read, Metadata):
                metadata = read
            elif metadata is None:
                return read
        assert metadata is not None, "it was known, or has been read"
        found = await self._read_keys(metadata.jwks_uri, metadata, known)
        if isinstance(found, Found) or outdated:
            return found
        again = await self._read_metadata()
        if isinstance(again, Failed) or again.jwks_uri == metadata.jwks_uri:
            return found
        return await self._read_keys(again.jwks_uri, again, known)

    async def _read_metadata(self) -> Metadata | Failed:
        # OpenID Connect Discovery 1.0 s4.1: behind the issuer's path, less a slash that ends it.
        location = self._source.location.removesuffix("/") + _WELL_KNOWN
        got = await self._fetch.get(Get(location, self._left_s, led_by=self._first_way, roots=self._source.roots))
        if isinstance(got, Failed):
            return got
        if not isinstance(got, Got):
            return Failed(f"'{location}' answered that nothing has changed, which nobody asked")
        read = _read_metadata(got.body, self._source.issuer)
        if isinstance(read, Failed):
            return Failed(f"the discovery document '{location}' {read.reason}")
        return Metadata(read, got.way, self._clock.monotonic_s())

    async def _read_keys(self, location: str, metadata: Metadata | None, known: Known) -> Found | Failed:
        kept = known.keys if known.keys is not None and known.keys.location == location else None
        got = await self._fetch.get(
            Get(
                location,
                self._left_s,
                etag="" if kept is None else kept.etag,
                modified="" if kept is None else kept.modified,
                led_by=self._first_way if metadata is None else metadata.way,
                roots=self._source.roots,
            )
        )
        if isinstance(got, Failed):
            return got
        if isinstance(got, Got):
            kids = read_kids(got.body, self._source.algorithms)
            if isinstance(kids, Failed):
                return Failed(f"the JWK Set '{location}' {kids.reason}")
            return Found(KeptKeys(got.body, kids, location, got.etag, got.modified), metadata, got.max_age_s)
        if kept is None:
            return Failed(f"'{location}' answered that nothing has changed, which nobody asked")
        return Found(kept, metadata, got.max_age_s)

    @property
    def _first_way(self) -> Way | None:
        """What the location is taken to have been led to by: the operator, or, if it is not trusted so far, the web."""
        return PUBLIC_WAY if self._source.public_only else None

    @property
    def _left_s(self) -> float:
        return max(0.0, self._end_s - self._clock.monotonic_s())


def read_kids(body: bytes, algorithms: tuple[str, ...] = ()) -> tuple[str, ...] | Failed:
    """The IDs of the keys in a JWK Set that can be used, for one of `algorithms` if any are given."""
    if fault := _no_object(body):
        return Failed(fault)
    try:
        keys = KeySet.from_jwks(body, algorithms)
    except JotgateError as error:
        return Failed(f"is not used: {error.message}")
    kids = tuple(key.kid for key in keys.keys if not algorithms or key.algorithm.name in algorithms)
    if kids:
        return kids
    why = "; ".join(f"key {one.index}: {one.reason}" for one in keys.skipped[:3])
    wanted = f" for {', '.join(algorithms)}" if algorithms else ""
    return Failed(f"has no key that can be used{wanted}" + (f" ({why})" if why else ""))


def _read_metadata(body: bytes, issuer: str) -> str | Failed:
    """The `jwks_uri` of a discovery document that is this issuer's (OpenID Connect Discovery 1.0 s4.3)."""
    if fault := _no_object(body):
        return Failed(fault)
    try:
        members = parse_object(body, "discovery document")
    except JotgateError as error:
        return Failed(f"is not used: {error.message}")
    stated, jwks_uri = members.get("issuer"), members.get("jwks_uri")
    if stated != issuer:
        shown = f"'{stated[:200]}'" if isinstance(stated, str) else "none"
        return Failed(f"states the issuer {shown}, and it must be '{issuer}', character for character")
    if not isinstance(jwks_uri, str) or not jwks_uri:
        return Failed("names no 'jwks_uri'")
    return jwks_uri


def _no_object(body: bytes) -> str:
    """What is there instead of a JSON object, if that is plain to see."""
    if body.startswith(_BYTE_ORDER_MARKS):
        return "begins with a byte order mark, which JSON does not have (RFC 8259 s8.1)"
    begin = body.lstrip(b" \t\r\n")[:1]
    if begin == b"<":
        return "is a page in HTML or XML, and not JSON; perhaps of a login, a proxy or an error"
    if begin == b"[":
        return "is a JSON array, and must be an object"
    return "" if begin else "is empty"
