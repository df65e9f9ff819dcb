"""Which paths of the API gateway's face are whose, and what its guard lets through."""

import json
from typing import Final

import jwt as pyjwt
import pytest
from msgspec.structs import replace

from jotgate.core.api_gateway import API_GATEWAY, ApiGatewayRules
from jotgate.core.calls import Request, ResponseHead
from jotgate.core.faces import Face
from jotgate.core.issuer_profiles import PROFILES
from jotgate.core.issuers import Issuer
from jotgate.core.snapshot import Limits
from jotgate.edge.surfaces.api_gateway import ApiGatewaySurface
from jotgate.errors import JotgateError
from jotgate.gateway.passage import ControlDoor
from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.records import CallRecorder
from jotgate.gateway.world import build_world
from jotgate.jose.keys import KeySet, signing_key_to_pem
from jotgate.testing.ports import ManualClock, MemoryTrail, RecordingCaller, ScriptedPort, at_once
from tests.callers import NAME, NOW_S, make_issuer, make_world, request
from tests.logging_in import JOHN, rsa_key

CLAIMS: Final = {**JOHN, "iat": int(NOW_S), "exp": int(NOW_S) + 3_600, "iss": "api-gateway", "aud": "openai-api"}
_ISSUER: Final = make_issuer()
_PROFILE: Final = PROFILES[API_GATEWAY]


def face() -> Face:
    """The face with one RSA key."""
    own = Issuer(
        name=API_GATEWAY,
        issuer="api-gateway",
        audiences=("openai-api",),
        algorithms=("RS256",),
        types=_PROFILE.types,
        jwks=KeySet([rsa_key().verification_key]).to_jwks(),
        required=_PROFILE.required,
        leeway_s=_PROFILE.leeway_s,
        lifetime_max_s=_PROFILE.lifetime_max_s,
        default_scopes=_PROFILE.default_scopes,
        mapping=_PROFILE.mapping,
        installation=NAME,
    )
    return Face(name=API_GATEWAY, listen=("127.0.0.1", 0), issuers=(own,), rules=ApiGatewayRules())


class House:
    """The surface with a gateway and a control that answers by hand."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.trail = MemoryTrail()
        self.control = ScriptedPort()
        recorder = CallRecorder(clock=self.clock, trail=self.trail, instance="w")
        door = ControlDoor(self.control, self.clock)
        self.attempts = door.attempts
        self.gateway = Gateway(clock=self.clock, recorder=recorder, instance="w", soon=at_once, control=door)
        world = make_world(_ISSUER, {}, {}, limits=Limits(max_staleness_s=60))
        self.gateway.swap(build_world(replace(world.snapshot, faces=(face(),)), {}, None))
        self.surface = ApiGatewaySurface(face(), self.gateway, door)

    def ask(self, asked: Request) -> RecordingCaller:
        asked.face = API_GATEWAY
        caller = RecordingCaller()
        try:
            answer = self.surface.open(asked)
        except JotgateError as refusal:
            self.surface.refuse(asked, refusal, caller)
        else:
            answer(caller)
        return caller

    def get(self, path: bytes, token: str = "", method: bytes = b"GET") -> tuple[int, object]:
        fields = {"authorization": b"Bearer " + token.encode()} if token else {}
        caller = self.ask(request(method=method, path=path, **fields))
        return caller.status, json.loads(caller.body)


def signed(*, kid: str | None = None, typ: str = "JWT", **changes: object) -> str:
    """A token as the document's own library makes it, without a kid."""
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    header = {"typ": typ} | ({"kid": kid} if kid else {})
    return pyjwt.encode(claims, signing_key_to_pem(rsa_key()), "RS256", headers=header)


@pytest.fixture
def house() -> House:
    return House()


def test_the_data_are_for_whoever_has_a_good_token_and_say_who_that_is(house: House) -> None:
    said = house.get(b"/api/protected/data", signed())
    assert said == (200, {"message": "Access granted", "user": "user_123", "scopes": ["user", "api_access"]})
    assert [one.operation for one in house.trail.records] == ["protected"]


def test_the_roles_stand_in_the_order_of_the_token(house: House) -> None:
    roles = [f"role-{index}" for index in range(20)]
    (_, said) = house.get(b"/api/protected/data", signed(roles=roles))
    assert isinstance(said, dict)
    assert said["scopes"] == roles
    assert house.get(b"/api/protected/data", signed(roles=None))[1] == {"message": "Access granted", "user": "user_123"}


@pytest.mark.parametrize("path", [b"/api/protected", b"/api/protected/", b"/api/protected/data", b"/api/protected/x/y"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"DELETE"])
def test_everything_below_the_guard_wants_a_token_first(house: House, path: bytes, method: bytes) -> None:
    if path == b"/api/protected/data" and method in (b"PUT", b"DELETE"):
        assert house.get(path, signed(), method)[0] == 405
        return
    assert house.get(path, method=method) == (401, {"error": "Authentication required", "code": "MISSING_TOKEN"})
    if path != b"/api/protected/data":
        assert house.get(path, signed(), method)[0] == 404


@pytest.mark.parametrize("path", [b"/api/protectedx", b"/api/Protected/data", b"/api", b"/", b"/api/auth/logout"])
def test_what_is_nobodys_is_not_there(house: House, path: bytes) -> None:
    status, said = house.get(path, signed())
    assert isinstance(said, dict)
    assert (status, said["error"], said["code"]) == (404, "Not found", "UNKNOWN_OPERATION")


