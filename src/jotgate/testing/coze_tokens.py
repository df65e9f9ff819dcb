"""The token endpoint of Coze's stand-in: JWTs, device codes, codes (PKCE) and refresh tokens become access tokens."""

import base64
import hmac
import secrets
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from jotgate.testing.coze_app import CozeApp, OAuthRefused
from jotgate.testing.coze_told import ACCOUNT_ID, APP_ID, APP_SECRET, ENTERPRISE_ID, CozeTold
from jotgate.testing.coze_values import Exchange, Kind
from jotgate.testing.coze_wire import Ask, Refused, to_json
from jotgate.testing.upstream import Answer, unary

JWT_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
BASE: Final = "/api/permission/oauth2"
_NAMES: Final = {JWT_GRANT: "jwt", DEVICE_GRANT: "device", "authorization_code": "code", "refresh_token": "refresh"}
_DURATION_S: Final = 900
_DURATION_MAX_S: Final = 86_399
_REFRESH_S: Final = 30 * 86_400
_CODE_S: Final = 300
_INTERVAL_MAX_S: Final = 30
_INTERVAL_STEP_S: Final = 5


class Holder(Struct, frozen=True):
    """Whom a token speaks for: `bots` None is all of them. `token` itself is kept for its end."""

    token: str
    kind: Kind
    session: str
    expires_s: float
    bots: frozenset[str] | None = None


class _Attribute(Struct, frozen=True):
    bot_id_list: list[str] = []


class _Constraint(Struct, frozen=True):
    connector_bot_chat_attribute: _Attribute | None = None


class _Scope(Struct, frozen=True):
    attribute_constraint: _Constraint | None = None


class _Body(Struct, frozen=True):
    grant_type: str = ""
    duration_seconds: int = _DURATION_S
    scope: msgspec.Raw = msgspec.Raw(b"")
    client_id: str = ""
    device_code: str = ""
    code: str = ""
    code_verifier: str = ""
    redirect_uri: str = ""
    refresh_token: str = ""


class _Device(Struct, frozen=True):
    """A device code. `state` is "pending", "approved" or "denied"; `asked_s` the last poll."""

    user_code: str
    expires_s: float
    interval_s: int
    state: str = "pending"
    asked_s: float = 0.0


class _Code(Struct, frozen=True):
    redirect_uri: str
    challenge: str
    method: str
    expires_s: float


