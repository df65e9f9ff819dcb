"""Calls the admin API as its OpenAPI document says, and as it does not say, and holds the answers to the document."""

from collections.abc import Callable
from typing import Any, Final

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode, Response
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from jotgate.control.admin.application import PREFIX
from jotgate.control.admin.routes import ROUTES
from jotgate.control.admin.shapes import AdminRoute

MODES: Final = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
_TOO_LONG: Final = 413
_SLOW: Final = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)

Call = Callable[[Case[Any]], Response]
"""Sends a request, with a token that is good when it is sent."""


def read_document(document: Any) -> OpenApiSchema:
    """The document, which must be one of OpenAPI."""
    schema = schemathesis.openapi.from_dict(document)
    schema.validate()
    return schema


def calls(count: int, *, steady: bool = False) -> settings:
    """So many calls of each route; `steady`: the same ones each time."""
    return settings(max_examples=count, deadline=None, database=None, derandomize=steady, suppress_health_check=_SLOW)


def explore(
    schema: OpenApiSchema,
    route: AdminRoute,
    mode: GenerationMode,
    call: Call,
    *,
    how: settings,
    names: dict[str, str] | None = None,
) -> set[int]:
    """Call one route, with these `names` in its path if they are given. Returns the statuses.

    Fails for a 5xx, and for a status, a type, a header or a body that is not in the document; and where something that
    the document does not allow is done. What it allows may be refused all the same, as not everything can be said
    there.
    """
    operation = schema[PREFIX + route.path][route.method]
    seen: set[int] = set()

    @how
    @given(operation.as_strategy(generation_mode=mode, path_parameters=names))
    def hold(case: Case[Any]) -> None:
        response = call(case)
        seen.add(response.status_code)
        if response.status_code == _TOO_LONG:  # What is too long is refused by its length, whatever it says.
            case.validate_response(response, excluded_checks=[positive_data_acceptance, negative_data_rejection])
        else:
            case.validate_response(response, excluded_checks=[positive_data_acceptance])

    hold()
    return seen


def routes_with_names() -> list[AdminRoute]:
    """The routes that have names in their paths."""
    return [route for route in ROUTES if route.names]
