"""What has a name and is not there, or not there yet: who names it counts on it, and is refused, not passed over."""

from collections.abc import Mapping
from typing import Final

from jotgate.core.oauth_form import Form
from jotgate.errors import OAuthMalformed

NOT_OFFERED: Final[Mapping[str, str]] = {"tools": "tools are scopes, such as mcp:files:read_file"}
"""Members of accounts and of authorization details, and when they come."""

ELSEWHERE: Final[Mapping[str, str]] = {"limits": "limits of accounts are set with 'jotgate quota set'"}
"""Members that accounts do not have, and where what they mean is said."""

_NOT_YET: Final = frozenset({"tools", "tool"})
_DETAILS: Final = frozenset({"limits", "limit"})


def check_offered(form: Form) -> None:
    """Refuse a request for a token that is to be bounded by what is no parameter. Raises OAuthMalformed."""
    for name in form.values:
        if name in _NOT_YET:
            raise OAuthMalformed(f"'{name}' is not offered", hint=f"Leave out '{name}'")
        if name in _DETAILS:
            raise OAuthMalformed(f"'{name}' is no parameter", hint="Name 'limits' in 'authorization_details'")
