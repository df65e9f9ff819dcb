"""Rows DP-13 to DP-21, MT-01 and IN-06 of the token checklist at the token service (RFC 9449 s5 to s9, RFC 8705).

DP-01 to DP-12 are of proofs themselves: tests/unit/core/test_dpop.py. What the gateway does with bound tokens, F15 and
E07 among it, is in tests/unit/gateway/test_possession.py.
"""

import json
from typing import Any, Final

import pytest
from cryptography import x509
from httpx2 import Response

from jotgate.core.accounts import ClientRecord
from jotgate.core.dpop import PROOF_ALGORITHMS
from jotgate.core.possession import certificate_hash
from jotgate.core.proof_times import ProofRules, Sight, Verdict
from jotgate.errors import Code
from jotgate.jose.encoding import b64url_encode
from jotgate.services.binding import Binder
from jotgate.services.used_proofs import UsedProofs
from tests.callers import NAME
from tests.certificates import certificate
from tests.proving import Holder
from tests.token_stage import Chance, TokenStage, basic, client
from tests.token_stage import claims_of as token_claims

TOKEN_URL: Final = NAME + "/oauth/token"
DN: Final = "CN=robot,O=Example"


class BoundStage(TokenStage):
    """A token service whose start is long over, with a key and a certificate to bind tokens to."""

    def __init__(self) -> None:
        super().__init__()
        self.clock.advance(600)
        self.holder = Holder()
        self.put(client())

    def prove(self, **claims: Any) -> str:
        claims = {"url": TOKEN_URL, "method": "POST", **claims}
        return self.holder.prove(claims.pop("method"), claims.pop("url"), self.clock.now_s(), **claims)

    def get(self, proof: str | None = None, shown: bytes = b"", **form: str) -> Response:
        """Ask for a token with a proof and a certificate."""
        fields = {} if proof is None else {"dpop": proof}
        if shown:
            fields["x-jotgate-certificate"] = b64url_encode(shown).decode()
        asked = {"grant_type": "client_credentials", **form}
        return self.post("/oauth/token", asked, authorization=basic("ci"), **fields)

    def machine(self, shown: bytes, **changes: Any) -> Response:
        """Ask as the client `robot`, which has a certificate."""
        known = {"authentication": "tls_client_auth", "grants": ("client_credentials",), "scopes": ("ai",)}
        if not any(name.startswith("tls_") for name in changes):
            known["tls_subject_dn"] = DN
        self.put(ClientRecord(name="robot", **{**known, **changes}))
        form = {"grant_type": "client_credentials", "client_id": "robot"}
        fields = {"x-jotgate-certificate": b64url_encode(shown).decode()} if shown else {}
        return self.post("/oauth/token", form, **fields)


@pytest.fixture
def stage() -> BoundStage:
    return BoundStage()


class Away:
    """Who remembers used proofs, but is not there (services.binding.ProofJudge)."""

    async def look(self, _sight: Sight) -> Verdict:
        return Verdict("fresh")

    async def judge(self, _sight: Sight) -> Verdict:
        return Verdict("unknown")


