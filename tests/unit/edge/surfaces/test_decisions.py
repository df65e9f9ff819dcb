"""What proxies are answered: who passes, what the upstream is told of them, and how each kind of proxy is told no."""

import json
import ssl
from urllib.parse import quote

import pytest
from msgspec.structs import replace

from jotgate.core.decisions import IDENTITY_FIELDS, DecisionRules, PathRule
from jotgate.core.durable import RevocationKind
from jotgate.core.edge import CertificateField
from jotgate.core.expectations import RouteExpectation
from jotgate.core.policy_values import Policy
from jotgate.core.possession import certificate_hash
from jotgate.core.proof_times import Verdict
from jotgate.core.revocations import Entry, handle_name, token_handle
from jotgate.core.snapshot import Limits
from jotgate.testing.issuer import wrong_tokens
from jotgate.testing.ports import RecordingCaller
from tests.callers import request
from tests.certificates import certificate
from tests.deciding import ALL, CALLER, FORWARDED, PROXY, Deciding, question, told
from tests.metering import quota
from tests.proving import Holder

ADMIN = PathRule(name="admin", path="/admin", scopes=("admin-things", "decide"))


def error(caller: RecordingCaller) -> tuple[int, str]:
    return caller.status, json.loads(caller.body)["error"]["code"]


@pytest.fixture
def stage() -> Deciding:
    return Deciding()


def test_a_good_token_passes_and_the_upstream_is_told_whose_it_is(stage: Deciding) -> None:
    token = stage.bearer(sub="ann", client_id="web")
    for caller in (stage.forwarded(token), stage.nginx(token), stage.envoy(token)):
        assert (caller.status, caller.body) == (200, b"")
        assert told(caller) == {
            "x-jot-subject": "ann",
            "x-jot-client": "web",
            "x-jot-scopes": "decide",
            "x-jot-issuer": stage.issuer.issuer,
        }
        assert caller.headers["cache-control"] == "no-store"
        assert set(caller.headers) >= {name.lower() for name in IDENTITY_FIELDS}, "a proxy overwrites what is spoofed"


def test_every_decision_is_recorded_with_its_caller_and_rule(stage: Deciding) -> None:
    stage.forwarded(stage.bearer(sub="ann"), b"/x?token=secret")
    stage.forwarded(b"", b"/x")
    passed, refused = stage.trail.records
    assert (passed.operation, passed.face, passed.model) == ("decide", "decisions", "all")
    assert (passed.subject, passed.peer, passed.status, passed.outcome) == ("ann", CALLER, 200, "complete")
    assert (refused.operation, refused.face, refused.model) == ("decide", "decisions", "all")
    assert (refused.subject, refused.peer, refused.status, refused.code) == ("", CALLER, 401, "token_missing")
    assert "secret" not in str(stage.trail.records)


def test_a_bad_token_is_refused_with_the_challenge_of_a_call(stage: Deciding) -> None:
    missing, bad = stage.forwarded(), stage.forwarded(stage.bearer()[:-4] + b"AAAA")
    assert (missing.status, missing.headers["www-authenticate"]) == (401, 'Bearer realm="jotgate"')
    assert error(bad) == (401, "signature_invalid")
    assert 'error="invalid_token"' in bad.headers["www-authenticate"]


def test_a_revoked_token_is_refused_from_the_moment_on_that_it_is_known(stage: Deciding) -> None:
    token = stage.bearer(jti="gone")
    assert stage.forwarded(token).status == 200
    name = handle_name(RevocationKind.TOKEN, token_handle(stage.issuer.issuer, "gone"))
    stage.world.verifier.revoked.take([Entry(name, None)])
    assert error(stage.forwarded(token)) == (401, "token_revoked")


def test_while_revocations_are_not_known_nobody_passes_unless_a_policy_lets_them() -> None:
    stage = Deciding()
    lenient = Deciding(policies=(Policy(name="blind", effect="allow", stale=True, routes=("all",)),))
    for one in (stage, lenient):
        one.clock.advance(61)
    refused = stage.forwarded(stage.bearer())
    assert error(refused) == (503, "control_stale")
    assert int(refused.headers["retry-after"]) >= 1
    assert lenient.forwarded(lenient.bearer()).status == 200
    assert lenient.trail.only.policy == "blind"


def test_a_path_says_which_scopes_it_takes() -> None:
    stage = Deciding(paths=(*ALL, ADMIN, PathRule(name="any", path="/any", scopes=())))
    refused = stage.forwarded(stage.bearer(), b"/admin/users")
    assert error(refused) == (403, "insufficient_scope")
    assert 'scope="admin-things decide"' in refused.headers["www-authenticate"]
    assert stage.forwarded(stage.bearer("admin-things decide"), b"/admin/users").status == 200
    assert stage.forwarded(stage.bearer("ai"), b"/x").status == 403, "'ai' is for AI calls"
    assert stage.forwarded(stage.bearer("embeddings"), b"/any").status == 200
    assert stage.forwarded(b"", b"/any").status == 401


