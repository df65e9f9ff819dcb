"""What operators do about Kong by commands, and control by itself: a running gateway before Kong's stand-in."""

import json
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from jotgate.core.kong_aims import consumer_id
from jotgate.testing.kong import kong_in_thread
from jotgate.testing.kong_told import DOCUMENT_CONFIG
from jotgate.testing.kong_values import KongFault
from jotgate.testing.running import run_command, until
from tests.kong_faces import ALICE, BOB, KongFace, kong_face

OK, REFUSED = 200, 401
TAG: Final = "jotgate"


@pytest.fixture(scope="module")
def face() -> Iterator[KongFace]:
    with kong_face() as running:
        yield running


def order(face: KongFace, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command about Kong."""
    return run_command("kong", *arguments, data=face.gateway.data)


def told(face: KongFace, *arguments: str) -> dict[str, Any]:
    """What a command says as JSON."""
    done = order(face, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def of_doctor(face: KongFace) -> dict[str, str]:
    """The doctor's line about Kong."""
    done = run_command("doctor", "--json", data=face.gateway.data)
    found: dict[str, str] = next(one for one in json.loads(done.stdout)["checks"] if one["name"] == "kong")
    return found


def test_a_plan_says_what_apply_does_then_and_the_doctor_is_content_behind_it(face: KongFace) -> None:
    assert of_doctor(face)["state"] == "fault"
    planned = order(face, "plan", "--check")
    assert (planned.returncode, planned.stdout.splitlines()[0]) == (1, "+ plugin jwt"), planned.stderr
    assert face.kong.plugins == [], "control makes no plugin by itself, and a plan changes nothing"
    done = order(face, "apply")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, f"{face.kong.admin_url}: 1 of 1 done")
    (plugin,) = face.kong.plugins
    assert {name: plugin["config"][name] for name in DOCUMENT_CONFIG} == DOCUMENT_CONFIG
    assert order(face, "plan", "--check").returncode == 0
    assert of_doctor(face)["state"] == "ok"
    assert face.through_kong(face.make()["token"]).status_code == OK
    assert face.through_kong("none").status_code == REFUSED
    (event,) = face.events("kong.applied")
    assert event["details"] == {"created": 1, "updated": 0, "deleted": 0, "failed": 0, "left": 0}


def test_what_somebody_deleted_at_kong_is_there_again_and_its_token_works(face: KongFace) -> None:
    token = face.make(token_name="deleted-there")["token"]
    (row,) = [one for one in told(face, "list")["tokens"] if one["token_name"] == "deleted-there"]
    face.kong.store.drop("jwt_secrets", row["credential_id"])
    assert face.through_kong(token).status_code == REFUSED
    face.kong.faults.append(KongFault(ill="status", status=500, method="PUT", times=2))
    report = told(face, "apply")
    assert (report["done"], report["failed"], report["left"]) == (1, [], 0)
    assert face.through_kong(token).status_code == OK


def test_a_revoked_token_is_refused_by_kong_and_so_are_all_of_a_revoked_subject(face: KongFace) -> None:
    one, other = (face.make(BOB, token_name=name) for name in ("one", "other"))
    rows = {row["token_name"]: row for row in told(face, "list")["tokens"] if row["consumer"] == "bob"}
    assert rows["one"]["state"] == "held"
    done = order(face, "revoke", rows["one"]["credential_id"])
    assert (done.returncode, done.stdout) == (0, "1 revoked; Kong has deleted 1\n")
    assert (face.through_kong(one["token"]).status_code, face.through_kong(other["token"]).status_code) == (REFUSED, OK)
    assert order(face, "revoke", rows["one"]["credential_id"]).returncode == 1
    subject = face.casdoor.users[BOB].subject
    named = ("token", "revoke", "--subject", subject, "--issuer", "casdoor", "--yes")
    revoked = run_command(*named, data=face.gateway.data)
    assert revoked.returncode == 0, revoked.stderr
    until(lambda: face.through_kong(other["token"]).status_code == REFUSED, "Kong refuses what was bob's")
    assert [one for one in face.kong.credentials if one["consumer"] == {"id": consumer_id("bob")}] == []
    assert face.names(ALICE), "of others nothing is gone"


def test_the_file_of_deck_is_its_owners_alone_and_no_secret_is_anywhere_else(face: KongFace, tmp_path: Path) -> None:
    made = face.make(token_name="exported")
    file = tmp_path / "kong.yaml"
    done = order(face, "export", str(file))
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    document = yaml.safe_load(file.read_text())
    assert (document["_format_version"], document["_info"]["select_tags"]) == ("3.0", [TAG])
    secrets = {one["key"]: one["secret"] for owner in document["consumers"] for one in owner.get("jwt_secrets", ())}
    at_kong = {one["key"]: one["secret"] for one in face.kong.credentials}
    assert secrets == at_kong
    assert made["token_id"] in file.read_text()
    again = order(face, "export", str(file))
    assert (again.returncode, "not there yet" in again.stderr) == (1, True)
    bare = tmp_path / "bare.yaml"
    assert order(face, "export", "--without-secrets", str(bare)).returncode == 0
    said = [bare.read_text(), done.stdout + done.stderr, order(face, "plan", "--json").stdout, face.gateway.errors]
    said += [segment.read_text() for segment in (face.gateway.data / "audit").iterdir()]
    assert [text for text in said for secret in secrets.values() if secret in text] == []


def test_an_older_services_plugin_and_consumers_are_taken_over_and_nothing_is_deleted(tmp_path: Path) -> None:
    with kong_in_thread() as kong:
        config = tmp_path / "jotgate.toml"
        config.write_text(f'[kong]\nadmin_url = "{kong.admin_url}"\n')
        kong.protect(key_claim_name="iss", realm="theirs")
        old = kong.add("consumers", username="john_doe", tags=["old"])
        kong.add("jwt_secrets", key="john_doe", consumer={"id": old["id"]})
        kong.add("jwt_secrets", key="john_doe_token_1", consumer={"id": old["id"]})
        kong.add("consumers", username="shop")
        options = ("--config", str(config))
        run_command("token", "create", "--subject", "me", *options, data=tmp_path / "data")
        plan = run_command("kong", "plan", *options, data=tmp_path / "data")
        assert "not jotgate's" in plan.stderr
        asked = run_command("kong", "migrate", *options, data=tmp_path / "data")
        assert (asked.returncode, "(john_doe)" in asked.stderr, kong.changes) == (2, True, 0)
        done = run_command("kong", "migrate", "--yes", *options, data=tmp_path / "data")
        assert done.returncode == 0, done.stderr
        (plugin,) = kong.plugins
        assert (plugin["config"]["key_claim_name"], plugin["config"]["realm"], plugin["tags"]) == (
            "kid",
            "theirs",
            [TAG],
        )
        first = next(one for one in kong.asks if one.method == "PATCH")
        assert first.path.startswith("/plugins/"), "as the document has it: the plugin first"
        assert {row["username"]: row["tags"] for row in kong.consumers} == {"john_doe": ["old", TAG], "shop": None}
        assert sorted(row["key"] for row in kong.credentials) == ["john_doe", "john_doe_token_1"]
        assert kong.count("DELETE") == 0
        assert run_command("kong", "plan", "--check", *options, data=tmp_path / "data").returncode == 0
