"""What the face of the Kong auth service (preset `kong-auth`) needs to decide and answer, as plain data.

Its users come with access tokens of a Casdoor. Whose tokens for Kong are whose goes by `sub`, which no other user gets;
a user's name, which is what Kong knows them by, can be given to somebody else one day.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.claim_values import is_name
from jotgate.core.issuer_profiles import PROFILES
from jotgate.core.issuers import ClaimMapping, Condition, Issuer
from jotgate.core.principals import read_identity
from jotgate.core.prompt_chain import Pages
from jotgate.errors import ClaimRefused, RequestMalformed

KONG_AUTH: Final = "kong-auth"
"""The name of the preset and of its face."""
CASDOOR: Final = "casdoor"
"""The name of its issuer among those of the settings, and that of its profile."""

LIFETIME_MAX_S: Final = 31_536_000
"""The longest time for which Kong's jwt plugin takes a token, `maximum_expiration`, in the document."""
CLOCK_MARGIN_S: Final = 300
"""A token ends so much before Kong would call its life too long: a clock that is behind ours must not refuse it."""
TOKENS_MAX: Final = 100
"""So many living tokens a user has, unless the settings say otherwise."""
DESCRIPTION_CHARS_MAX: Final = 256

_NAME: Final = re.compile(r"[\w.@+-]{1,128}")
# Kong takes what looks like an id for one, wherever it takes a name.
_UUID: Final = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)
_DOTS: Final = frozenset({".", ".."})
NAME_RULE: Final = "1 to 128 letters, digits, '.', '_', '-', '@' or '+', and no UUID"

OPERATOR: Final = "operator:"
"""What the subject of a consumer begins with that an admin has made, for nobody who logs in."""


class KongAuthRules(Struct, frozen=True, tag="kong-auth"):
    """What variables and settings say of how it answers.

    `organization` is the one of Casdoor whose users are let in. A token is signed with `algorithm` and lives for
    `lifetime_s`. With `key_is_name` a credential's key is the token's name, as in the document; else it is a random id.
    A user has `tokens_max` living tokens. `admin_roles` are the roles that may look at all consumers.
    """

    organization: str = ""
    algorithm: str = "HS256"
    lifetime_s: int = LIFETIME_MAX_S - CLOCK_MARGIN_S
    key_is_name: bool = False
    tokens_max: int = TOKENS_MAX
    admin_roles: tuple[str, ...] = ("admin",)
    pages: Pages = Pages()


class KongUser(Struct, frozen=True, kw_only=True):
    """A user of Casdoor, as a verified access token has them; what it does not say is empty.

    `subject` is the token's `sub`, `name` the name by which Kong knows the user.
    """

    subject: str
    name: str
    display_name: str = ""
    email: str = ""
    phone: str = ""
    avatar: str = ""
    organization: str = ""
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()


def let_in(issuer: Issuer, organization: str) -> Issuer:
    """The issuer as this face trusts it: another organization's users may have the names of ours.

    A user is who `sub` says here, whatever the settings say: Casdoor is asked by it, and it is never given anew.
    """
    return replace(
        issuer,
        mapping=replace(issuer.mapping, subject=ClaimMapping().subject),
        equal=(*issuer.equal, Condition(("owner",), organization, optional=True)),
    )


def read_user(claims: Mapping[str, object]) -> KongUser:
    """The user of a verified access token, whatever format it has.

    A token of the format JWT-Standard has the user's name as `preferred_username`, and in `name` what the user likes to
    be called; the others have it as `name`, beside the `owner`, which is the organization.

    Raises:
        ClaimRefused: it says no name that Kong could have for them.
    """
    name, shown = _text(claims, "preferred_username"), _text(claims, "name")
    if not name and _text(claims, "owner"):
        name, shown = shown, _text(claims, "displayName")
    if not name:
        raise ClaimRefused("name", "missing", "the token does not say by which name the user logs in")
    if fault := name_fault(name):
        raise ClaimRefused("name", "invalid", f"the user's name {fault}")
    return KongUser(
        subject=_text(claims, "sub"),
        name=name,
        display_name=shown,
        email=_text(claims, "email"),
        phone=_text(claims, "phone"),
        avatar=_text(claims, "avatar") or _text(claims, "picture"),
        organization=_text(claims, "owner"),
        roles=tuple(sorted(read_identity(claims, PROFILES[CASDOOR].mapping).roles)),
        permissions=_names(claims.get("permissions")),
    )


def name_fault(name: str) -> str:
    """Why Kong is not told of this name, as the end of a sentence; empty: it is.

    A name stands in paths of Kong's Admin API, where what is no plain name would mean something else.
    """
    if _NAME.fullmatch(name) and name not in _DOTS and not _UUID.fullmatch(name):
        return "" if unicodedata.is_normalized("NFC", name) else "is not written in Unicode's form NFC"
    return f"must be {NAME_RULE}"


def check_token_name(name: str) -> str:
    """A name that a user has chosen for a token. Raises RequestMalformed."""
    if fault := name_fault(name):
        raise RequestMalformed(f"'token_name' {fault}", param="token_name")
    return name


def default_name(user: str, now_s: float, *, auto: bool = False) -> str:
    """The name of a token that has none, of the document: user and second (UTC)."""
    return f"{user}_{'auto_' if auto else ''}token_{datetime.fromtimestamp(now_s, UTC):%Y%m%d_%H%M%S}"


def further_name(name: str, now_s: float, chance: bytes) -> str:
    """Another name for a token whose name is taken, of the document: the time of day (UTC), and eight digits."""
    return f"{name}_{datetime.fromtimestamp(now_s, UTC):%H%M%S}_{chance[:4].hex()}"


def _text(claims: Mapping[str, object], name: str) -> str:
    found = claims.get(name)
    return found if isinstance(found, str) else ""


def _names(found: object) -> tuple[str, ...]:
    """The names in an array of texts or of objects with one; whatever else stands there is passed over."""
    listed = found if isinstance(found, list) else []
    named = [one.get("name") if isinstance(one, dict) else one for one in listed]
    return tuple(sorted({one for one in named if is_name(one)}))
