"""What is demanded of the tokens of one issuer, and where in them it stands whom they speak for.

Plain data: part of the snapshot, compiled by control from the settings, the store and the keys that it fetched.
"""

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

from jotgate.core.values import Secret

ACCESS_TOKEN_CLAIMS: Final = ("aud", "client_id", "exp", "iat", "iss", "jti", "sub")
"""RFC 9068 s2.2."""

OURS: Final = "jotgate"
"""The name of this installation among the issuers; no other may have it."""

Path = tuple[str, ...]
"""The names of members on the way from the claims set to a value; one name is a claim itself."""


class ClaimMapping(Struct, frozen=True):
    """Where the claims of an issuer's tokens say what jotgate wants to know; an empty path: nowhere.

    Each of `subject` is a path to a text; several are joined by a slash. `scopes` leads to a text with spaces or an
    array of texts, `models` and `roles` to an array of texts or of objects, whose member `name` counts; a text is one
    role.
    """

    subject: tuple[Path, ...] = (("sub",),)
    client: Path = ("client_id",)
    tenant: Path = ()
    scopes: Path = ("scope",)
    models: Path = ("models",)
    roles: Path = ()


class Condition(Struct, frozen=True):
    """What a claim must be: of the same type and equal. `optional`: the claim may also be absent, or null."""

    path: Path
    value: str | bool | int
    optional: bool = False


class SharedSecret(Struct, frozen=True):
    """One secret that the issuer's tokens are signed with (RFC 7518 s3.2): the UTF-8 bytes of its text are the key.

    `kid` empty: tokens name no key. It verifies no more from `ends_at_s` on (NumericDate); None: for good.
    """

    secret: Secret
    algorithm: str
    kid: str = ""
    ends_at_s: int | None = None


class QuotaClaim(Struct, frozen=True):
    """A claim that says how many requests a token is good for: an upper bound, counted for each token.

    `absent` is what a token without it is good for. `daily` is how many requests its subject has in a day (UTC), over
    all its tokens, unless another limit of them is set: whoever signs the tokens signs as many as they like.
    """

    name: str
    absent: int
    daily: int


class KeySource(Struct, frozen=True, kw_only=True):
    """Where the keys of a remote issuer come from, and how often they may be asked for. Times are seconds.

    `location` is the issuer's URL (OpenID Connect Discovery 1.0 s4), the URL of its JWK Set, or the path of a file
    with one; `issuer` is the `iss` that a discovery document must state. Keys are fetched anew every `refresh_s`, and
    for an unknown key at most once in `cooldown_s` and `per_minute` times a minute; they are used until `stale_max_s`
    after the last fetch that succeeded. A set without a key of one of `algorithms`, if any are given, is none. `roots`
    are certificates in PEM; empty: the machine's. `public_only`: nothing is asked but public addresses, over https.
    """

    name: str
    kind: Literal["discovery", "url", "file"]
    location: str
    issuer: str = ""
    algorithms: tuple[str, ...] = ()
    refresh_s: float = 300.0
    cooldown_s: float = 30.0
    per_minute: int = 10
    timeout_s: float = 5.0
    stale_max_s: float = 86_400.0
    roots: str = ""
    public_only: bool = False


class Issuer(Struct, frozen=True, kw_only=True):
    """What jotgate demands of the tokens of one issuer.

    `name` is jotgate's word for it, `issuer` the `iss` of its tokens; empty: they carry none. One of `audiences` must
    be in `aud`; with none of them, tokens carry no `aud`. `types` are the values of `typ` that are taken; an empty one
    stands for a token without `typ`. `jwks` is the JWK Set (RFC 7517 s5) as JSON; None: there is none yet, and tokens
    cannot be checked. `key_ends` says from when (NumericDate) a key of that set verifies no more, by `kid`.
    `remote`: a key that is not in the set may be one that the issuer has published since. `leeway_s` is 0 to 60.
    `lifetime_max_s` bounds `exp` - `iat`; a token without `exp` is taken only if that is not `required`. `equal`
    are conditions on claims. `default_scopes` are those of a token that says nothing of scopes. `logout_audiences` are
    as whom it knows this gateway, one of which must be in the `aud` of a logout token; none: no logout is taken from
    it. `readable` False: what is demanded could not be read, so that none of its tokens can be judged. `quota` is the
    claim that limits its tokens; None: none does. `installation` is the `iss` of this installation where it makes these
    tokens too, in the form of a face: as its own they are revoked, by the family and client that their `jti` names.
    `status_lists`: what its tokens name in status lists is looked up. `renewed_by` is the `iss` of this installation
    where a face renews its tokens: those that it made name a family, and are met by its own names for them too.
    """

    name: str
    issuer: str
    audiences: tuple[str, ...]
    algorithms: tuple[str, ...]
    types: tuple[str, ...]
    jwks: bytes | None
    key_ends: Mapping[str, int] = {}
    secrets: tuple[SharedSecret, ...] = ()
    remote: bool = False
    required: tuple[str, ...] = ACCESS_TOKEN_CLAIMS
    equal: tuple[Condition, ...] = ()
    leeway_s: int = 5
    lifetime_max_s: int = 31_536_000
    default_scopes: tuple[str, ...] = ()
    mapping: ClaimMapping = ClaimMapping()
    logout_audiences: tuple[str, ...] = ()
    readable: bool = True
    quota: QuotaClaim | None = None
    installation: str = ""
    status_lists: bool = False
    renewed_by: str = ""
