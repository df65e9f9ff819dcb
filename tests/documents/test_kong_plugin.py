"""Document 002, what it says of Kong: the plugin's configuration, tokens of the old format and the new, its curl lines.

The paths of the service are in test_kong_auth.py.
"""

import ast
import base64
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timezone
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from jotgate.core.kong_aims import jwt_config
from jotgate.core.kong_entries import KongEntry
from jotgate.testing.kong import kong_in_thread
from jotgate.testing.kong_entities import ENTITIES
from jotgate.testing.kong_told import DOCUMENT_CONFIG, MODEL
from jotgate.testing.kong_values import Row
from jotgate.testing.running import run_command
from tests.documents.excerpts import code, excerpt
from tests.kong_calls import OCTETS, SECRET, KongCalls, encoded, forged
from tests.kong_faces import SERVED, KongFace, as_documented, kong_face
from tests.stand_in_curl import install

WITHIN_S: Final = 30
YEAR_S: Final = 31_536_000
BEFORE: Final = "user_token_20250813_143000"
JOHN: Final = "john_doe"
JANE: Final = "jane_doe"
OLD: Final = {**DOCUMENT_CONFIG, "key_claim_name": "iss"}


@pytest.fixture(scope="module")
def started() -> Iterator[KongFace]:
    with kong_face() as found:
        yield found


@pytest.fixture
def face(started: KongFace) -> Iterator[KongFace]:
    face = as_documented(started)
    yield face
    configure(face, **DOCUMENT_CONFIG)
    for row in face.kong.consumers:
        if row["username"] in (JOHN, JANE):
            face.kong.store.delete(ENTITIES["consumers"], row)


def configure(face: KongFace, **config: object) -> Row:
    """The one jwt plugin, with such a configuration."""
    row = face.kong.plugins[0]
    answer = httpx.patch(f"{face.kong.admin_url}/plugins/{row['id']}", json={"config": config}, trust_env=False)
    assert answer.status_code == SERVED, answer.text
    found: Row = answer.json()
    return found


def shell(lines: str, folder: Path) -> str:
    """What lines of the document print, in bash with a curl."""
    path = os.pathsep.join((str(install(folder)), str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines],
        cwd=folder,
        env={**os.environ, "PATH": path, "no_proxy": "127.0.0.1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=WITHIN_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def part(token: str, number: int) -> dict[str, Any]:
    """The header (0) or the payload (1) of a token."""
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[number] + "=="))
    return found


def old_token(face: KongFace, name: str = JOHN, **claims: object) -> tuple[Row, str]:
    """A consumer with a credential as the service made it before, and a token of it."""
    consumer = next((row for row in face.kong.consumers if row["username"] == name), None)
    consumer = consumer or face.kong.add("consumers", username=name)
    key = str(claims.pop("key", BEFORE))
    known = next((row for row in face.kong.credentials if row["key"] == key), None)
    row = known or face.kong.add("jwt_secrets", consumer={"id": consumer["id"]}, key=key, secret=SECRET)
    now_s = int(face.kong.now_s())
    return row, forged({"iss": name, "exp": now_s + 600, "iat": now_s, **claims})


def quoted(line: int) -> str:
    """The message that a line of the document quotes."""
    return str(re.findall(r'"([^"]+)"', excerpt("002", line))[0])


def payload_of(line: int, start: str, **names: object) -> dict[str, Any]:
    """The payload that a block of the document builds, its code run with these names."""
    text = textwrap.dedent(excerpt("002", line).partition(start)[2].partition("```")[0])
    found: dict[str, Any] = {**names, "datetime": datetime, "timezone": timezone}
    exec(text, found)  # noqa: S102 - the document's own lines
    payload: dict[str, Any] = found["payload"]
    return payload


# The configuration


def test_the_plugin_that_jotgate_wants_is_the_documents(face: KongFace) -> None:
    written = ast.literal_eval(code("002", 15).partition("=")[2].strip())
    wanted = jwt_config(KongEntry())
    assert written == {"name": "jwt", "config": {name: wanted[name] for name in written["config"]}}
    assert wanted.keys() - written["config"].keys() == {"maximum_expiration"}
    assert configure(face, **wanted)["config"] == {**DOCUMENT_CONFIG, "realm": None}


def test_the_maximum_is_a_year_and_our_tokens_end_before_it(face: KongFace) -> None:
    assert excerpt("002", 26).strip() == f'"maximum_expiration": {jwt_config(KongEntry())["maximum_expiration"]},'
    claims = part(face.make()["token"], 1)
    assert YEAR_S - 600 <= claims["exp"] - claims["iat"] < YEAR_S


@pytest.mark.parametrize("line", range(36, 42))
def test_each_parameter_has_the_value_of_the_table(line: int) -> None:
    name, value = re.findall(r"`([^`]+)`", excerpt("002", line))[:2]
    assert jwt_config(KongEntry())[name] == json.loads(value)


