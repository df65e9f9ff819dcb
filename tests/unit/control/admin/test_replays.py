"""A repeated POST is answered as the first, once done, and a secret is not kept for it."""

import pytest

from jotgate.control.admin.replays import KEPT_S
from jotgate.core.durable import Issuance
from jotgate.errors import Code, StoreUnavailable
from jotgate.stores.memory import MemoryStore
from tests.admin_stage import AdminStage, code_of
from tests.token_stage import client

TENANT = {"name": "acme"}
CI = {"name": "ci", "grants": ["client_credentials"], "scopes": ["ai"]}


class _Shown(MemoryStore):
    """A store whose marks can be looked at."""

    def marks(self) -> str:
        """All that is kept of marks."""
        return repr(list(self._rows.marks.values()))


@pytest.fixture
def stage() -> AdminStage:
    return AdminStage()


def test_a_repeat_gets_the_first_answer_and_does_nothing(stage: AdminStage) -> None:
    first = stage.ask("POST", "/tenants", TENANT, idempotency_key="k-1")
    again = stage.ask("POST", "/tenants", TENANT, idempotency_key="k-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    for name in ("etag", "location", "content-type", "cache-control"):
        assert again.headers[name] == first.headers[name]
    assert (again.headers["idempotency-replayed"], "idempotency-replayed" in first.headers) == ("true", False)
    assert len(stage.log.named("tenant.created")) == 1
    assert code_of(stage.ask("POST", "/tenants", TENANT)) == (409, Code.RECORD_EXISTS)


def test_an_answer_without_a_body_is_repeated_too(stage: AdminStage) -> None:
    stage.store.add_issuances((stage.issuance("t-1"),))
    answers = [stage.ask("POST", "/tokens/t-1/revoke", idempotency_key="k") for _ in range(2)]
    assert [one.status_code for one in answers] == [204, 204]
    assert len(stage.log.named("token.revoked")) == 1


def test_the_same_key_for_another_request_is_refused(stage: AdminStage) -> None:
    stage.ask("POST", "/tenants", TENANT, idempotency_key="k-1")
    for path, body in (("/tenants", {"name": "other"}), ("/principals", TENANT), ("/tenants/acme/disable", None)):
        answer = stage.ask("POST", path, body, idempotency_key="k-1")
        assert code_of(answer) == (422, Code.IDEMPOTENCY_MISMATCH)
    assert stage.get("/tenants/acme")["enabled"] is True


def test_a_key_is_its_callers_own(stage: AdminStage) -> None:
    stage.store.put_account(client("other"))
    stage.ask("POST", "/tenants", TENANT, idempotency_key="k-1")
    for token in (stage.token(sub="other"), stage.token(sub="other", client_id="other")):
        answer = stage.ask("POST", "/tenants", TENANT, token=token, idempotency_key="k-1")
        assert code_of(answer) == (409, Code.RECORD_EXISTS)
    less = stage.ask("POST", "/tenants", TENANT, token=stage.token("admin:clients"), idempotency_key="k-1")
    assert code_of(less) == (403, Code.INSUFFICIENT_SCOPE)


def test_who_may_do_less_is_not_answered_as_who_may_do_more(stage: AdminStage) -> None:
    body = {"name": "chief", "scopes": ["admin:keys"]}
    assert stage.ask("POST", "/principals", body, idempotency_key="k-1").status_code == 201
    less = stage.ask("POST", "/principals", body, token=stage.token("admin:principals"), idempotency_key="k-1")
    assert code_of(less) == (403, Code.INSUFFICIENT_SCOPE)


def test_another_version_is_another_request(stage: AdminStage) -> None:
    stage.make("/tenants", TENANT)
    assert stage.ask("POST", "/tenants/acme/disable", idempotency_key="k-1", if_match="*").status_code == 200
    other = stage.ask("POST", "/tenants/acme/disable", idempotency_key="k-1", if_match='"v9"')
    assert code_of(other) == (422, Code.IDEMPOTENCY_MISMATCH)


def test_a_secret_is_neither_kept_nor_repeated() -> None:
    store = _Shown()
    stage = AdminStage(store)
    secret = stage.make("/clients", CI, idempotency_key="k-1")["client_secret"]
    assert secret
    assert secret not in store.marks()
    again = stage.ask("POST", "/clients", CI, idempotency_key="k-1")
    assert code_of(again) == (409, Code.SECRET_SHOWN)
    assert secret not in again.text
    assert len(stage.log.named("client.created")) == 1


def test_a_request_that_was_refused_leaves_its_key_as_new(stage: AdminStage) -> None:
    bad = stage.ask("POST", "/principals", {"name": "a", "tenant": "acme"}, idempotency_key="k-1")
    assert code_of(bad) == (400, Code.REQUEST_MALFORMED)
    stage.make("/tenants", TENANT)
    assert stage.ask("POST", "/principals", {"name": "a", "tenant": "acme"}, idempotency_key="k-1").status_code == 201


class _Torn(MemoryStore):
    """A store that goes away in the middle of a request."""

    def issuance(self, token_id: str) -> Issuance | None:
        raise StoreUnavailable("the store does not answer")


def test_what_failed_in_the_middle_is_not_done_again() -> None:
    stage = AdminStage(_Torn())
    assert code_of(stage.ask("POST", "/tokens/t/revoke", idempotency_key="k")) == (503, Code.STORE_UNAVAILABLE)
    assert code_of(stage.ask("POST", "/tokens/t/revoke", idempotency_key="k")) == (409, Code.IDEMPOTENCY_PENDING)


def test_a_key_is_as_new_after_a_day(stage: AdminStage) -> None:
    stage.ask("POST", "/tenants", TENANT, idempotency_key="k-1")
    stage.clock.advance(KEPT_S)
    token = stage.token(exp=int(stage.clock.now_s()) + 60, iat=int(stage.clock.now_s()))
    other = stage.ask("POST", "/tenants", {"name": "other"}, token=token, idempotency_key="k-1")
    assert other.status_code == 201


@pytest.mark.parametrize("key", ["", " ", "a b", "k" * 256])
def test_a_key_that_is_none(stage: AdminStage, key: str) -> None:
    answer = stage.ask("POST", "/tenants", TENANT, idempotency_key=key)
    assert code_of(answer) == (400, Code.REQUEST_MALFORMED)
    assert stage.get("/tenants")["items"] == []


def test_two_keys_are_one_too_many(stage: AdminStage) -> None:
    headers = [("authorization", f"Bearer {stage.token()}"), ("idempotency-key", "a"), ("idempotency-key", "b")]
    answer = stage.http.post("/admin/api/tenants", json=TENANT, headers=headers)
    assert code_of(answer) == (400, Code.REQUEST_MALFORMED)
