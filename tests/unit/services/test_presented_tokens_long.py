"""What is longer than any token may be is refused in each form as what it is: no token."""

import pytest

from jotgate.core.grants import ACCESS_TOKEN_URN
from jotgate.jose.jws import TOKEN_BYTES_MAX
from tests.token_stage import asserting, basic, client
from tests.trading import EXCHANGE, JWT_BEARER, TradingFloor


@pytest.fixture
def floor() -> TradingFloor:
    found = TradingFloor()
    found.put(client(grants=tuple(found.grants)))
    return found


@pytest.mark.parametrize("length", [TOKEN_BYTES_MAX - 1, TOKEN_BYTES_MAX + 1, 2 * TOKEN_BYTES_MAX, 60_000])
@pytest.mark.parametrize("kind", ["e", "jot_p_", "jot_r_", "jot_s_", "signed", "claims"])
def test_a_token_that_is_too_long_is_refused_as_none(floor: TradingFloor, kind: str, length: int) -> None:
    good = floor.made().token
    head, _, rest = good.partition(".")
    text = {"signed": good, "claims": f"{head}.{'A' * length}.{rest}"}.get(kind, kind)
    text += "A" * (length - len(text))
    assert floor.introspect(text) == {"active": False}
    revoked = floor.post("/oauth/revoke", {"token": text}, authorization=basic("ci"))
    assert revoked.status_code == 200
    words = [
        floor.ask(EXCHANGE, subject_token=text, subject_token_type=ACCESS_TOKEN_URN),
        floor.ask(JWT_BEARER, assertion=text),
        floor.ask("refresh_token", refresh_token=text),
        floor.post("/oauth/token", {"grant_type": "client_credentials", **asserting(text)}),
    ]
    assert [(one.status_code, one.json()["error"]) for one in words] == [
        (400, "invalid_request"),
        (400, "invalid_grant"),
        (400, "invalid_grant"),
        (401, "invalid_client"),
    ]
    assert floor.issued == 1