class TokenDesk:
    """Gives tokens and knows them again."""

    def __init__(self, told: CozeTold, app: CozeApp) -> None:
        self._told = told
        self._app = app
        self._held: dict[str, Holder] = {}
        self._devices: dict[str, _Device] = {}
        self._codes: dict[str, _Code] = {}
        self._refresh: dict[str, float] = {}
        self._grants: Mapping[str, Callable[[Ask, _Body], bytes]] = {
            JWT_GRANT: self._by_jwt,
            DEVICE_GRANT: self._by_device,
            "authorization_code": self._by_code,
            "refresh_token": self._by_refresh,
        }

    # What the paths of OAuth answer

    def answer(self, ask: Ask) -> Answer:
        """Whatever is asked below `/api/permission/oauth2`. Raises Refused for a path that is none."""
        try:
            if ask.path == f"{BASE}/authorize" or ask.base_path == f"{BASE}/workspace_id/{{}}/authorize":
                return self._authorize(ask)
            if ask.path == f"{BASE}/device/code" or ask.base_path == f"{BASE}/workspace_id/{{}}/device/code":
                return self._device_code(ask)
            if ask.method == "POST" and ask.path.endswith("/token"):
                return self._token(ask)
        except OAuthRefused as refused:
            return _oauth_refusal(refused)
        raise Refused(4000, status=404)

    def refused(self, error: OAuthRefused, ask: Ask) -> Answer:
        """Refuse an exchange without looking at it."""
        self._note(ask, ask.body(_Body), error.error)
        return _oauth_refusal(error)

    def _token(self, ask: Ask) -> Answer:
        try:
            body = ask.body(_Body)
        except Refused as error:
            raise OAuthRefused("invalid_request", "invalid request: body") from error
        try:
            token = self._grant_of(ask, body)
        except OAuthRefused as refused:
            self._note(ask, body, refused.error)
            raise
        self._note(ask, body, "")
        return unary(token)

    def _grant_of(self, ask: Ask, body: _Body) -> bytes:
        grant = self._grants.get(body.grant_type)
        if grant is None:
            raise OAuthRefused("unsupported_grant_type", f"not supported grant type: {body.grant_type}")
        if self._told.deactivated:
            raise OAuthRefused("access_deny", "app: stand-in is currently deactivated by the owner")
        return grant(ask, body)

    def _note(self, ask: Ask, body: _Body, error: str) -> None:
        is_jwt = body.grant_type == JWT_GRANT
        claimed = self._app.claimed(ask.bearer if is_jwt else "")
        self._told.exchanges.append(
            Exchange(
                grant=_NAMES.get(body.grant_type, body.grant_type),
                session=claimed.session_name,
                key_id=self._app.key_id_of(ask.bearer) if is_jwt else "",
                error=error,
                target=ask.path,
                duration_s=body.duration_seconds,
                scope="" if _is_empty(body.scope) else bytes(body.scope).decode("utf-8"),
                context=bytes(claimed.session_context).decode("utf-8"),
            )
        )

    # The grants

    def _by_jwt(self, ask: Ask, body: _Body) -> bytes:
        where = ask.path.removeprefix(BASE)
        if where not in ("/token", f"/account/{ACCOUNT_ID}/token", f"/enterprise_id/{ENTERPRISE_ID}/token"):
            raise OAuthRefused("invalid_request", "invalid request: account_id")
        if not 0 < body.duration_seconds <= _DURATION_MAX_S:
            raise OAuthRefused("invalid_request", "invalid request: duration_seconds")
        bots = _bots(body.scope)
        claims = self._app.verified(ask.bearer)
        life_s = body.duration_seconds if self._told.life_s is None else self._told.life_s
        token = f"czs_{secrets.token_urlsafe(32)}"
        self._held[token] = Holder(token, "jwt", claims.session_name, self._told.now_s() + life_s, bots)
        return to_json({"access_token": token, "expires_in": self._expiry(life_s), "token_type": "Bearer"})

    def _by_device(self, _ask: Ask, body: _Body) -> bytes:
        self._check_client(body)
        device = self._devices.get(body.device_code)
        if device is None:
            raise OAuthRefused("invalid_request", "invalid request: device_code")
        now_s = self._told.now_s()
        early = now_s < device.asked_s + device.interval_s
        interval_s = min(device.interval_s + _INTERVAL_STEP_S, _INTERVAL_MAX_S) if early else device.interval_s
        self._devices[body.device_code] = msgspec.structs.replace(device, asked_s=now_s, interval_s=interval_s)
        if now_s >= device.expires_s:
            raise OAuthRefused("expired_token", "the device code has expired")
        if device.state == "denied":
            raise OAuthRefused("access_denied", "the user said no")
        if early:
            raise OAuthRefused("slow_down", "polls come too fast")
        if device.state == "pending":
            raise OAuthRefused("authorization_pending", "the user has not agreed yet")
        del self._devices[body.device_code]
        return self._user_tokens()

    def _by_code(self, ask: Ask, body: _Body) -> bytes:
        self._check_client(body)
        code = self._codes.pop(body.code, None)
        if code is None or self._told.now_s() >= code.expires_s or code.redirect_uri != body.redirect_uri:
            raise OAuthRefused("invalid_request", "invalid request: code")
        if not code.challenge:
            if not hmac.compare_digest(ask.bearer, APP_SECRET):
                raise OAuthRefused("invalid_client", "invalid client secret", 401)
        elif _challenge(body.code_verifier, code.method) != code.challenge:
            raise OAuthRefused("invalid_request", "invalid request: code_verifier")
        return self._user_tokens()

    def _by_refresh(self, _ask: Ask, body: _Body) -> bytes:
        self._check_client(body)
        expires_s = self._refresh.pop(body.refresh_token, 0.0)
        if self._told.now_s() >= expires_s:
            raise OAuthRefused("invalid_request", "invalid request: refresh_token")
        return self._user_tokens()

    def _check_client(self, body: _Body) -> None:
        if body.client_id != APP_ID:
            raise OAuthRefused("invalid_client", "invalid client id", 401)

    def _user_tokens(self) -> bytes:
        life_s = _DURATION_S if self._told.life_s is None else self._told.life_s
        token, refresh = f"czu_{secrets.token_urlsafe(32)}", secrets.token_urlsafe(32)
        self._held[token] = Holder(token, "user", "", self._told.now_s() + life_s)
        self._refresh[refresh] = self._told.now_s() + _REFRESH_S
        members = {"access_token": token, "expires_in": self._expiry(life_s), "refresh_token": refresh}
        return to_json({**members, "token_type": "Bearer"})

    def _expiry(self, life_s: int) -> int:
        return life_s if self._told.relative_expiry else int(self._told.now_s()) + life_s

    # Users in a browser

    def _device_code(self, ask: Ask) -> Answer:
        self._check_client(ask.body(_Body))
        letters = secrets.token_hex(4).upper()
        code, user_code = secrets.token_urlsafe(24), f"{letters[:4]}-{letters[4:]}"
        interval_s = self._told.device_interval_s
        self._devices[code] = _Device(user_code, self._told.now_s() + _CODE_S, interval_s)
        origin = f"http://{ask.headers.get('host', '')}"
        members = {"device_code": code, "user_code": user_code, "verification_uri": f"{origin}/open/oauth/device"}
        return unary(to_json({**members, "expires_in": _CODE_S, "interval": interval_s}))

    def settle(self, user_code: str, state: str) -> None:
        """A user's answer to a device code. Raises KeyError for an unknown one."""
        for code, device in self._devices.items():
            if device.user_code == user_code:
                self._devices[code] = msgspec.structs.replace(device, state=state)
                return
        raise KeyError(user_code)

    def _authorize(self, ask: Ask) -> Answer:
        query = ask.query
        if query.get("client_id") != APP_ID:
            raise OAuthRefused("invalid_client", "invalid client id", 401)
        redirect_uri, method = query.get("redirect_uri", ""), query.get("code_challenge_method", "plain")
        if redirect_uri not in self._told.redirect_uris:
            raise OAuthRefused("invalid_request", "invalid request: redirect_uri")
        if query.get("response_type") != "code" or method not in ("plain", "S256"):
            raise OAuthRefused("invalid_request", "invalid request: response_type")
        answer = "error=access_denied"
        if self._told.users_agree:
            code = secrets.token_urlsafe(24)
            challenge = query.get("code_challenge", "")
            self._codes[code] = _Code(redirect_uri, challenge, method, self._told.now_s() + _CODE_S)
            answer = f"code={code}"
        location = f"{redirect_uri}?{answer}&state={quote(query.get('state', ''), safe='')}"
        return unary(b"", 302, f"Location: {location}".encode("ascii"))

    # Tokens in use

    def holder(self, ask: Ask) -> Holder:
        """Whom the request's token speaks for. Raises Refused as Coze refuses it at this path."""
        token = ask.bearer
        if token in self._told.pats:
            return Holder(token, "pat", "", float("inf"))
        held = self._held.get(token)
        if held is not None and self._told.now_s() < held.expires_s:
            return held
        if (ask.method, ask.path) == ("POST", "/v3/chat"):
            raise Refused(4101)
        raise Refused(700012006)

    def expire(self, session: str | None) -> None:
        """End the tokens of a session, or all."""
        for token, held in tuple(self._held.items()):
            if session is None or held.session == session:
                del self._held[token]

    @property
    def valid(self) -> tuple[str, ...]:
        """The OAuth tokens that are good now."""
        now_s = self._told.now_s()
        return tuple(token for token, held in tuple(self._held.items()) if now_s < held.expires_s)


def _is_empty(scope: msgspec.Raw) -> bool:
    return bytes(scope) in (b"", b"null")


def _bots(scope: msgspec.Raw) -> frozenset[str] | None:
    if _is_empty(scope):
        return None
    try:
        constraint = msgspec.json.decode(scope, type=_Scope).attribute_constraint
    except msgspec.DecodeError as error:
        raise OAuthRefused("invalid_request", "invalid request: scope") from error
    if constraint is None or constraint.connector_bot_chat_attribute is None:
        return None
    return frozenset(constraint.connector_bot_chat_attribute.bot_id_list)


def _challenge(verifier: str, method: str) -> str:
    if method == "plain":
        return verifier
    return base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).decode("ascii").rstrip("=")


def _oauth_refusal(refused: OAuthRefused) -> Answer:
    members = {"error_code": refused.error, "error_message": refused.message, "error": refused.error}
    return unary(to_json(members), refused.status)
