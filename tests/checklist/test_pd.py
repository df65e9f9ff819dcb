"""Row PD-01 of the token checklist (RFC 9457): problem details on the paths of calls, for who asks for them."""

import json

import pytest

from jotgate.errors import Code
from jotgate.testing.ports import RecordingCaller
from tests.callers import request
from tests.stages import Stage

DETAILS = b"application/problem+json"


def ask(stage: Stage, **headers: bytes) -> RecordingCaller:
    caller, _ = stage.ask(request(b'{"model":"nothing"}', accept=DETAILS, x_request_id=b"one", **headers))
    return caller


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [("none", 401, Code.TOKEN_MISSING), ("bad", 401, Code.TOKEN_MALFORMED), ("good", 404, Code.UNKNOWN_MODEL)],
)
def test_PD_01_a_problem_has_type_title_status_detail_and_instance(kind: str, status: int, code: Code) -> None:
    stage = Stage()
    good = b"Bearer " + stage.issuer.token()
    caller = ask(stage, **{"none": {}, "bad": {"authorization": b"Bearer x"}, "good": {"authorization": good}}[kind])
    body = json.loads(caller.body)
    assert (caller.status, caller.headers["content-type"]) == (status, DETAILS.decode())
    assert (body["type"], body["status"], body["code"]) == (f"urn:jotgate:error:{code}", status, code)
    assert all(isinstance(body[name], str) and body[name] for name in ("title", "detail", "instance"))
    assert body["instance"] == caller.headers["x-request-id"]
    assert ("www-authenticate" in caller.headers) is (status == 401)


def test_PD_01_no_detail_holds_the_token_that_was_refused() -> None:
    stage = Stage()
    forged = stage.issuer.token()[:-6] + b"AAAAAA"
    caller = ask(stage, authorization=b"Bearer " + forged)
    assert caller.status == 401
    assert forged not in caller.body
    assert forged.split(b".")[1] not in caller.body
