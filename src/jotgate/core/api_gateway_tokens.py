"""The tokens of the API gateway's face: the document's eight claims, and a `jti` that says what a token came of."""

import re
from typing import Final

from jotgate.core.claims import AccessGrant, TokenForm

ISSUER: Final = "api-gateway"
AUDIENCE: Final = "openai-api"
TOKEN_TYPE: Final = "JWT"
_NAME: Final = re.compile(r"[0-9a-f]{32}:([0-9a-f]{32}):([A-Za-z0-9][A-Za-z0-9,_~-]{0,127})", re.ASCII)


def name_token(octets: bytes, grant: AccessGrant) -> str:
    """A `jti` of 16 random octets: they, the refresh-token family, and the client that it was begun by.

    The payload has claims for neither, and by each a token can be revoked. Dots become commas, which stand in no
    client's name: a text with two dots would be taken for a token where its identifier is asked for.
    """
    return f"{octets.hex()}:{grant.family}:{grant.client_id.replace('.', ',')}"


def read_name(name: str | None) -> tuple[str, str]:
    """The family and the client in a `jti`; both are empty in one that was not made here."""
    found = None if name is None else _NAME.fullmatch(name)
    return ("", "") if found is None else (found[1], found[2].replace(",", "."))


def login_claims(grant: AccessGrant, _issuer: str, token_id: str, now_s: float) -> dict[str, object]:
    """The claims of a login's token, in the document's order; what is not known of a person has no claim."""
    login = grant.login
    known = {} if login is None else {"name": login.name, "email": login.email}
    return {
        "sub": grant.subject,
        **{name: text for name, text in known.items() if text is not None},
        "roles": list(grant.roles),
        "iat": int(now_s),
        "exp": grant.expires_at_s(now_s),
        "iss": ISSUER,
        "aud": AUDIENCE,
        "jti": token_id,
    }


LOGIN_TOKEN: Final = TokenForm(TOKEN_TYPE, name_token, login_claims)
"""How the tokens of this face look."""