def test_tokens_are_found_in_header_argument_and_cookie(face: KongFace) -> None:
    token = face.make()["token"]
    assert face.through_kong(token).status_code == SERVED
    assert face.through_kong("", params={"jwt": token}, headers={"Authorization": ""}).status_code == SERVED
    assert face.through_kong("", headers={"Authorization": "", "Cookie": f"jwt={token}"}).status_code == SERVED


def test_a_secret_of_ours_survives_that_kong_reads_base64url(face: KongFace) -> None:
    """Several: half of all random secrets do not."""
    for number in range(4):
        made = face.make(token_name=f"secret_{number}")
        secret = next(row["secret"] for row in face.kong.credentials if row["id"] == made["token_id"])
        assert len(base64.b64decode(secret, validate=True)) == 32
        assert base64.urlsafe_b64decode(secret) == base64.b64decode(secret)
        assert face.through_kong(made["token"]).status_code == SERVED


def test_the_declarative_file_has_what_ours_has(face: KongFace, tmp_path: Path) -> None:
    """All of the document's plugin stands in the file that jotgate writes, and a Kong without a database takes that."""
    token = face.make()["token"]
    file = tmp_path / "kong.yaml"
    done = run_command("kong", "export", str(file), data=face.gateway.data)
    assert done.returncode == 0, done.stderr
    ours = yaml.safe_load(file.read_text())
    (plugin,) = yaml.safe_load(code("002", 121))["plugins"]
    config = ours["plugins"][0]["config"]
    assert (ours["plugins"][0]["name"], {**config, **plugin["config"]}) == (plugin["name"], config)
    with kong_in_thread() as kong:
        kong.api.admin.declared = True
        assert httpx.post(f"{kong.admin_url}/config", json=ours, trust_env=False).status_code == 201
        service = kong.add("services", name="llm", host="127.0.0.1", port=kong.upstream.port)
        kong.add("routes", paths=["/llm"], service=service)
        assert KongCalls(kong).chat(token).status == SERVED
        assert KongCalls(kong).chat().status == 401


# Before and after


def test_before_a_token_named_its_user_where_kong_looked_for_its_key(face: KongFace) -> None:
    configure(face, **OLD)
    example = re.findall(r'"([^"]+)"', excerpt("002", 48))
    assert BEFORE in example
    _, token = old_token(face)
    assert face.kong.plugins[0]["config"]["key_claim_name"] == quoted(50).rpartition(":")[2] == "iss"
    answer = face.through_kong(token)
    assert (answer.status_code, answer.json()) == (401, {"message": quoted(52)})


def test_after_kong_finds_the_credential_by_kid(face: KongFace) -> None:
    face.settle("[kong_auth]\nkey_is_token_name = true\n")
    made = face.make(token_name=BEFORE)
    header, claims = part(made["token"], 0), part(made["token"], 1)
    assert (claims["iss"], claims["kid"], header["kid"]) == ("alice", BEFORE, BEFORE)
    assert BEFORE in {row["key"] for row in face.kong.credentials if row["id"] == made["token_id"]}
    assert face.kong.plugins[0]["config"]["key_claim_name"] == quoted(58).rpartition(":")[2] == "kid"
    assert face.through_kong(made["token"]).status_code == SERVED


def test_a_token_has_the_members_of_the_documents_example(face: KongFace) -> None:
    example = json.loads(code("002", 65))
    claims = part(face.make()["token"], 1)
    assert list(claims) == list(example)
    assert [type(value) for value in claims.values()] == [type(value) for value in example.values()]


def test_the_documents_code_builds_the_payloads_before_and_after(face: KongFace) -> None:
    names = {"username": JOHN, "token_name": BEFORE, "expiration": datetime.now(UTC)}
    before = payload_of(76, "# Before\n", **names)
    after = payload_of(85, "# After\n", **names)
    assert list(before) == ["iss", "exp", "iat"]
    assert after.keys() - before.keys() == {"kid"}
    made = face.make()
    assert list(part(made["token"], 1)) == list(after)
    _, token = old_token(face, **before)
    assert face.through_kong(token).json() == {"message": "No mandatory 'kid' in claims"}


def test_the_credential_at_kong_is_what_the_document_sends(face: KongFace) -> None:
    face.settle("[kong_auth]\nkey_is_token_name = true\n")
    made = face.make(token_name="as_documented")
    text = textwrap.dedent(code("002", 95)).partition("=")[2]
    names = {"token_name": "as_documented", "secret_base64": SECRET}
    sent = eval(text.strip(), names)  # noqa: S307 - the document's own lines
    row = next(row for row in face.kong.credentials if row["id"] == made["token_id"])
    assert (row["key"], row["algorithm"]) == (sent["key"], sent["algorithm"])
    assert len(base64.b64decode(row["secret"])) == len(OCTETS)


# Its lines for a shell


