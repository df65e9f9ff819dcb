"""The Kong auth service where its original is weak: who is let in, what a name may be, what is left of a failure."""

import base64
import hmac
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from jotgate.testing import casdoor_told
from jotgate.testing.casdoor_keys import Cert
from jotgate.testing.casdoor_told import EC_CERT, RSA_CERT
from jotgate.testing.casdoor_values import FORMATS, CasdoorUser, TokenFormat
from jotgate.testing.kong_values import KongFault
from jotgate.testing.running import run_command, until
from jotgate.testing.upstream import Answer, unary
from tests.kong_faces import ADMIN, ALICE, BOB, SERVED, KongFace, as_documented, kong_face

DAVE: Final = "other/dave"


@pytest.fixture(scope="module")
def started() -> Iterator[KongFace]:
    with kong_face() as found:
        yield found


@pytest.fixture
def face(started: KongFace) -> KongFace:
    casdoor = started.casdoor
    casdoor.users[DAVE] = CasdoorUser(name="alice", owner="other")
    casdoor.signing, casdoor.shared, casdoor.token_format = RSA_CERT, False, "JWT"
    casdoor.change(ALICE, is_forbidden=False, is_deleted=False, user_id="")
    casdoor.watches_users = casdoor.hides_standing = False
    casdoor.answers.pop("/api/get-user", None)
    return as_documented(started)


def code_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unsigned(face: KongFace) -> str:
    """What the original reads where it cannot verify."""
    claims = face.casdoor.mint().split(".")[1]
    return f"{b64(json.dumps({'alg': 'none', 'typ': 'JWT'}).encode())}.{claims}."


def by_another(face: KongFace) -> str:
    """Signed by a key of somebody else under the name of Casdoor's certificate."""
    claims = json.loads(base64.urlsafe_b64decode(face.casdoor.mint().split(".")[1] + "=="))
    return Cert(RSA_CERT, "RS256", fresh=True).sign(claims)


def by_the_public_key(face: KongFace) -> str:
    """HS256 with the public key as the secret."""
    keys = face.get(f"{face.casdoor.issuer}/.well-known/jwks").json()["keys"]
    published = next(one for one in keys if one["kid"] == RSA_CERT)
    public = x509.load_der_x509_certificate(base64.b64decode(published["x5c"][0])).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    header = {"alg": "HS256", "typ": "JWT", "kid": RSA_CERT}
    signed = f"{b64(json.dumps(header).encode())}.{face.casdoor.mint().split('.')[1]}"
    return f"{signed}.{b64(hmac.digest(pem, signed.encode(), 'sha256'))}"


WRONG: Final[dict[str, Callable[[KongFace], str]]] = {
    "none": lambda _: "",
    "no token": lambda _: "alice",
    "without a signature": unsigned,
    "by another key": by_another,
    "by the public key": by_the_public_key,
    "refresh token": lambda face: face.casdoor.mint(kind="refresh-token"),
    "refresh token of JWT-Custom": lambda face: face.casdoor.mint(
        kind="refresh-token", token_format="JWT-Custom", tokenType="access-token"
    ),
    "ID token": lambda face: face.casdoor.mint(kind="id-token"),
    "without a type": lambda face: face.casdoor.mint(tokenType=None),
    "another application's": lambda face: face.casdoor.mint(aud=["another"]),
    "another organization's": lambda face: face.casdoor.mint(DAVE),
    "another organization's, shared": lambda face: face.casdoor.mint(aud=[f"{face.casdoor.client_id}-org-other"]),
    "another Casdoor's": lambda face: face.casdoor.mint(iss="https://casdoor.example"),
    "over": lambda face: face.casdoor.mint(exp=1_700_000_000, iat=1_690_000_000, nbf=1_690_000_000),
    "a forbidden user's": lambda face: face.casdoor.mint(isForbidden=True),
    "a deleted user's": lambda face: face.casdoor.mint(isDeleted=True),
    "nobody's by name": lambda face: face.casdoor.mint(name=None, token_format="JWT-Empty"),
    "by a name that is a path": lambda face: face.casdoor.mint(name="..%2Fadmin"),
    "this installation's": lambda face: face.gateway.token(),
}


@pytest.mark.parametrize("kind", sorted(WRONG))
def test_weak_002_1_and_4_nothing_opens_it_but_a_good_access_token(face: KongFace, kind: str) -> None:
    known, asked = len(face.kong.credentials), face.kong.changes
    answer = face.ask("POST", "/generate-token-auto", token=WRONG[kind](face), json={})
    assert (answer.status_code, answer.headers["www-authenticate"][:6]) == (401, "Bearer")
    assert answer.json()["detail"] == answer.json()["error"]["message"]
    assert answer.json()["error"]["reference_id"] == answer.headers["x-request-id"]
    assert (len(face.kong.credentials), face.kong.changes) == (known, asked)


