"""Casdoor on loopback: discovery, keys, tokens in its four formats, introspection, users; well or as badly as told.

`casdoor_told` says what it can be told. `answers` says what stands at a path instead of what belongs there, in the
steps of `testing.upstream`. What it signs and reads goes through `cryptography` alone.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from jotgate.testing.casdoor_told import CasdoorTold
from jotgate.testing.threads import in_thread
from jotgate.testing.upstream import Answer, Received, UpstreamServer, unary

DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
JWKS_PATH: Final = "/.well-known/jwks"
TOKEN_PATH: Final = "/api/login/oauth/access_token"
INTROSPECTION_PATH: Final = "/api/login/oauth/introspect"
USERINFO_PATH: Final = "/api/userinfo"
_PATHS: Final[Mapping[str, str]] = {
    "authorization_endpoint": "/login/oauth/authorize",
    "token_endpoint": TOKEN_PATH,
    "userinfo_endpoint": USERINFO_PATH,
    "device_authorization_endpoint": "/api/device-auth",
    "registration_endpoint": "/api/oauth/register",
    "introspection_endpoint": INTROSPECTION_PATH,
    "end_session_endpoint": "/api/logout",
}
_GRANTS: Final = (
    *("authorization_code", "implicit", "password", "client_credentials", "refresh_token"),
    *("urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:token-exchange"),
)
_Handler = Callable[["_Ask"], Answer]


class _Refused(Exception):
    """A refusal of the OAuth endpoints."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(error)
        self.body = {"error": error, "error_description": description}
        self.status = 401 if error == "invalid_client" else 400


class _Ask:
    """A request as it is read: its query and its form are one."""

    def __init__(self, request: Received) -> None:
        self.method = request.head.split(b" ", 1)[0].decode("ascii")
        self.path, _, query = request.target.partition("?")
        self.values = dict(parse_qsl(query))
        kind = request.headers.get("content-type", "")
        if kind.startswith("application/x-www-form-urlencoded"):
            self.values |= dict(parse_qsl(request.body.decode("utf-8", "replace")))
        elif kind.startswith("application/json"):
            self.values |= _strings(request.body)
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        self.bearer = credential.strip() if scheme.lower() == "bearer" else ""
        self.client = _basic(credential) if scheme.lower() == "basic" else None

    def client_pair(self, name: str = "client_id", secret: str = "client_secret") -> tuple[str, str]:
        """Who says that it asks: the client ID and the secret, by Basic or as these values."""
        return self.client or (self.values.get(name, ""), self.values.get(secret, ""))