def test_the_documents_patch_changes_one_member_and_merges(face: KongFace, tmp_path: Path) -> None:
    configure(face, **OLD)
    plugin = face.kong.plugins[0]
    lines = code("002", 110, kong_admin=face.kong.admin_url.removeprefix("http://"), plugin_id=plugin["id"])
    assert json.loads(shell(lines, tmp_path))["config"]["key_claim_name"] == "kid"
    assert face.kong.plugins[0]["config"] == {**DOCUMENT_CONFIG, "realm": None}


def test_kong_needs_no_reload(face: KongFace) -> None:
    """The document reloads Kong; what is changed through the Admin API holds with the next request."""
    assert "kong reload" in excerpt("002", 141)
    token = face.make()["token"]
    configure(face, **OLD)
    assert face.through_kong(token).status_code == 401
    configure(face, **DOCUMENT_CONFIG)
    assert face.through_kong(token).status_code == SERVED


def test_the_documents_lines_make_a_token_and_open_the_completion(face: KongFace, tmp_path: Path) -> None:
    lines = code("002", 150, service=face.url, casdoor_token=face.casdoor.mint())
    made = json.loads(shell(lines, tmp_path))
    assert made["token_name"].startswith("my_token")
    said = json.loads(shell(code("002", 162, gateway=face.kong.proxy_url, token=made["token"]), tmp_path))
    assert said["model"] == MODEL
    assert said["choices"][0]["message"]["content"] == "You said: test"
    assert face.kong.reached[-1].header("x-consumer-username") == "alice"


def test_the_documents_lines_show_plugin_token_and_credentials(face: KongFace, tmp_path: Path) -> None:
    kong_admin = face.kong.admin_url.removeprefix("http://")
    made = face.make()
    plugin = face.kong.plugins[0]
    lines = code("002", 195, kong_admin=kong_admin, plugin_id=plugin["id"])
    assert json.loads(shell(lines, tmp_path)) == plugin
    decoded = json.loads(shell(code("002", 200, token=made["token"]), tmp_path))
    assert decoded == part(made["token"], 1)
    listed = json.loads(shell(code("002", 206, kong_admin=kong_admin, username="alice"), tmp_path))
    assert decoded["kid"] in {row["key"] for row in listed["data"]}


# What goes wrong


def test_a_key_that_kong_does_not_know_has_the_documents_message(face: KongFace) -> None:
    made = face.make()
    token = made["token"]
    told = quoted(180)
    assert face.through_kong(forged({"kid": "nobodys", "exp": 2_000_000_000})).json() == {"message": told}
    configure(face, **OLD)
    assert face.through_kong(token).json() == {"message": told.replace("kid", "iss")}
    assert face.ask("DELETE", f"/my-tokens/{made['token_id']}").status_code == SERVED
    configure(face, **DOCUMENT_CONFIG)
    assert face.through_kong(token).json() == {"message": told}


def test_a_secret_that_is_read_otherwise_has_the_documents_message(face: KongFace) -> None:
    token = face.make()["token"]
    told = {"message": quoted(184)}
    configure(face, secret_is_base64=False)
    assert face.through_kong(token).json() == told
    configure(face, secret_is_base64=True)
    assert face.through_kong(token[:-4] + encoded(b"abc")).json() == told


def test_a_token_that_has_ended_is_one_to_make_anew(face: KongFace) -> None:
    assert "JWT_EXPIRATION_SECONDS" in excerpt("002", 188)
    face.write(JWT_EXPIRATION_SECONDS="60")
    token = face.make()["token"]
    assert face.through_kong(token).status_code == SERVED
    face.kong.advance(61)
    assert face.through_kong(token).json() == {"exp": "token expired"}
    face.write()
    assert face.through_kong(face.make()["token"]).status_code == SERVED


# From the old format to the new


def test_the_plugin_is_changed_first_and_then_tokens_are_made(face: KongFace) -> None:
    """The document's four steps, in its order."""
    configure(face, **OLD)
    row, old = old_token(face, key=JOHN)
    assert face.through_kong(old).status_code == SERVED
    before = {"credentials": face.kong.credentials, "consumers": [one["id"] for one in face.kong.consumers]}
    assert "Update Kong plugin configuration first" in excerpt("002", 240)
    done = run_command("kong", "migrate", "--yes", data=face.gateway.data)
    assert done.returncode == 0, done.stderr
    assert face.kong.plugins[0]["config"]["key_claim_name"] == "kid"
    assert face.through_kong(face.make()["token"]).status_code == SERVED
    assert face.through_kong(old).json() == {"message": "No mandatory 'kid' in claims"}, "old tokens stop working"
    assert all(one in face.kong.credentials for one in before["credentials"]), "nothing is deleted"
    assert {one["id"] for one in face.kong.consumers} >= set(before["consumers"])
    assert row in face.kong.credentials


def test_consumers_that_were_there_go_on(face: KongFace) -> None:
    """A token of the old service that has `kid` already is good as long as it was."""
    _, token = old_token(face, JANE, key="jane_doe_token", kid="jane_doe_token")
    face.make()
    assert face.through_kong(token).status_code == SERVED
    assert face.kong.reached[-1].header("x-consumer-username") == JANE
