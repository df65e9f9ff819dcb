"""A running jotgate answers the admin API through its edge as its OpenAPI document says (schemathesis)."""

from typing import Any

import pytest
import requests
from schemathesis import Case, Response

from jotgate.control.admin.routes import ROUTES
from jotgate.testing.running import running_gateway
from tests.administrators import Administrator
from tests.documented import MODES, calls, explore, read_document

_EXAMPLES = 2


@pytest.mark.slow
@pytest.mark.timeout(180)  # A busy machine takes its time; no single call does.
def test_the_running_gateway_does_what_its_document_says() -> None:
    with running_gateway() as gateway, requests.Session() as session:
        root = Administrator(gateway)
        schema = read_document(root.get("/openapi.json"))

        def call(case: Case[Any]) -> Response:
            return case.call(base_url=gateway.url, session=session, headers={"Authorization": f"Bearer {root.token}"})

        seen = set()
        for route in ROUTES:
            for mode in MODES:
                seen |= explore(schema, route, mode, call, how=calls(_EXAMPLES, steady=True))
        assert seen >= {200, 400, 401, 404}
        assert gateway.errors == ""
