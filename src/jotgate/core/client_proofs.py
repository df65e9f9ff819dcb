"""How a request says which client it is of, and what it proves that with (RFC 6749 s2.3, RFC 7521 s4.2).

A request does so in one way; nothing here is checked but its form.
"""

import binascii
from typing import Final

from msgspec import Struct

from jotgate.core.accounts import ClientAuthentication
from jotgate.core.oauth_form import Form, decode
from jotgate.core.values import Secret
from jotgate.errors import ClientRefused, OAuthMalformed, TokenError
from jotgate.jose import jwt
from jotgate.jose.algorithms import READABLE

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""RFC 7523 s2.2."""

ASSERTION_ALGORITHMS: Final = tuple(name for name, row in READABLE.items() if row.kty != "oct")
"""What a client may sign its assertions with: never `none`, and never a secret that we hold too."""

CLIENT_ID_CHARS_MAX: Final = 256


class ClientProof(Struct, frozen=True):
    """What a request shows of its client. `secret` or `assertion` is what it proves itself with, if with any."""

    method: ClientAuthentication
    client_id: str
    secret: Secret = Secret("")
    assertion: Secret = Secret("")


def read_proof(form: Form, authorization: tuple[str, ...]) -> ClientProof:
    """The one way in which a request authenticates its client; `authorization` are the fields of that name.

    Raises:
        OAuthMalformed: it does so in two ways, or says of two clients.
        ClientRefused: it names no client, or what it shows is not of its form.
    """
    secret, assertion = form.one("client_secret"), form.one("client_assertion")
    assertion_type, named = form.one("client_assertion_type"), form.one("client_id")
    ways = (*authorization, *filter(None, (secret, assertion or assertion_type)))
    if len(ways) > 1:
        raise OAuthMalformed("the client authenticates in two ways at once", hint="Send one proof, in one place")
    if authorization:
        return _known(_read_basic(authorization[0]), named)
    if secret:
        return _known(ClientProof("client_secret_post", named, Secret(secret)), named)
    if assertion or assertion_type:
        if assertion_type != ASSERTION_TYPE or not assertion:
            raise OAuthMalformed("client_assertion and client_assertion_type do not make an assertion that is a JWT")
        return _known(ClientProof("private_key_jwt", _subject(assertion), assertion=Secret(assertion)), named)
    return _known(ClientProof("none", named), named)


def _known(proof: ClientProof, named: str) -> ClientProof:
    if not proof.client_id or len(proof.client_id) > CLIENT_ID_CHARS_MAX or not proof.client_id.isprintable():
        raise ClientRefused("the request names no client")
    if named and named != proof.client_id:
        raise OAuthMalformed("the parameter 'client_id' is another client than the one that authenticates")
    return proof


def _read_basic(value: str) -> ClientProof:
    """RFC 7617 s2, with both parts escaped as in a form (RFC 6749 s2.3.1)."""
    scheme, _, credentials = value.partition(" ")
    if scheme.lower() != "basic":
        raise ClientRefused("clients authenticate with HTTP Basic, or in the form; no other scheme is taken here")
    try:
        pair = binascii.a2b_base64(credentials.strip(" ").encode("ascii"), strict_mode=True)
        name, colon, secret = pair.partition(b":")
        if not colon:
            raise ClientRefused("the credentials of HTTP Basic are not a name, a colon and a secret")
        return ClientProof("client_secret_basic", decode(name), Secret(decode(secret)))
    except (binascii.Error, UnicodeEncodeError, OAuthMalformed):
        raise ClientRefused(
            "the credentials of HTTP Basic are not two escaped texts in base64",
            hint="Escape client_id and secret as in a form, join them with a colon, and encode that in base64",
        ) from None


def _subject(assertion: str) -> str:
    """The client that an assertion says it is of, which nothing vouches for yet."""
    try:
        subject = jwt.peek_unverified(assertion.encode())[1].get("sub")
    except TokenError as error:
        raise ClientRefused(f"the client assertion is refused: {error.message}") from None
    return subject if isinstance(subject, str) else ""
