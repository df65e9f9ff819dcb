"""Document 002, the paths of the service: tokens for the user who asks, listed and deleted by that user alone.

What it says of Kong is in test_kong_plugin.py.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from jotgate.stores.settings import Sources, load_settings
from jotgate.testing.running import until
from tests.documents.excerpts import code, excerpt
from tests.kong_faces import ALICE, BOB, SERVED, KongFace, as_documented, kong_face

YEAR_S = 31_536_000


@pytest.fixture(scope="module")
def started() -> Iterator[KongFace]:
    with kong_face() as found:
        yield found


@pytest.fixture
def face(started: KongFace) -> KongFace:
    return as_documented(started)


def endpoint(line: int) -> tuple[str, str]:
    """Method and path of a line of the document's list."""
    method, path = excerpt("002", line).split("`")[1].split(" ")
    return method, path


def claims_of(token: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return found


def test_the_service_issues_tokens_and_kong_checks_them(face: KongFace) -> None:
    token = face.make()["token"]
    assert face.through_kong(token).status_code == SERVED
    assert face.through_kong(token[:-6] + "AAAAAA").json() == {"message": "Invalid signature"}
    assert face.through_kong("").status_code == 401
    reached = face.kong.reached[-1]
    assert reached.header("x-consumer-username") == "alice"
    assert reached.header("x-consumer-custom-id") == face.casdoor.users[ALICE].subject


def test_a_user_has_several_tokens_with_names_of_their_own(face: KongFace) -> None:
    made = [face.make(token_name=name) for name in ("laptop", "server", "laptop")]
    names = [one["token_name"] for one in made]
    assert names[:2] == ["laptop", "server"]
    assert names[2].startswith("laptop_"), "one that is taken becomes another"
    assert len(set(names) & set(face.names())) == 3
    assert [face.through_kong(one["token"]).status_code for one in made] == [SERVED] * 3


def test_iss_is_the_user_and_kid_the_token(face: KongFace) -> None:
    first, second = (claims_of(face.make()["token"]) for _ in range(2))
    assert (first["iss"], second["iss"]) == ("alice", "alice")
    assert first["kid"] != second["kid"]
    header = json.loads(base64.urlsafe_b64decode(face.make()["token"].split(".")[0] + "=="))
    assert header.keys() == {"alg", "kid", "typ"}


def test_the_documents_variables_are_read_as_they_stand(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(excerpt("002", 215).partition("```bash\n")[2] + excerpt("002", 216).partition("```")[0])
    file.chmod(0o600)
    loaded = load_settings(Sources(file=None, environment={}, dotenv=file, presets=("kong-auth",)))
    assert loaded.findings == ()
    assert loaded.require().kong.admin_url == "http://localhost:8001"


def test_weak_002_7_a_token_lives_a_margin_less_than_kongs_maximum(face: KongFace) -> None:
    assert "JWT_EXPIRATION_SECONDS=31536000" in excerpt("002", 216)
    assert "JWT_EXPIRATION_SECONDS=31536000" in (face.place / ".env").read_text()
    claims = claims_of(face.make()["token"])
    assert int(str(claims["exp"])) - int(str(claims["iat"])) == YEAR_S - 300
    face.kong.advance(-240)
    assert face.through_kong(face.make()["token"]).status_code == SERVED, "with a clock that is four minutes behind"


def test_generate_token_auto(face: KongFace) -> None:
    answer = face.ask(*endpoint(223), json={"token_name": "named", "description": "for the notebook"})
    assert (answer.status_code, answer.json().keys()) == (SERVED, {"token", "expires_at", "token_name", "token_id"})
    assert answer.headers["cache-control"] == "no-store"
    assert face.through_kong(answer.json()["token"]).status_code == SERVED
    unnamed = face.ask(*endpoint(223)).json()
    assert unnamed["token_name"].startswith("alice_token_20"), "a body is not needed"
    assert unnamed["expires_at"].endswith("Z")


def test_auto_generate_consumer(face: KongFace) -> None:
    members = {"username", "consumer_uuid", "token", "expires_at", "token_name", "token_id", "consumer_created"}
    user = face.casdoor.users.setdefault("sharif/carol", face.casdoor.users[BOB].__class__(name="carol"))
    first, second = (face.ask(*endpoint(224), f"sharif/{user.name}").json() for _ in range(2))
    assert first.keys() == members
    assert [first["consumer_created"], second["consumer_created"]] == [True, False]
    (consumer,) = [one for one in face.kong.consumers if one["username"] == "carol"]
    assert first["consumer_uuid"] == second["consumer_uuid"] == consumer["id"]
    assert first["token_name"].startswith("carol_auto_token_20")
    assert face.through_kong(second["token"]).status_code == SERVED


def test_my_tokens_lists_and_makes_none(face: KongFace) -> None:
    made = face.make(token_name="listed", description="for the notebook")
    known, asked = len(face.kong.credentials), len(face.kong.asks)
    listed = face.ask(*endpoint(225)).json()
    assert (listed["username"], listed["total_tokens"]) == ("alice", len(listed["tokens"]))
    row = next(one for one in listed["tokens"] if one["id"] == made["token_id"])
    at_kong = next(one for one in face.kong.credentials if one["id"] == made["token_id"])
    assert row == {
        "id": made["token_id"],
        "key": at_kong["key"],
        "token_name": "listed",
        "algorithm": "HS256",
        "created_at": claims_of(made["token"])["iat"],
        "consumer_id": at_kong["consumer"]["id"],
        "rsa_public_key": None,
        "token": None,
        "expires_at": made["expires_at"],
        "description": "for the notebook",
    }
    assert (len(face.kong.credentials), len(face.kong.asks)) == (known, asked), "and Kong is not asked"
    assert at_kong["secret"] not in json.dumps(listed)


def test_delete_by_id_ends_a_token(face: KongFace) -> None:
    made = face.make()
    method, path = endpoint(226)
    answer = face.ask(method, path.replace("{jwt_id}", made["token_id"]))
    assert (answer.status_code, answer.json()) == (SERVED, {"message": "Token deleted successfully"})
    assert face.through_kong(made["token"]).json() == {"message": "No credentials found for given 'kid'"}
    assert made["token_name"] not in face.names()
    again = face.ask(method, path.replace("{jwt_id}", made["token_id"]))
    assert (again.status_code, again.json()["detail"]) == (404, "Token not found")


def test_delete_by_name_ends_a_token(face: KongFace) -> None:
    made = face.make(token_name="by@name+1")
    method, path = endpoint(227)
    answer = face.ask(method, path.replace("{token_name}", "by%40name+1"))
    told = {"deleted_token_name": "by@name+1", "deleted_token_id": made["token_id"]}
    assert (answer.status_code, answer.json()) == (SERVED, {**told, "message": "Token deleted successfully"})
    assert face.through_kong(made["token"]).status_code == 401
    assert face.ask(method, path.replace("{token_name}", "by%40name+1")).status_code == 404


def test_secrets_are_random_and_base64(face: KongFace) -> None:
    ids = {face.make()["token_id"] for _ in range(3)}
    secrets = [one["secret"] for one in face.kong.credentials if one["id"] in ids]
    assert len(set(secrets)) == 3
    assert {len(base64.b64decode(one, validate=True)) for one in secrets} == {32}


def test_the_lifetime_is_a_setting(face: KongFace) -> None:
    face.write(JWT_EXPIRATION_SECONDS="3600")
    claims = claims_of(face.make()["token"])
    assert int(str(claims["exp"])) - int(str(claims["iat"])) == 3_600


def test_users_see_and_delete_their_own_alone(face: KongFace) -> None:
    mine, theirs = face.make(token_name="shared_name"), face.make(BOB, token_name="shared_name")
    assert theirs["token_name"] == "shared_name"
    seen = {one["id"] for one in face.ask("GET", "/my-tokens", BOB).json()["tokens"]}
    assert theirs["token_id"] in seen
    assert mine["token_id"] not in seen
    assert face.ask("DELETE", f"/my-tokens/{mine['token_id']}", BOB).status_code == 404
    assert face.ask("DELETE", "/my-tokens/by-name/shared_name", BOB).json()["deleted_token_id"] == theirs["token_id"]
    assert face.through_kong(mine["token"]).status_code == SERVED


def test_all_operations_are_audited_and_counted(face: KongFace) -> None:
    before = face.figures()
    made = face.make(token_name="audited")
    face.ask("DELETE", f"/my-tokens/{made['token_id']}")
    for name in ("kong.token_issued", "kong.token_deleted"):
        event = next(one for one in face.events(name) if one["details"]["credential"] == made["token_id"])
        assert (event["subject"], event["details"]["token_name"]) == ("alice", "audited")
        assert event["actor"] == face.casdoor.users[ALICE].subject
    written = b"".join(file.read_bytes() for file in (face.gateway.data / "audit").iterdir())
    assert made["token"].encode() not in written

    def grew(series: str) -> bool:
        return face.figures().get(series, 0) > before.get(series, 0)

    asked = 'method="POST",endpoint="/generate-token-auto",status_code="2xx"'
    until(lambda: grew(f"kong_auth_request_count_total{{{asked}}}"), "requests are counted")
    assert grew('kong_auth_jwt_tokens_generated_total{token_type="custom"}')
    assert grew("kong_auth_jwt_tokens_deleted_total")
    assert grew('kong_auth_kong_api_calls_total{endpoint="jwt",method="DELETE",status="ok"}')
    assert "alice" not in face.ask("GET", "/metrics/metrics", token="").text


def test_the_documents_example_names_the_token_that_it_makes(face: KongFace) -> None:
    lines = code("002", 150, service=face.url, casdoor_token="TOKEN")
    assert json.loads(lines.partition("-d '")[2].partition("'")[0]) == {"token_name": "my_token"}