def revoke(face: KongFace, token: str) -> None:
    face.casdoor.revoked.add(token)


def forbid(face: KongFace, _: str) -> None:
    face.casdoor.change(ALICE, is_forbidden=True)


def forbid_and_watch(face: KongFace, token: str) -> None:
    forbid(face, token)
    face.casdoor.watches_users = face.casdoor.hides_standing = True


def delete(face: KongFace, _: str) -> None:
    face.casdoor.change(ALICE, is_deleted=True)


def forget(face: KongFace, token: str) -> None:
    """The user is gone, and somebody else has the name."""
    face.casdoor.change(ALICE, user_id="6a0d5f1c-8f0e-4a52-9d0c-2f6f1a1b2c3d")


def say(answer: Answer) -> Callable[[KongFace, str], None]:
    def ill(face: KongFace, _: str) -> None:
        face.casdoor.answers["/api/get-user"] = answer

    return ill


REVOKED, REFUSED, SILENT = (401, "token_revoked"), (401, "claim_refused"), (503, "issuer_unavailable")
SINCE: Final[dict[str, tuple[Callable[[KongFace, str], None], tuple[int, str]]]] = {
    "the token revoked": (revoke, REVOKED),
    "forbidden": (forbid, REFUSED),
    "forbidden, as told since August 2026": (forbid_and_watch, REVOKED),
    "deleted": (delete, REVOKED),
    "gone": (forget, REFUSED),
    "Casdoor failing": (say(unary(b"", 500)), SILENT),
    "nonsense": (say(unary(b"<html>")), SILENT),
    "another user's record": (
        say(unary(json.dumps({"status": "ok", "data": casdoor_told.BOB.whole}).encode())),
        SILENT,
    ),
}


@pytest.mark.parametrize("since", sorted(SINCE))
def test_casdoor_is_asked_again_before_a_token_that_outlives_its_own(face: KongFace, since: str) -> None:
    ill, expected = SINCE[since]
    token = face.casdoor.mint(roles=[{"owner": "sharif", "name": "admin"}])
    counted = f'kong_auth_jwt_tokens_refused_total{{error_type="{expected[1]}"}}'
    before = face.figures().get(counted, 0.0)
    known, asked = len(face.kong.credentials), face.kong.changes
    ill(face, token)
    refused = ""
    for path, body in (
        ("/generate-token-auto", {"token_name": "late"}),
        ("/auto-generate-consumer", {}),
        ("/create-consumer", {"username": "late"}),
    ):
        answer = face.ask("POST", path, token=token, json=body)
        assert code_of(answer) == expected, answer.text
        refused = answer.headers["x-request-id"]
        assert answer.headers.get("retry-after") == ("5" if expected == SILENT else None)
        assert answer.headers.get("www-authenticate", "")[:6] == ("" if expected == SILENT else "Bearer")
    assert face.ask("GET", "/me", token=token).status_code == SERVED, "what makes no token asks nobody"
    assert (len(face.kong.credentials), face.kong.changes) == (known, asked)
    assert face.figures()[counted] == before + 3
    (last, *_) = reversed(face.events("kong.token_refused"))
    assert (last["details"]["code"], last["subject"]) == (expected[1], "alice")
    assert last["details"]["request_id"] == refused
    assert token not in json.dumps(last)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("shared", [False, True])
def test_every_format_of_token_says_who_the_user_is(face: KongFace, form: TokenFormat, shared: bool) -> None:
    face.casdoor.shared = shared
    face.casdoor.signing = EC_CERT if shared else RSA_CERT
    token = face.casdoor.mint(ADMIN, token_format=form)
    told = face.ask("GET", "/me", token=token).json()
    assert (told["id"], told["name"]) == (face.casdoor.users[ADMIN].subject, "admin")
    assert told["roles"] == (["admin"] if form in ("JWT", "JWT-Custom") else [])


def test_keys_that_casdoor_changes_are_followed(face: KongFace) -> None:
    face.casdoor.rotate()
    assert face.make()["token_name"]


def test_weak_002_3_only_admins_see_consumers_and_make_tokens_for_services(face: KongFace) -> None:
    assert code_of(face.ask("GET", "/consumers", BOB)) == (403, "policy_denied")
    assert code_of(face.ask("POST", "/create-consumer", BOB, json={"username": "batch"})) == (403, "policy_denied")
    made = face.ask("POST", "/create-consumer", ADMIN, json={"username": "batch"})
    assert made.json().keys() == {"username", "consumer_uuid", "token", "expires_at"}
    assert face.through_kong(made.json()["token"]).status_code == SERVED
    listed = face.ask("GET", "/consumers", ADMIN).json()["data"]
    assert "batch" in {one["username"] for one in listed}
    assert "secret" not in json.dumps(listed)
    face.settle('[kong_auth]\nadmin_roles = ["boss"]\n')
    assert code_of(face.ask("GET", "/consumers", ADMIN)) == (403, "policy_denied")