def test_a_path_says_what_it_expects_of_tokens() -> None:
    expects = RouteExpectation(audiences=frozenset({"https://other.example"}))
    stage = Deciding(paths=(PathRule(name="other", expects=expects),))
    refused = stage.forwarded(stage.bearer())
    assert error(refused) == (401, "claim_refused")
    assert b"model" not in refused.body


def test_policies_speak_of_paths_by_their_names_and_of_callers_by_their_own_addresses() -> None:
    policies = (
        Policy(name="no-bob", effect="deny", subjects=("bob",), routes=("all",), operations=("decide",), reason="Bob"),
        Policy(name="home", effect="allow", addresses=("203.0.113.0/24",), routes=("al*",)),
    )
    stage = Deciding(policies=policies, paths=(*ALL, PathRule(name="other", path="/other")))
    assert stage.forwarded(stage.bearer(sub="ann")).status == 200
    refused = stage.forwarded(stage.bearer(sub="bob"))
    assert (error(refused), b": Bob" in refused.body) == ((403, "policy_denied"), True)
    assert stage.trail.records[-1].policy == "no-bob"
    assert "www-authenticate" not in refused.headers
    assert stage.forwarded(stage.bearer(sub="ann"), b"/other").status == 403
    assert stage.forwarded(stage.bearer(sub="ann"), x_forwarded_for=b"198.51.100.1").status == 403


def test_models_are_none_of_a_decision() -> None:
    stage = Deciding(policies=(Policy(name="models", effect="allow", models=("all",)),))
    assert stage.forwarded(stage.bearer()).status == 403
    assert Deciding().forwarded(Deciding().bearer(models=["gpt"])).status == 200


def test_a_decision_is_one_request_of_each_quota_and_a_refused_one_none() -> None:
    stage = Deciding(quota(2, "requests"), paths=(*ALL, ADMIN))
    token = stage.bearer()
    assert [stage.forwarded(token, b"/admin").status for _ in range(3)] == [403] * 3
    assert [stage.forwarded(token).status for _ in range(3)] == [200, 200, 429]
    refused = stage.forwarded(token)
    assert error(refused) == (429, "quota_exceeded")
    assert stage.rest().posted == 2
    assert (stage.trail.records[-1].code, stage.trail.records[-1].model) == ("quota_exceeded", "all")


def test_a_place_of_concurrent_calls_is_given_back_at_once() -> None:
    stage = Deciding(quota(1, "concurrent"))
    assert [stage.forwarded(stage.bearer()).status for _ in range(3)] == [200, 200, 200]


def test_nginx_is_told_what_it_can_pass_on_and_the_rest_in_a_field() -> None:
    stage = Deciding(quota(1, "requests"))
    token = stage.bearer()
    assert "x-jot-status" not in stage.nginx(token).headers
    spent, none, scope = stage.nginx(token), stage.nginx(), stage.nginx(stage.bearer("ai"))
    assert (spent.status, spent.headers["x-jot-status"]) == (403, "429")
    assert (none.status, none.headers["x-jot-status"]) == (401, "401")
    assert "Bearer" in none.headers["www-authenticate"]
    assert (scope.status, scope.headers["x-jot-status"]) == (403, "403")
    stage.clock.advance(61)
    blind = stage.nginx(token)
    assert (blind.status, blind.headers["x-jot-status"]) == (403, "503")
    assert int(blind.headers["retry-after"]) >= 1
    assert [one.status for one in stage.trail.records] == [200, 429, 401, 403, 503], "the log has what is meant"


def test_nginx_is_told_so_too_before_anything_is_decided(stage: Deciding) -> None:
    """A 400 would be a 500 there, and nobody would know why."""
    mute = stage.nginx(stage.bearer(), uri=b"")
    assert (mute.status, mute.headers["x-jot-status"]) == (403, "400")
    stranger = stage.put(question(b"/forward-auth", b"style=nginx", stage.bearer(), "192.0.2.9"))
    assert (stranger.status, stranger.headers["x-jot-status"]) == (403, "404")


@pytest.mark.parametrize("path", [b"/forward-auth", b"/ext-authz/x"])
def test_nobody_but_the_proxies_may_ask(stage: Deciding, path: bytes) -> None:
    for peer in ("192.0.2.9", CALLER, "::1", ""):
        stranger = stage.put(question(path, b"", stage.bearer(), peer, headers=FORWARDED))
        assert (stranger.status, stranger.body) == (404, b"unknown_operation")
    within = stage.put(question(path, b"", stage.bearer(), "10.9.8.7", headers=FORWARDED))
    assert within.status == 200