@pytest.mark.parametrize(
    ("token", "code", "details"),
    [
        (signed(exp=int(NOW_S) - 31), "TOKEN_EXPIRED", None),
        (signed(aud="other"), "INVALID_TOKEN", "wrong audience"),
        (signed(iss="other"), "INVALID_TOKEN", "wrong issuer"),
        (signed(sub=None), "INVALID_TOKEN", "missing claim"),
        (signed(typ="at+jwt"), "INVALID_TOKEN", "wrong token type"),
        (signed(kid="unknown"), "INVALID_TOKEN", "unknown signing key"),
        (signed(exp=int(NOW_S) + 86_401), "INVALID_TOKEN", "invalid lifetime"),
        (signed(iat=int(NOW_S) + 31), "INVALID_TOKEN", "token not active yet"),
        (signed()[:-8] + "AAAAAAAA", "INVALID_TOKEN", "invalid signature"),
        ("a.b", "INVALID_TOKEN", "malformed token"),
        (pyjwt.encode(CLAIMS, "", "none"), "INVALID_TOKEN", "algorithm not allowed"),
        (pyjwt.encode(CLAIMS, "a" * 32, "HS256"), "INVALID_TOKEN", "algorithm not allowed"),
    ],
)
def test_a_bad_token_is_told_by_a_code_and_a_safe_reason(
    house: House, token: str, code: str, details: str | None
) -> None:
    status, said = house.get(b"/api/protected/data", token)
    assert isinstance(said, dict)
    assert (status, said["code"], said.get("details")) == (401, code, details)


def test_clocks_may_differ_by_half_a_minute(house: House) -> None:
    for token in (signed(iat=int(NOW_S) - 99, exp=int(NOW_S) - 29), signed(iat=int(NOW_S) + 30)):
        assert house.get(b"/api/protected/data", token)[0] == 200


def test_a_token_of_the_native_listener_is_none_here_nor_the_other_way_round(house: House) -> None:
    native = _ISSUER.token().decode()
    assert house.get(b"/api/protected/data", native)[1] == {
        "error": "Invalid token",
        "code": "INVALID_TOKEN",
        "details": "wrong issuer",
    }
    assert house.get(b"/api/protected/data", signed())[0] == 200
    world = house.gateway.world
    assert world is not None
    with pytest.raises(JotgateError):
        world.verifier.verify(signed().encode(), NOW_S)


@pytest.mark.parametrize("path", [b"/api/auth/login", b"/api/auth/refresh", b"/.well-known/jwks.json"])
def test_what_control_answers_goes_there_with_the_name_of_the_face(house: House, path: bytes) -> None:
    method = b"GET" if path.endswith(b".json") else b"POST"
    asked = request(b"{}", method=method, path=path, content_type=b"application/json")
    house.ask(asked)
    (exchange,) = house.control.exchanges
    assert exchange.outbound.target == path
    assert b"X-Jotgate-Face: api-gateway\r\n" in exchange.outbound.lines
    assert asked.body_bytes_max == 65_536


def test_who_guesses_refresh_tokens_is_not_let_guess_for_long(house: House) -> None:
    house.attempts.limit(Limits(failed_attempts=2))
    for _ in range(2):
        house.ask(request(b"{}", path=b"/api/auth/refresh"))
        house.control.exchanges[-1].answer(401, b'{"error":"Invalid refresh token"}')
    caller = house.ask(request(b"{}", path=b"/api/auth/refresh"))
    assert (caller.status, json.loads(caller.body)["code"]) == (429, "ATTEMPTS_THROTTLED")
    assert house.ask(request(method=b"GET", path=b"/.well-known/jwks.json")).status == 0, "keys are asked for"


def test_a_refresh_token_that_was_good_once_is_no_guess_and_nobody_is_told_which_was(house: House) -> None:
    house.attempts.limit(Limits(failed_attempts=2))
    for _ in range(5):
        caller = house.ask(request(b'{"refreshToken":"old"}', path=b"/api/auth/refresh"))
        head = ResponseHead(401, [(b"content-type", b"application/json"), (b"x-jotgate-known", b"1")], 2)
        house.control.exchanges[-1].tell(head, b"{}", complete=True)
        assert caller.status == 401
        assert "x-jotgate-known" not in caller.headers
    assert house.attempts.blocked == {}


def test_a_backend_that_proves_itself_in_the_body_is_not_met_by_a_flood_of_others(house: House) -> None:
    house.attempts.limit(Limits(failed_attempts=2))

    def log_in(secret: str, status: int) -> RecordingCaller:
        body = json.dumps({**JOHN, "client_id": "backend", "client_secret": secret}).encode()
        caller = house.ask(request(body, path=b"/api/auth/login"))
        if caller.status == 0:
            house.control.exchanges[-1].answer(status, b"{}")
        return caller

    assert log_in("right", 200).status == 200
    assert [log_in(f"wrong-{number}", 401).status for number in range(3)] == [401, 401, 429]
    assert log_in("right", 200).status == 200


def test_what_is_answered_without_a_proof_makes_nothing_known(house: House) -> None:
    """Else a guess could be made to look good by fetching the keys with it first."""
    house.attempts.limit(Limits(failed_attempts=2))
    for method, path in ((b"GET", b"/.well-known/jwks.json"), (b"POST", b"/api/auth/refresh")):
        house.ask(request(method=method, path=path, authorization=b"Basic Z3Vlc3M6MQ=="))
        house.control.exchanges[-1].answer(200, b"{}")
    for _ in range(2):
        house.ask(request(b"{}", path=b"/api/auth/login", authorization=b"Basic eDp5"))
        house.control.exchanges[-1].answer(401, b"{}")
    assert house.ask(request(b"{}", path=b"/api/auth/login", authorization=b"Basic Z3Vlc3M6MQ==")).status == 429


def test_health_says_that_it_is_there(house: House) -> None:
    assert house.get(b"/health") == (200, {"status": "ok"})
    assert house.get(b"/health", method=b"POST")[0] == 405