def test_weak_002_2_nobody_gets_a_token_for_somebody_else(face: KongFace) -> None:
    face.make()
    assert code_of(face.ask("POST", "/create-consumer", token="", json={"username": "alice"})) == (401, "token_missing")
    assert code_of(face.ask("POST", "/create-consumer", ADMIN, json={"username": "alice"})) == (409, "kong_conflict")
    face.casdoor.change(ALICE, user_id="6a0d5f1c-8f0e-4a52-9d0c-2f6f1a1b2c3d")
    assert code_of(face.ask("POST", "/generate-token-auto")) == (409, "kong_conflict"), "who is called so now"
    assert face.ask("GET", "/my-tokens").json()["tokens"] == []


def test_a_user_who_is_renamed_keeps_the_old_tokens_and_no_other_consumer(face: KongFace) -> None:
    face.casdoor.users["sharif/frank"] = CasdoorUser(name="frank", user_id="1c0d5f1c-8f0e-4a52-9d0c-2f6f1a1b2c3d")
    made = face.make("sharif/frank", token_name="before")
    face.casdoor.change("sharif/frank", name="francis")
    assert face.names("sharif/frank") == ["before"]
    assert code_of(face.ask("POST", "/generate-token-auto", "sharif/frank")) == (409, "kong_conflict")
    assert face.through_kong(made["token"]).status_code == SERVED
    assert face.ask("DELETE", "/my-tokens/by-name/before", "sharif/frank").status_code == SERVED


def test_an_admin_deletes_anybodys_token(face: KongFace) -> None:
    made = face.make()
    assert face.ask("DELETE", f"/my-tokens/{made['token_id']}", ADMIN).status_code == SERVED
    assert face.through_kong(made["token"]).status_code == 401


@pytest.mark.parametrize(
    "path", ["/kong/services", "/kong/plugins/jwt", "/kong/status", "/consumers/alice", "/docs", "/"]
)
def test_what_rewrote_the_gateway_is_not_there(face: KongFace, path: str) -> None:
    answer = face.ask("DELETE", path, ADMIN)
    assert answer.status_code in (404, 405)
    if path.startswith("/kong/"):
        assert "let every user rewrite the gateway" in answer.json()["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/my-tokens/..%2F..%2Fconsumers%2Falice",
        "/my-tokens/by-name/..%2F..%2Fplugins",
        "/my-tokens/by-name/a%2Fb",
        "/my-tokens/%00",
        "/my-tokens/by-name/%ff",
        "/my-tokens/",
        "/my-tokens/by-name/",
    ],
)
def test_weak_002_5_no_path_of_ours_leads_to_another_of_kongs(face: KongFace, path: str) -> None:
    asked = len(face.kong.asks)
    answer = face.ask("DELETE", path)
    assert answer.status_code in (400, 404, 405)
    assert answer.json()["error"]["reference_id"] == answer.headers["x-request-id"]
    assert len(face.kong.asks) == asked


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({"token_name": "a/b"}, "token_name"),
        ({"token_name": "6a0d5f1c-8f0e-4a52-9d0c-2f6f1a1b2c3d"}, "token_name"),
        ({"token_name": 7}, "token_name"),
        ({"description": "x" * 257}, "description"),
        ({"description": "a\u202eb"}, "description"),
        ({"username": "bob"}, "username"),
    ],
)
def test_a_body_that_is_not_understood_makes_nothing(face: KongFace, body: dict[str, object], member: str) -> None:
    known = len(face.kong.credentials)
    answer = face.ask("POST", "/generate-token-auto", json=body)
    assert code_of(answer) == (400, "request_malformed")
    assert answer.json()["error"]["details"]["member"] == member
    text = face.ask("POST", "/generate-token-auto", content=b"[]", headers={"Content-Type": "application/json"})
    assert code_of(text) == (400, "request_malformed")
    form = face.ask("POST", "/generate-token-auto", data={"token_name": "x"})
    assert code_of(form) == (415, "media_type_refused")
    assert len(face.kong.credentials) == known


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_with_key_pairs_kong_has_public_keys_alone(face: KongFace, algorithm: str) -> None:
    face.settle(f'[kong_auth]\nalgorithm = "{algorithm}"\n')
    made = face.make()
    assert face.through_kong(made["token"]).status_code == SERVED
    row = next(one for one in face.kong.credentials if one["id"] == made["token_id"])
    listed = next(one for one in face.ask("GET", "/my-tokens").json()["tokens"] if one["id"] == made["token_id"])
    assert (row["algorithm"], listed["algorithm"]) == (algorithm, algorithm)
    assert listed["rsa_public_key"] == row["rsa_public_key"]
    assert "PRIVATE" not in json.dumps(face.kong.credentials)


