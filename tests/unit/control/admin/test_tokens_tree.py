"""The delegation tree over the admin API."""

import pytest

from jotgate.errors import Code
from tests.admin_stage import AdminStage, code_of


@pytest.fixture
def stage() -> AdminStage:
    return AdminStage()


def test_a_tree_shows_what_came_of_a_token_and_how_it_stands(stage: AdminStage) -> None:
    rows = (stage.issuance("t-1"), stage.issuance("t-2", parent="t-1"), stage.issuance("t-3", parent="t-2"))
    stage.store.add_issuances(rows)
    assert stage.ask("POST", "/tokens/t-2/revoke").status_code == 204
    tree = stage.get("/tokens/t-2/tree")
    nodes = [(one["token_id"], one["depth"], one["state"], one["named"]) for one in tree["nodes"]]
    assert nodes == [("t-1", 0, "live", False), ("t-2", 1, "revoked", True), ("t-3", 2, "revoked", False)]
    assert tree["more"] is False


def test_there_is_no_tree_of_what_is_not_known(stage: AdminStage) -> None:
    assert code_of(stage.ask("GET", "/tokens/t-9/tree")) == (404, Code.RECORD_MISSING)
