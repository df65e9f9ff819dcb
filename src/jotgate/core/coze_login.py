"""Logging in at Coze: where it is asked, and with what (device grant; authorization code with PKCE, RFC 7636)."""

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import Final
from urllib.parse import SplitResult, parse_qs, urlencode

import msgspec
from msgspec import Struct

from jotgate.core.login_answers import Refused, plain_cause
from jotgate.core.reach import split_url
from jotgate.core.values import Secret
from jotgate.errors import CommandError

TOKEN_PATH: Final = "/api/permission/oauth2/token"
REDIRECT: Final = "http://127.0.0.1:8765/callback"
"""Where a browser comes back to unless it is said otherwise; an app's settings must name it."""
REFRESH_LIFE_S: Final = 30 * 86_400
"""So long a refresh token of Coze lives, as its documentation has it; no answer says so."""
RANDOM_BYTES: Final = 32

_OAUTH: Final = "/api/permission/oauth2"
_DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
# The pages for browsers have hosts of their own; whatever else stands in for Coze has all of it in one place.
_PAGES: Final[Mapping[str, str]] = {"api.coze.com": "www.coze.com", "api.coze.cn": "www.coze.cn"}
_WORKSPACE: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
_LOOPBACK: Final = "127.0.0.1"
_REDIRECT: Final = re.compile(r"http://127\.0\.0\.1:(?P<port>[0-9]{1,5})(?P<path>/[A-Za-z0-9._~/-]{0,200})", re.ASCII)
_PORT_MAX: Final = 65_535


class LoginPlaces(Struct, frozen=True):
    """Where a device login begins, where a browser is sent, and where tokens are got."""

    device_url: str
    browser_url: str
    token_url: str


class Redirect(Struct, frozen=True):
    """Where a browser comes back to on this machine: port (0: any that is free) and path."""

    port: int
    path: str

    def at(self, port: int) -> str:
        """The URI with the port that is listened on."""
        return f"http://{_LOOPBACK}:{port}{self.path}"


class Proof(Struct, frozen=True):
    """What ties an answer to this login: the state that comes back, and the verifier that nobody else has."""

    state: str
    verifier: Secret

    @property
    def challenge(self) -> str:
        """What the verifier is shown as (RFC 7636 s4.2, S256)."""
        return _base64url(sha256(self.verifier.reveal().encode()).digest())


class Code(Struct, frozen=True):
    """The code that a browser has brought."""

    code: Secret


def places_of(token_url: str, workspace: str = "") -> LoginPlaces:
    """Where to log in for tokens of this endpoint, in a workspace if one is given.

    Raises:
        CommandError: it is not Coze's, or the workspace is no number.
    """
    parts = _split(token_url)
    check_workspace(workspace)
    within = f"{_OAUTH}/workspace_id/{workspace}" if workspace else _OAUTH
    host = (parts.hostname or "").lower()
    pages = f"{parts.scheme}://{_PAGES.get(host, parts.netloc)}"
    return LoginPlaces(
        device_url=f"{parts.scheme}://{parts.netloc}{within}/device/code",
        browser_url=f"{pages}{within}/authorize",
        token_url=token_url,
    )


def check_workspace(workspace: str) -> None:
    """Refuse what is neither empty nor a number. Raises CommandError."""
    if workspace and _WORKSPACE.fullmatch(workspace) is None:
        raise CommandError("the workspace is not a number", hint="It is the number behind /space/ in Coze's own pages")


def read_redirect(url: str) -> Redirect:
    """The URI to which a browser is to come back. Raises CommandError: it is not one of this machine."""
    found = _REDIRECT.fullmatch(url)
    if found is None or int(found["port"]) > _PORT_MAX or ".." in found["path"]:
        raise CommandError(
            f"the redirect is not an address of this machine such as {REDIRECT}",
            hint=f"Write http://{_LOOPBACK}:PORT/PATH, as the settings of your OAuth app at Coze have it",
        )
    return Redirect(int(found["port"]), found["path"])


def new_proof(chance: bytes) -> Proof:
    """The state and the verifier of one login, of twice `RANDOM_BYTES` random bytes."""
    return Proof(_base64url(chance[:RANDOM_BYTES]), Secret(_base64url(chance[RANDOM_BYTES : 2 * RANDOM_BYTES])))


def browser_url(places: LoginPlaces, client_id: str, redirect_uri: str, proof: Proof) -> str:
    """Where a browser is sent (RFC 6749 s4.1.1, RFC 7636 s4.3)."""
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "state": proof.state,
        "code_challenge": proof.challenge,
        "code_challenge_method": "S256",
    }
    return f"{places.browser_url}?{urlencode(asked)}"


def read_return(target: str, redirect: Redirect, proof: Proof) -> Code | Refused | None:
    """What a browser brings: a code, or a no. None: this request is not the answer to this login."""
    path, _, query = target.partition("?")
    if path != redirect.path:
        return None
    try:
        found = parse_qs(query, keep_blank_values=True, strict_parsing=True, max_num_fields=16)
    except ValueError:
        return None
    if any(len(values) != 1 for values in found.values()):
        return None  # RFC 6749 s3.1: none stands twice.
    given = {name: value for name, (value,) in found.items()}
    if not compare_digest(given.get("state", "").encode(), proof.state.encode()):
        return None
    if "error" in given:
        return Refused(plain_cause(given["error"]) or "refused", plain_cause(given.get("error_description", "")))
    return Code(Secret(given["code"])) if given.get("code") else None


def device_body(client_id: str) -> bytes:
    """What begins a device login."""
    return _json({"client_id": client_id})


def poll_body(client_id: str, device_code: Secret) -> bytes:
    """What asks whether the user has agreed."""
    return _json({"grant_type": _DEVICE_GRANT, "client_id": client_id, "device_code": device_code.reveal()})


def code_body(client_id: str, redirect_uri: str, code: Secret, proof: Proof) -> bytes:
    """What trades a browser's code for tokens."""
    return _json(
        {
            "grant_type": "authorization_code",
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "code": code.reveal(),
            "code_verifier": proof.verifier.reveal(),
        }
    )


def _split(token_url: str) -> SplitResult:
    try:
        parts = split_url(token_url)
    except ValueError as fault:
        raise CommandError(f"the token_url of this upstream {fault}") from None
    if parts.path != TOKEN_PATH or parts.query:
        raise CommandError(
            f"jotgate knows how to log in at Coze alone, and this upstream's token_url does not end in {TOKEN_PATH}",
            hint='For others, name a refresh token: refresh_token_env = "…" in [upstreams.oauth]',
        )
    return parts


def _json(members: Mapping[str, str]) -> bytes:
    return msgspec.json.encode(members)


def _base64url(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")