class CasdoorServer(CasdoorTold, UpstreamServer):
    """The stand-in; use it with `async with`, or in a thread with `casdoor_in_thread`."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        UpstreamServer.__init__(self, host=host)
        CasdoorTold.__init__(self, lambda: self.origin)
        self.port = port
        self.answers: dict[str, Answer] = {}
        self._handlers: dict[tuple[str, str], _Handler] = {
            ("GET", DISCOVERY_PATH): lambda _: _json(self.metadata()),
            ("GET", f"/.well-known/{self.application}/openid-configuration"): lambda _: _json(self.metadata(app=True)),
            ("GET", JWKS_PATH): lambda _: self._keys(),
            ("GET", f"{JWKS_PATH}.json"): lambda _: self._keys(),
            ("GET", f"/.well-known/{self.application}/jwks"): lambda _: self._keys(app=True),
            ("POST", TOKEN_PATH): self._token,
            ("POST", "/api/login/oauth/refresh_token"): self._token,
            ("POST", INTROSPECTION_PATH): self._introspection,
            ("GET", USERINFO_PATH): self._userinfo,
            ("GET", "/api/get-account"): self._account,
            ("GET", "/api/get-user"): self._user,
        }

    def count(self, path: str) -> int:
        """How often this path was asked for, whatever its query was."""
        return sum(1 for request in tuple(self.requests) if request.target.partition("?")[0] == path)

    def metadata(self, *, app: bool = False) -> dict[str, Any]:
        """The discovery document; `app`: the one of the application, whose keys stand elsewhere."""
        jwks_path = f"/.well-known/{self.application}/jwks" if app else JWKS_PATH
        return {
            "issuer": self.issuer,
            **{name: self.issuer + path for name, path in _PATHS.items()},
            "jwks_uri": self.issuer + jwks_path,
            "response_types_supported": ["code", "token", "id_token"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "grant_types_supported": list(_GRANTS),
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "RS512", "ES256", "ES384", "ES512"],
            "scopes_supported": ["openid", "email", "profile", "address", "phone", "offline_access"],
            "code_challenge_methods_supported": ["S256"],
        }

    def asked(self, request: Received) -> Answer:
        super().asked(request)
        ask = _Ask(request)
        scripted = self.answers.get(ask.path)
        if scripted is not None:
            return scripted
        handler = self._handlers.get((ask.method, ask.path))
        if handler is None:
            known = any(path == ask.path for _, path in self._handlers)
            return unary(b"Method Not Allowed" if known else b"Not Found", 405 if known else 404)
        try:
            return handler(ask)
        except _Refused as refusal:
            return _json(refusal.body, refusal.status)

    def _keys(self, *, app: bool = False) -> Answer:
        certs = [self.certs[self.signing]] if app else list(self.certs.values())
        return _json({"keys": [cert.jwk for cert in certs]})

    # OAuth

    def _client(self, ask: _Ask) -> None:
        client_id, secret = ask.client_pair()
        if client_id != self.client_id:
            raise _Refused("invalid_client", "client_id is invalid")
        if secret != self.client_secret:
            raise _Refused("invalid_client", "client_secret is invalid")

    def _token(self, ask: _Ask) -> Answer:
        grants = {"password": self._password, "refresh_token": self._refresh, "client_credentials": self._machine}
        grant = ask.values.get("grant_type", "")
        if ask.client_pair()[0] != self.client_id:
            raise _Refused("invalid_client", "client_id is invalid")
        if grant not in grants:
            told = f"grant_type: {grant} is not supported in this application"
            raise _Refused("unsupported_grant_type", told)
        self._client(ask)
        return _json(grants[grant](ask))

    def _password(self, ask: _Ask) -> dict[str, Any]:
        name = ask.values.get("username", "")
        user = next((key for key, one in self.users.items() if name in (one.name, key)), "")
        if not user or self.users[user].is_deleted:
            raise _Refused("invalid_grant", "the user does not exist")
        if self.users[user].is_forbidden:
            raise _Refused("invalid_grant", "the user is forbidden to sign in, please contact the administrator")
        if not self.users[user].password or ask.values.get("password") != self.users[user].password:
            raise _Refused("invalid_grant", "invalid username or password")
        return self.tokens(user, ask.values.get("scope", ""))

    def _refresh(self, ask: _Ask) -> dict[str, Any]:
        found = self.read(ask.values.get("refresh_token", ""))
        if found is None or found[0] != "refresh-token":
            raise _Refused("invalid_grant", "refresh token is invalid, expired or revoked")
        user = next((key for key, one in self.users.items() if one.subject == found[1]["sub"]), "")
        if not user or self.users[user].is_deleted or self.users[user].is_forbidden:
            raise _Refused("invalid_grant", "the user is forbidden to sign in, please contact the administrator")
        self.revoked.add(ask.values["refresh_token"])
        return self.tokens(user, found[1]["scope"])

    def _machine(self, _: _Ask) -> dict[str, Any]:
        """The application acts for itself: its user is called as it is, and is nobody's."""
        token = self.mint(
            "sharif/admin", "access-token", "JWT-Empty", owner="admin", name=self.application, sub="admin/app-kong"
        )
        return {"access_token": token, "token_type": "Bearer", "expires_in": self.life_s, "scope": ""}

    def _introspection(self, ask: _Ask) -> Answer:
        self._client(ask)
        found = self.read(ask.values.get("token", ""))
        if found is None:
            return _json({"active": False})
        _, claims = found
        named = ("scope", "exp", "iat", "nbf", "sub", "aud", "iss", "jti")
        return _json(
            {
                "active": True,
                "client_id": self.client_id,
                "username": claims.get("preferred_username") or claims.get("name", ""),
                "token_type": "Bearer",
                **{name: claims[name] for name in named if name in claims},
            }
        )

    # Users

    def _holder(self, ask: _Ask) -> str | None:
        """The user whose access token it is, as `owner/name`."""
        found = self.read(ask.bearer or ask.values.get("accessToken", ""))
        if found is None or found[0] != "access-token":
            return None
        return next((key for key, one in self.users.items() if one.subject == found[1].get("sub")), None)

    def _userinfo(self, ask: _Ask) -> Answer:
        holder = self._holder(ask)
        if holder is None:
            return _json({"error": "invalid_token"}, 401)
        user = self.users[holder]
        return _json(
            {
                "sub": user.subject,
                "iss": self.issuer,
                "aud": self.client_id,
                "preferred_username": user.name,
                "name": user.display_name or user.name,
                "email": user.email,
                "groups": list(user.groups),
                "roles": list(user.roles),
                "permissions": list(user.permissions),
            }
        )

    def _account(self, ask: _Ask) -> Answer:
        holder = self._holder(ask)
        if holder is None:
            return _told_no("Please login first")
        user = self.users[holder]
        return _told(user.whole, sub=user.subject, name=user.name, data2={"owner": "admin", "name": user.owner})

    def _user(self, ask: _Ask) -> Answer:
        """A client of the application may ask for anybody, a user for themselves, an admin for all."""
        if ask.bearer and (refused := self._filtered(ask.bearer)):
            return _told_no(refused, 403)
        holder = self._holder(ask)
        known = ask.client_pair("clientId", "clientSecret") == (self.client_id, self.client_secret)
        wanted, owner, subject = (ask.values.get(name, "") for name in ("id", "owner", "userId"))
        by_id = (one for one in self.users.values() if one.subject == subject and owner in ("", one.owner))
        user = next(by_id, None) if subject else self.users.get(wanted)
        if user is None and subject and owner:
            return _told(None)
        asker = self.users[holder] if holder is not None else None
        if not known and (asker is None or (asker != user and not asker.is_admin)):
            return _told_no("Unauthorized operation")
        if user is None:
            return _told_no(f"The user: {wanted or subject} doesn't exist")
        unseen = self.hides_standing and asker is not None and not asker.is_admin
        return _told({**user.whole, "isForbidden": False, "isDeleted": False} if unseen else user.whole)

    def _filtered(self, token: str) -> str:
        """Why Casdoor's filters refuse an access token before its API looks at the request; empty: they do not."""
        minted = self.minted.get(token)
        if minted is None or token in self.revoked:
            return "Access token doesn't exist in database"
        if minted[1].get("exp", 0) <= self.now_s():
            return "Access token has expired"
        user = next((one for one in self.users.values() if one.subject == minted[1].get("sub")), None)
        if self.watches_users and (user is None or user.is_forbidden or user.is_deleted):
            return "The user is forbidden to sign in, please contact the administrator"
        return "Unauthorized operation" if user is not None and user.is_deleted else ""


def _told(record: object, *, sub: str = "", name: str = "", data2: object = None) -> Answer:
    return _json({"status": "ok", "msg": "", "sub": sub, "name": name, "data": record, "data2": data2})


def _told_no(message: str, status: int = 200) -> Answer:
    return _json({"status": "error", "msg": message, "sub": "", "name": "", "data": None, "data2": None}, status)


def _json(members: object, status: int = 200) -> Answer:
    return unary(msgspec.json.encode(members), status)


def _strings(body: bytes) -> dict[str, str]:
    try:
        told = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}
    return {name: value for name, value in told.items() if isinstance(value, str)}


def _basic(credential: str) -> tuple[str, str]:
    try:
        name, _, secret = base64.b64decode(credential, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, secret


def casdoor_in_thread(*, host: str = "127.0.0.1", port: int = 0) -> AbstractContextManager[CasdoorServer]:
    """The same stand-in with a loop and a thread of its own, for tests that have no loop.

    An outage is `server.do(server.refuse())` and `server.do(server.hang_up())`, its end `server.do(server.accept())`.
    """
    return in_thread(CasdoorServer(host=host, port=port))
