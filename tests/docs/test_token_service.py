"""docs/token-service.md names every route, grant and way of authentication that there is."""

from jotgate.control.oauth import oauth_routes
from jotgate.core.grants import GRANT_TYPES
from jotgate.core.metadata import documents
from tests.callers import NAME
from tests.docs.pages import pages
from tests.token_stage import TokenStage


def test_every_route_is_in_the_table() -> None:
    stage = TokenStage()
    spans = pages()["docs/token-service.md"].spans()
    paths = {route.path: min(route.methods - {"HEAD"}) for route in oauth_routes(stage.desk) if route.methods}
    assert documents(NAME, stage.grants, certificates=True).keys() < paths.keys()
    admin = "/.well-known/oauth-protected-resource/admin/api"
    assert [path for path, method in paths.items() if f"{method} {path}" not in spans] == [admin]
    assert "…/admin/api" in spans


def test_every_grant_and_way_of_authentication_is_there() -> None:
    spans = pages()["docs/token-service.md"].spans()
    told = TokenStage().http.get("/.well-known/oauth-authorization-server").json()
    assert [name for name in GRANT_TYPES if name not in spans] == []
    assert [name for name in told["token_endpoint_auth_methods_supported"] if name not in spans] == []