@pytest.mark.parametrize(
    "path", [b"/", b"/v1/models", b"/forward-authx", b"/forward-auth/", b"/ext-authz", b"/ext-auth"]
)
def test_all_other_paths_are_served_as_before(stage: Deciding, path: bytes) -> None:
    other = stage.put(question(path, b""))
    assert (other.status, other.body) == (299, path)


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        (b"192.0.2.1", "192.0.2.1"),
        (b"198.51.100.1, 192.0.2.1", "192.0.2.1"),
        (b"192.0.2.1, 10.1.1.1", "192.0.2.1"),
        (b"192.0.2.1, nonsense", PROXY),
    ],
)
def test_the_callers_address_is_the_last_that_is_none_of_the_proxies(
    stage: Deciding, chain: bytes, address: str
) -> None:
    for _ in range(2):
        stage.forwarded(stage.bearer(), x_forwarded_for=chain)
        assert stage.trail.records[-1].peer == address


def test_guesses_of_one_caller_hold_up_no_other_behind_the_same_proxy(stage: Deciding) -> None:
    stage.gateway.attempts.limit(Limits(failed_attempts=3))
    bad = stage.bearer()[:-4] + b"AAAA"
    statuses = [stage.forwarded(bad).status for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert stage.forwarded(bad, x_forwarded_for=b"198.51.100.1").status == 401
    assert stage.nginx(bad).headers["x-jot-status"] == "429"


def test_a_path_that_servers_read_in_two_ways_passes_nowhere_where_paths_decide() -> None:
    stage = Deciding(paths=(*ALL, ADMIN))
    for uri in (b"/x/../admin", b"/x/%2e%2e/admin", b"//admin", b"/x%2fadmin", b"/x/..;/admin"):
        assert error(stage.forwarded(stage.bearer(), uri)) == (400, "request_malformed")
        assert stage.trail.records[-1].operation == "decide"
    assert stage.forwarded(stage.bearer(), b"/%61dmin").status == 403


def test_a_method_that_no_rule_of_the_path_takes_is_told_which_are() -> None:
    stage = Deciding(paths=(PathRule(name="read", methods=frozenset({"GET"})),))
    refused = stage.envoy(stage.bearer(), b"/x", b"DELETE")
    assert (error(refused), refused.headers["allow"]) == ((405, "method_refused"), "GET")
    assert stage.envoy(stage.bearer(), b"/x", b"HEAD").status == 200


def test_a_public_path_asks_for_no_token_counts_nothing_and_tells_of_nobody() -> None:
    stage = Deciding(quota(0, "requests"), paths=(PathRule(name="open", public=True),))
    for token in (b"", stage.bearer(), b"Bearer nonsense"):
        passed = stage.forwarded(token)
        assert (passed.status, told(passed)) == (200, {})
        assert set(passed.headers) >= {name.lower() for name in IDENTITY_FIELDS}
    assert [(one.subject, one.model) for one in stage.trail.records] == [("", "open")] * 3


def test_a_preflight_passes_where_its_path_says_so() -> None:
    wish = {"origin": b"https://a.example", "access_control_request_method": b"PUT"}
    for allowed, status in ((True, 200), (False, 401)):
        stage = Deciding(paths=(PathRule(name="api", preflights=allowed),))
        assert stage.forwarded(b"", b"/x", b"OPTIONS", **wish).status == status
        assert stage.forwarded(b"", b"/x", b"OPTIONS").status == 401
        assert stage.forwarded(b"", b"/x", b"PUT", **wish).status == 401


def test_a_second_credential_is_refused_as_for_a_call_and_cookies_are_none(stage: Deciding) -> None:
    token = stage.bearer()
    assert error(stage.forwarded(token, x_api_key=b"k")) == (400, "credentials_ambiguous")
    assert error(stage.forwarded(token, b"/x?access_token=a")) == (400, "credentials_ambiguous")
    assert stage.forwarded(token, cookie=b"__Host-jotgate=x").status == 200
    assert stage.forwarded(b"", cookie=b"__Host-jotgate=" + token[7:]).status == 401


def test_a_snapshot_that_has_no_decisions_any_more_decides_nothing(stage: Deciding) -> None:
    """A proxy whose question was on its way when the settings changed."""
    stage.install(None)
    assert error(stage.forwarded(stage.bearer())) == (503, "not_ready")


def test_rules_of_a_newer_snapshot_hold_at_once_for_callers_that_are_known() -> None:
    policy = (Policy(name="rest", effect="allow"),)
    stage = Deciding(policies=policy)
    token = stage.bearer()
    assert stage.forwarded(token).status == 200
    stage.decide_by(DecisionRules(proxies=(PROXY,), paths=(PathRule(name="all", scopes=("more",)),)), policy)
    assert stage.forwarded(token).status == 403


def test_what_is_told_of_many_callers_is_of_each(stage: Deciding) -> None:
    tokens = {name: stage.bearer(sub=name) for name in ("ann", "bob")}
    for _ in range(2):
        for name, token in tokens.items():
            assert told(stage.forwarded(token))["x-jot-subject"] == name


def test_a_token_that_is_bound_to_a_key_needs_a_proof_for_the_url_of_the_proxy() -> None:
    """What a caller asked the proxy for is what its proof is about; no field of a request says who the proxy is."""
    stage, holder = Deciding(public_url="https://api.example"), Holder()
    asked: list[int] = []
    waits = stage.gateway.judge_proofs_by(lambda number, _: asked.append(number), stage.turns.soon)
    token = stage.issuer.token(scope="decide", cnf={"jkt": holder.jkt}).decode()

    def bring(url: str, scheme: str = "DPoP") -> RecordingCaller:
        proof = holder.prove("PUT", url, stage.clock.now_s(), token).encode()
        return stage.forwarded(f"{scheme} {token}".encode(), b"/reports/1?x=y", b"PUT", dpop=proof)

    passed = bring("https://api.example/reports/1")
    assert (passed.state, len(asked)) == ("waiting", 1)
    waits.answered(asked.pop(), Verdict("fresh"))
    stage.run()
    assert passed.status == 200
    assert error(bring("https://gate.example/reports/1")) == (401, "proof_refused")
    assert error(bring("https://api.example/reports/1", "Bearer")) == (401, "token_bound")


@pytest.mark.parametrize("field", ["", "x-ssl-client-cert"])
def test_a_certificate_is_that_which_the_proxy_was_shown_and_never_the_proxys_own(field: CertificateField) -> None:
    der = certificate()
    stage = Deciding(certificate_field=field)
    token = stage.bearer(cnf={"x5t#S256": certificate_hash(der)})
    told_of = quote(ssl.DER_cert_to_PEM_cert(der), safe="").encode()
    assert stage.forwarded(token, x_ssl_client_cert=told_of).status == (200 if field else 401)
    asked = question(b"/ext-authz/", b"", token)
    asked.certificate = der
    assert stage.put(asked).status == 401


def test_a_question_waits_until_it_is_known_whose_personal_token_it_has(stage: Deciding) -> None:
    asked: list[bytes] = []
    stage.gateway.find_tokens_by(asked.append, stage.turns.soon)
    caller = stage.nginx(b"Bearer jot_p_" + b"A" * 43)
    assert (caller.state, len(asked)) == ("waiting", 1)
    stage.tick(40)
    assert (caller.status, caller.headers["x-jot-status"]) == (403, "503")


def test_our_own_tokens_may_be_for_the_proxy_s_url_there_and_nowhere_else() -> None:
    stage = Deciding(public_url="https://api.example")
    token, other = stage.bearer(aud="https://api.example"), stage.bearer(aud="https://other.example")
    for _ in range(2):  # The second time it is in the cache that both share.
        assert stage.forwarded(token).status == 200
        assert error(stage.forwarded(other)) == (401, "claim_refused")
        native, _ = stage.ask(request(b'{"model":"a"}', authorization=token))
        assert error(native) == (401, "claim_refused")
    assert stage.forwarded(stage.bearer()).status == 200, (
        "one for the gateway passes too, unless its path says otherwise"
    )


def test_what_is_known_of_tokens_outlives_a_snapshot_that_changes_nothing_of_them() -> None:
    stage = Deciding(public_url="https://api.example")
    before = stage.world.of("decisions").verifier
    assert before is not stage.world.verifier
    stage.install(stage.world.snapshot.decisions, (Policy(name="rest", effect="allow"),))
    assert stage.world.of("decisions").verifier is before
    assert len(set(stage.world.verifiers)) == 2
    named = stage.world.snapshot.decisions
    assert named is not None
    stage.install(replace(named, public_url="https://other.example"))
    assert stage.world.of("decisions").verifier is not before
    stage.install(replace(named, public_url=""))
    assert stage.world.of("decisions").verifier is stage.world.verifier


def test_every_wrong_token_is_refused_for_its_own_reason_by_every_way_of_asking(stage: Deciding) -> None:
    source = stage.issuer
    wrong = wrong_tokens(source.key, source.issuer, source.audience, stage.clock.now_s())
    assert len(wrong) > 50
    for name, (token, code) in wrong.items():
        if b"\n" in token or b"\r" in token:
            continue  # No header field has it.
        for ask in (stage.forwarded, stage.nginx, stage.envoy):
            refused = ask(b"Bearer " + token)
            assert (refused.status in (400, 401), refused.headers.get("x-jot-subject")) == (True, None), name
            if refused.status == 401:
                assert error(refused)[1] == code, name
    assert {one.outcome for one in stage.trail.records} == {"refused"}
