"""A connection goes on with another token of its subject, and with none that is bound to less than the first one."""

from typing import Any

import pytest
from msgspec.structs import replace

from jotgate.core.calls import Body, Request
from jotgate.core.dpop import Target, read_proof
from jotgate.core.operations import find_operation
from jotgate.core.possession import Possession, certificate_hash
from jotgate.core.proof_times import Verdict
from jotgate.core.routes import Attempt, Route
from jotgate.errors import ClaimRefused, Code, TokenBound, TokenError
from jotgate.gateway.admission import Call, authenticate
from jotgate.gateway.socket_renewal import renew
from tests.proving import Holder
from tests.stages import Stage

URL = "https://gateway.example/v1/realtime"
MINE, OTHER = b"a certificate in DER", b"another certificate"


class Opened:
    """A connection of somebody whose first token is bound as it says."""

    def __init__(self, cnf: dict[str, str] | None = None, *, holder: Holder | None = None) -> None:
        self.stage = Stage()
        token = self.token(cnf)
        scheme = b"Bearer " if holder is None else b"DPoP "
        request = Request(
            b"GET",
            b"/v1/realtime",
            b"model=a&ticket=jot_t_x",
            {b"authorization": scheme + token, b"cookie": b"kept=no", b"user-agent": b"tests"},
            "192.0.2.1",
            0.0,
            certificate=MINE,
        )
        if holder is not None:
            proof = holder.prove("GET", URL, self.stage.clock.now_s(), token.decode())
            read = read_proof(proof.encode(), Target("GET", URL), token)
            request.possession = Possession(read, Verdict("fresh"))
        operation = find_operation(b"GET", b"/v1/realtime")
        world = self.stage.gateway.world
        assert world is not None
        self.world = world
        plain = replace(request, query=b"")
        principal = authenticate(plain, operation, world, self.stage.clock.now_s())
        route = Route("a", (Attempt("up", "a"),), attempts_max=1)
        self.call = Call(request, operation, principal, Body({}, b"", "a", True), route, world)

    def token(self, cnf: dict[str, str] | None = None, **claims: Any) -> bytes:
        now_s = int(self.stage.clock.now_s())
        bound = {} if cnf is None else {"cnf": cnf}
        return self.stage.issuer.token(iat=now_s, exp=now_s + 600, **bound, **claims)

    def renew(self, token: bytes) -> Request:
        return renew(self.call, self.world, token, self.stage.clock.now_s())[0]

    def refusal(self, token: bytes) -> Code:
        with pytest.raises(TokenError) as refused:
            self.renew(token)
        return refused.value.code


def of(certificate: bytes) -> dict[str, str]:
    return {"x5t#S256": certificate_hash(certificate)}


def test_the_request_has_the_new_token_alone() -> None:
    opened = Opened()
    request = opened.renew(opened.token())
    assert (request.query, request.credential_place, request.redemption) == (b"", "", None)
    assert request.headers.keys() == {b"authorization", b"user-agent"}
    with pytest.raises(ClaimRefused):
        opened.renew(opened.token(sub="somebody-else"))


def test_a_key_is_kept() -> None:
    holder, other = Holder(), Holder()
    opened = Opened({"jkt": holder.jkt}, holder=holder)
    assert opened.renew(opened.token({"jkt": holder.jkt})).headers[b"authorization"].startswith(b"DPoP ")
    for cnf in (None, {"jkt": other.jkt}, of(MINE)):
        assert opened.refusal(opened.token(cnf)) == Code.TOKEN_BOUND


def test_a_certificate_is_kept() -> None:
    opened = Opened(of(MINE))
    assert opened.renew(opened.token(of(MINE))).headers[b"authorization"].startswith(b"Bearer ")
    for cnf in (None, of(OTHER), {"jkt": Holder().jkt}):
        assert opened.refusal(opened.token(cnf)) == Code.TOKEN_BOUND


def test_one_that_was_bound_to_nothing_may_be_bound_to_what_the_connection_has() -> None:
    opened = Opened()
    opened.renew(opened.token(of(MINE)))
    with pytest.raises(TokenBound, match="what this connection was opened with"):
        opened.renew(opened.token({"jkt": Holder().jkt}))