def claims_of(answer: Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return token_claims(answer.json()["access_token"])


def word(answer: Response) -> tuple[int, str, str]:
    """Status, word and code of a refusal."""
    body = answer.json()
    return answer.status_code, body["error"], body["code"]


def test_DP_13_a_token_that_is_got_with_a_proof_is_bound_to_its_key(stage: BoundStage) -> None:
    answer = stage.get(stage.prove())
    assert (answer.status_code, answer.json()["token_type"]) == (200, "DPoP")
    assert claims_of(answer)["cnf"] == {"jkt": stage.holder.jkt}
    plain = stage.get()
    assert plain.json()["token_type"] == "Bearer"
    assert "cnf" not in claims_of(plain)


@pytest.mark.parametrize(
    "claims",
    [
        {"method": "GET"},
        {"url": NAME + "/oauth/revoke"},
        {"url": "http://gate.example/oauth/token"},
        {"jti": None},
        {"iat": 1},
        {"header": {"typ": "JWT"}},
        {"header": {"jwk": None}},
    ],
)
def test_DP_13_a_bad_proof_is_invalid_dpop_proof_and_nothing_is_issued(
    stage: BoundStage, claims: dict[str, Any]
) -> None:
    assert word(stage.get(stage.prove(**claims))) == (400, "invalid_dpop_proof", Code.DPOP_REFUSED)
    assert stage.log.named("token.issued") == []


def test_DP_17_a_proof_gets_one_token_and_one_that_failed_is_not_used_up(stage: BoundStage) -> None:
    assert stage.get(stage.prove(jti="one", method="GET")).status_code == 400
    good = stage.prove(jti="one")
    assert stage.get(good).status_code == 200
    assert word(stage.get(good)) == (400, "invalid_dpop_proof", Code.DPOP_REFUSED)
    assert word(stage.get(stage.prove(jti="one")))[1] == "invalid_dpop_proof"


def test_DP_17_who_has_used_up_its_share_gets_503_at_the_token_endpoint(stage: BoundStage) -> None:
    stage.proofs._used = UsedProofs(capacity=4)
    assert [stage.get(stage.prove()).status_code for _ in range(3)] == [200, 200, 503]
    refused = stage.get(stage.prove())
    assert "so many DPoP proofs of this client" in refused.json()["error_description"]


def test_DP_17_who_does_not_prove_who_it_is_uses_up_no_proof(stage: BoundStage) -> None:
    proof = stage.prove()
    form = {"grant_type": "client_credentials", "client_id": "ci", "client_secret": "wrong"}
    assert stage.post("/oauth/token", form, dpop=proof).status_code == 401
    assert stage.get(proof).status_code == 200


def test_DP_01_two_proofs_at_the_token_endpoint_are_refused(stage: BoundStage) -> None:
    assert word(stage.get(f"{stage.prove()}, {stage.prove()}"))[1] == "invalid_dpop_proof"


def test_DP_13_a_nonce_is_asked_for_once_in_one_field(stage: BoundStage) -> None:
    stage.proof_rules = ProofRules(nonce_required=True)
    wanted = stage.get(stage.prove())
    assert word(wanted) == (400, "use_dpop_nonce", Code.DPOP_NONCE_WANTED)
    (nonce,) = wanted.headers.get_list("dpop-nonce")
    assert "," not in nonce
    assert stage.get(stage.prove(nonce=nonce)).status_code == 200
    assert word(stage.get(stage.prove(nonce="A" * 32)))[1] == "use_dpop_nonce"


def test_DP_17_what_gets_no_token_uses_up_no_proof(stage: BoundStage) -> None:
    """Else anybody could fill the memory of used proofs."""
    proof = stage.prove()
    assert stage.get(proof, scope="embeddings.none").status_code == 400
    assert stage.get(proof, resource="https://other.example").status_code == 400
    assert stage.get(proof).status_code == 200
    assert word(stage.get(proof))[1] == "invalid_dpop_proof"


@pytest.mark.parametrize("binding", ["required-dpop", "required-mtls"])
def test_DP_15_a_client_that_must_bind_gets_no_other_token(stage: BoundStage, binding: Any) -> None:
    stage.put(client(binding=binding))
    assert word(stage.get()) == (400, "invalid_request", Code.BINDING_REQUIRED)
    shown = certificate()
    if binding == "required-dpop":
        assert word(stage.get(shown=shown))[2] == Code.BINDING_REQUIRED
        assert claims_of(stage.get(stage.prove()))["cnf"] == {"jkt": stage.holder.jkt}
    else:
        assert word(stage.get(stage.prove()))[2] == Code.BINDING_REQUIRED
        assert word(stage.get(stage.prove(), shown))[2] == Code.BINDING_REQUIRED
        answer = stage.get(shown=shown)
        assert claims_of(answer)["cnf"] == {"x5t#S256": certificate_hash(shown)}
        assert answer.json()["token_type"] == "Bearer"


def test_IN_06_introspection_tells_what_a_token_is_bound_to(stage: BoundStage) -> None:
    bound = stage.get(stage.prove()).json()["access_token"]
    told = stage.introspect(bound)
    assert (told["active"], told["token_type"], told["cnf"]) == (True, "DPoP", {"jkt": stage.holder.jkt})
    by_certificate = stage.machine(certificate()).json()["access_token"]
    stage.put(client(scopes=("ai", "introspect")))
    told = stage.introspect(by_certificate)
    assert (told["token_type"], list(told["cnf"])) == ("Bearer", ["x5t#S256"])
    assert "cnf" not in stage.introspect(stage.get().json()["access_token"])


def test_PR_04_MD_06_the_documents_say_what_may_be_bound_and_how(stage: BoundStage) -> None:
    server = stage.http.get("/.well-known/oauth-authorization-server").json()
    assert server["dpop_signing_alg_values_supported"] == list(PROOF_ALGORITHMS)
    assert "none" not in json.dumps(server["dpop_signing_alg_values_supported"])
    assert server["tls_client_certificate_bound_access_tokens"] is True
    assert "tls_client_auth" in server["token_endpoint_auth_methods_supported"]
    gateway = stage.http.get("/.well-known/oauth-protected-resource").json()
    assert gateway["dpop_signing_alg_values_supported"] == list(PROOF_ALGORITHMS)
    assert (gateway["dpop_bound_access_tokens_required"], gateway["tls_client_certificate_bound_access_tokens"]) == (
        False,
        True,
    )
    stage.certificates = False  # Neither TLS that asks for one, nor a proxy that passes one on.
    for path in ("oauth-authorization-server", "openid-configuration", "oauth-protected-resource"):
        told = stage.http.get(f"/.well-known/{path}").json()
        assert not [name for name in told if name.startswith("tls_")], path
        assert "tls_client_auth" not in json.dumps(told), path
    admin = stage.http.get("/.well-known/oauth-protected-resource/admin/api").json()
    assert not [name for name in admin if "dpop" in name or "tls" in name], "it takes no bound token"


def test_DP_21_a_proof_in_another_field_is_none(stage: BoundStage) -> None:
    stage.put(client(binding="required-dpop"))
    fields = {"proxy-authorization": f"DPoP {stage.prove()}"}
    answer = stage.post("/oauth/token", {"grant_type": "client_credentials"}, authorization=basic("ci"), **fields)
    assert word(answer)[2] == Code.BINDING_REQUIRED


@pytest.mark.parametrize(
    ("kind", "name", "shown"),
    [
        ("tls_subject_dn", DN, certificate(DN)),
        ("tls_subject_dn", "2.5.4.3=robot,O=Example", certificate(DN)),
        ("tls_san_dns", "robot.example", certificate("CN=x", x509.DNSName("robot.example"))),
        ("tls_san_dns", "ROBOT.example", certificate("CN=x", x509.DNSName("robot.EXAMPLE"), x509.DNSName("y"))),
        (
            "tls_san_uri",
            "spiffe://example/robot",
            certificate("CN=x", x509.UniformResourceIdentifier("spiffe://example/robot")),
        ),
    ],
)
def test_MT_01_a_client_is_known_by_the_one_name_of_its_certificate(
    stage: BoundStage, kind: str, name: str, shown: bytes
) -> None:
    answer = stage.machine(shown, **{kind: name})
    assert answer.status_code == 200, answer.text
    assert claims_of(answer)["cnf"] == {"x5t#S256": certificate_hash(shown)}


@pytest.mark.parametrize(
    ("kind", "name", "shown"),
    [
        ("tls_subject_dn", DN, b""),
        ("tls_subject_dn", DN, b"no certificate"),
        ("tls_subject_dn", DN, certificate("CN=robot")),
        ("tls_subject_dn", DN, certificate("O=Example,CN=robot")),
        ("tls_subject_dn", DN, certificate("CN=robot,O=Example,C=DE")),
        ("tls_subject_dn", DN, certificate("CN=Robot,O=Example")),
        ("tls_subject_dn", DN, certificate("CN=x", x509.DNSName("robot"))),
        ("tls_san_dns", "robot.example", certificate("CN=robot.example")),
        ("tls_san_dns", "robot.example", certificate("CN=x", x509.DNSName("*.example"))),
        ("tls_san_dns", "robot.example", certificate("CN=x", x509.DNSName("robot.example.evil"))),
        ("tls_san_uri", "spiffe://e/r", certificate("CN=x", x509.UniformResourceIdentifier("spiffe://e/r/x"))),
        ("tls_subject_dn", DN, certificate(DN, days=0)),
    ],
)
def test_MT_01_any_other_certificate_is_not_the_clients(stage: BoundStage, kind: str, name: str, shown: bytes) -> None:
    stage.clock.advance(60)
    assert word(stage.machine(shown, **{kind: name})) == (401, "invalid_client", Code.CLIENT_REFUSED)


def test_MT_01_a_certificate_is_no_substitute_for_the_way_that_a_client_is_registered_for(stage: BoundStage) -> None:
    form = {"grant_type": "client_credentials", "client_id": "ci"}
    fields = {"x-jotgate-certificate": b64url_encode(certificate("CN=ci")).decode()}
    assert stage.post("/oauth/token", form, **fields).status_code == 401
    stage.machine(certificate())
    secret = {"grant_type": "client_credentials", "client_id": "robot", "client_secret": "x"}
    assert stage.post("/oauth/token", secret, **fields).status_code == 401


def test_a_certificate_that_nobody_asked_for_binds_nothing(stage: BoundStage) -> None:
    assert "cnf" not in claims_of(stage.get(shown=certificate()))


def test_F18_without_the_memory_of_used_proofs_nothing_is_issued(stage: BoundStage) -> None:
    stage.binder = Binder(NAME, Away(), Chance())
    answer = stage.get(stage.prove())
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert "retry-after" in answer.headers
    assert stage.log.named("token.issued") == []
