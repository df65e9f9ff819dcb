"""What has a name already and is not there yet: who names it counts on it, and is refused instead of passed over."""

from collections.abc import Mapping
from typing import Final

from jotgate.core.oauth_form import Form
from jotgate.errors import OAuthMalformed

NOT_OFFERED: Final[Mapping[str, str]] = {
    "tools": "tools come with MCP routes",
    "limits": "limits come with quotas",
}
"""The members of accounts and of authorization details, and when they come."""

_PARAMETERS: Final = (*NOT_OFFERED, *(name.removesuffix("s") for name in NOT_OFFERED))


def check_offered(form: Form) -> None:
    """Refuse a request for a token that is to be bounded by what there is not yet. Raises OAuthMalformed."""
    for name in _PARAMETERS:
        if name in form.values:
            raise OAuthMalformed(f"'{name}' is not offered yet", hint=f"Leave out '{name}'")