def test_what_is_missing_is_named_and_answers_503(face: KongFace) -> None:
    token = face.casdoor.mint()
    face.write(CASDOOR_CLIENT_ID=None, CASDOOR_ORG_NAME=None)
    health = face.ask("GET", "/health", token="").json()
    told = "CASDOOR_CLIENT_ID, CASDOOR_ORG_NAME are not set, so that no token of Casdoor can be verified"
    assert health == {"status": "healthy", "missing": [told]}
    for method, path in (("POST", "/generate-token-auto"), ("GET", "/my-tokens"), ("GET", "/me")):
        answer = face.ask(method, path, token=token)
        assert (*code_of(answer), answer.headers["retry-after"]) == (503, "not_ready", "1")
    face.write()
    assert face.ask("GET", "/health", token="").json() == {"status": "healthy"}
    until(lambda: face.ask("GET", "/me", token=token).status_code == SERVED, "Casdoor's keys are fetched")


def test_while_kong_fails_nothing_is_handed_out_and_nothing_stays(face: KongFace) -> None:
    known = len(face.kong.credentials)
    face.kong.faults.append(KongFault(ill="status", method="PUT", path="/consumers/", times=9, done=True))
    answer = face.ask("POST", "/generate-token-auto", json={"token_name": "never"})
    assert (*code_of(answer), answer.headers["retry-after"]) == (503, "kong_unavailable", "1")
    face.kong.faults.clear()
    assert "never" not in face.names()
    until(lambda: len(face.kong.credentials) == known, "what Kong has taken all the same is deleted")
    assert face.make(token_name="never")["token_name"] == "never"


def test_quotas_and_policies_meet_its_users(face: KongFace) -> None:
    quota = 'name = "kong-auth-tokens"\nlimit = "1 requests/hour"\nper = ["principal"]\n'
    face.settle(f'[[quotas]]\n{quota}operations = ["kong.tokens.create"]\n')
    user = face.casdoor.users.setdefault("sharif/erin", CasdoorUser(name="erin"))
    face.make(f"{user.owner}/{user.name}")
    answer = face.ask("POST", "/generate-token-auto", "sharif/erin")
    assert code_of(answer) == (429, "quota_exceeded")
    assert face.ask("GET", "/my-tokens", "sharif/erin").status_code == SERVED
    policy = f'name = "readers"\neffect = "deny"\nissuers = ["{face.casdoor.issuer}"]\noperations = ["kong.tokens.*"]\n'
    rest = '[[policies]]\nname = "rest"\neffect = "allow"\n'
    face.settle(f"[[policies]]\n{policy}\n{rest}")
    assert code_of(face.ask("GET", "/my-tokens")) == (403, "policy_denied")
    assert face.ask("GET", "/me").status_code == SERVED


def test_pages_that_are_listed_may_read_answers(face: KongFace) -> None:
    face.write(CORS_ORIGINS='["https://app.example"]')
    origin = {"Origin": "https://app.example"}
    asked = {**origin, "Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization"}
    allowed = face.ask("OPTIONS", "/my-tokens/x", token="", headers=asked)
    assert "DELETE" in allowed.headers["access-control-allow-methods"]
    for answer in (face.ask("GET", "/me", headers=origin), face.ask("GET", "/me", token="", headers=origin)):
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert (
        "access-control-allow-origin" not in face.ask("GET", "/me", headers={"Origin": "https://evil.example"}).headers
    )


def test_tokens_of_casdoor_open_nothing_else_and_its_figures_name_nobody(face: KongFace) -> None:
    token = face.casdoor.mint()
    native = face.gateway.url
    assert face.get(f"{native}/v1/models", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    figures = face.ask("GET", "/metrics", token="")
    assert figures.headers["content-type"].startswith("text/plain")
    subject = face.casdoor.users[ALICE].subject
    assert not any(word in figures.text for word in ("alice", "bob", subject))
    assert face.ask("GET", "/", token="").json() == {"message": "Kong Auth Service is running"}


def test_the_operator_sees_why_a_token_was_refused(face: KongFace) -> None:
    answer = face.ask("GET", "/me", token=face.casdoor.mint(kind="refresh-token"))
    words = ("explain", answer.headers["x-request-id"])
    until(lambda: "tokenType" in run_command(*words, data=face.gateway.data).stdout, "the record says why")
