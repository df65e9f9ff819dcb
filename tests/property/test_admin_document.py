"""The admin API is what its OpenAPI document says: no 5xx, and no status or body that is not in it (schemathesis)."""

from typing import Any, Final

import pytest
from schemathesis import Case, GenerationMode, Response
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.schemas import OpenApiSchema

from jotgate.control.admin.routes import ROUTES
from jotgate.control.admin.shapes import AdminRoute
from tests.admin_stage import AdminStage
from tests.documented import MODES, calls, explore, read_document, routes_with_names

_EXAMPLES: Final = 6
_CI: Final = {"name": "known-client", "grants": ["client_credentials"], "scopes": ["ai"]}


class Documented:
    """The admin API over a store that has one of each noun, and its document."""

    def __init__(self) -> None:
        self.stage = AdminStage()
        self.schema: OpenApiSchema = read_document(self.stage.get("/openapi.json"))
        self.schema.app = self.stage.application

    def call(self, case: Case[Any]) -> Response:
        """Send a request; one that has an Authorization field of its own keeps it."""
        return case.call(headers={"Authorization": f"Bearer {self.stage.token()}"})

    def fill(self) -> dict[str, dict[str, str]]:
        """Have one of each noun, and return their names, by the first part of the path."""
        stage = self.stage
        for path, body in (
            ("/tenants", {"name": "known"}),
            ("/clients", _CI),
            ("/principals", {"name": "known", "scopes": ["ai"]}),
            ("/issuers", {"name": "known", "issuer": "https://idp.example", "enabled": False}),
            ("/personal-tokens", {"subject": "known", "name": "known"}),
        ):
            stage.ask("POST", path, body)
        stage.store.add_issuances((stage.issuance("known"),))
        kid = stage.get("/keys")["items"][0]["kid"]
        return {
            "tenants": {"name": "known"},
            "clients": {"name": "known-client"},
            "principals": {"name": "known"},
            "issuers": {"name": "known"},
            "personal-tokens": {"subject": "known", "name": "known"},
            "tokens": {"jti": "known"},
            "families": {"family_id": "known"},
            "keys": {"kid": kid},
            "quotas": {"level": "principal", "name": "known"},
        }


@pytest.fixture(scope="module")
def documented() -> Documented:
    return Documented()


@pytest.mark.parametrize("mode", MODES, ids=[mode.name for mode in MODES])
@pytest.mark.parametrize("route", ROUTES, ids=[route.name for route in ROUTES])
def test_a_route_does_what_the_document_says(documented: Documented, route: AdminRoute, mode: GenerationMode) -> None:
    statuses = explore(documented.schema, route, mode, documented.call, how=calls(_EXAMPLES))
    assert statuses


@pytest.mark.parametrize("route", routes_with_names(), ids=[route.name for route in routes_with_names()])
def test_a_route_does_so_with_what_is_there(documented: Documented, route: AdminRoute) -> None:
    names = documented.fill()[route.path.split("/")[1]]
    explore(documented.schema, route, MODES[0], documented.call, how=calls(_EXAMPLES), names=names)


def test_the_document_has_each_route_and_no_other(documented: Documented) -> None:
    paths = documented.stage.get("/openapi.json")["paths"]
    found = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert found == {(route.method, "/admin/api" + route.path) for route in ROUTES}


@pytest.mark.parametrize("lost", ["404", "schema"])
def test_a_difference_from_the_document_would_be_found(lost: str) -> None:
    documented = Documented()
    document = documented.stage.get("/openapi.json")
    operation = document["paths"]["/admin/api/tenants/{name}"]["get"]
    if lost == "404":
        del operation["responses"]["404"]
    else:
        document["components"]["schemas"]["TenantView"]["properties"]["title"]["type"] = "integer"
    documented.schema = read_document(document)
    documented.schema.app = documented.stage.application
    route = next(route for route in ROUTES if route.name == "getTenant")
    names = documented.fill()["tenants"] if lost == "schema" else None
    with pytest.raises(FailureGroup):
        explore(documented.schema, route, MODES[0], documented.call, how=calls(3), names=names)
