"""What is wrong with an account: each fault by its member, with what to write there, and all of them at once."""

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from jotgate.core.account_checks import check_client, check_principal, check_tenant, check_values
from jotgate.core.account_values import ClientValues, PrincipalValues, TenantValues, client_with, tenant_with
from jotgate.core.accounts import ClientRecord, PrincipalRecord, Role, SecretDigest, TenantRecord
from jotgate.core.opaque import OPAQUE_BYTES, Mark, make_opaque
from jotgate.jose.keys import generate, public_jwk

DEFAULT = TenantRecord(name="default", roles=(Role("reader"),))
GOOD = ClientRecord(name="ci", grants=("client_credentials",), scopes=("ai",))
KEY = generate("ES256")


def jwks(*keys: object) -> Raw:
    return Raw(json.dumps({"keys": keys}).encode())


def faults_of(**values: Any) -> dict[str, str]:
    """The faults of a client that is good but for these values, by member."""
    changed = client_with(GOOD, ClientValues(**values))
    found: dict[str, str] = {}
    for path, fault in check_client(changed, DEFAULT):
        found[path] = f"{found[path]}; {fault}" if path in found else fault
    return found


@pytest.mark.parametrize("name", [".", ".."])
def test_a_step_of_a_path_names_nobody(name: str) -> None:
    (fault,) = check_principal(PrincipalRecord(name=name), DEFAULT)
    assert fault == ("name", f"'{name}' in the path of a URL is a step, not a name; choose another")
    assert check_client(msgspec.structs.replace(GOOD, name=name), DEFAULT)
    assert check_tenant(TenantRecord(name=name))


@pytest.mark.parametrize("mark", Mark)
def test_a_token_or_secret_is_no_name_and_is_not_repeated(mark: Mark) -> None:
    secret = make_opaque(mark, bytes(range(OPAQUE_BYTES))).reveal()
    for path, fault in check_values(ClientValues(title=secret), secret):
        assert path in {"name", "title"}
        assert "is a token or secret" in fault
        assert secret not in fault


def test_a_good_client_has_no_fault() -> None:
    assert faults_of() == {}
    assert faults_of(roles=("reader",), scopes=(), models=("echo",), access_ttl_s=86_400) == {}
    assert faults_of(grants=("login",), scopes=()) == {}, "a login's tokens say nothing of its client's scopes"
    assert faults_of(grants=("jwt_bearer", "refresh_token"), authentication="none") == {}
    assert faults_of(jwks=jwks(public_jwk(KEY.verification_key)), authentication="private_key_jwt") == {}
    assert faults_of(audiences=("https://files.example", "urn:files"), scopes=("https://files.example/read",)) == {}


@pytest.mark.parametrize(
    ("values", "member", "wanted"),
    [
        ({"grants": ()}, "grants", "is empty"),
        ({"grants": ("password",)}, "grants", "'password' is no grant; known here: client_credentials"),
        ({"grants": ("client_credential",)}, "grants", "did you mean 'client_credentials'?"),
        ({"grants": ("refresh_token",)}, "grants", "with token_exchange or jwt_bearer only"),
        ({"grants": ("client_credentials", "refresh_token")}, "grants", "with token_exchange or jwt_bearer only"),
        ({"authentication": "none"}, "authentication", "may not use client_credentials"),
        ({"grants": ("login",), "authentication": "none"}, "authentication", "may log nobody in"),
        ({"grants": ("login",), "tenant": "acme"}, "grants", "is for clients of the tenant 'default'"),
        ({"grants": ("login",), "binding": "required-dpop"}, "binding", "is of no use with the grant login"),
        ({"grants": ("login", "client_credentials"), "scopes": ()}, "scopes", "its tokens could do nothing"),
        ({"authentication": "client_secret_jwt"}, "authentication", "is no way to authenticate"),
        ({"authentication": "private_key_jwt"}, "jwks", "is missing"),
        ({"scopes": ()}, "scopes", "its tokens could do nothing"),
        ({"scopes": ("everything",)}, "scopes", "'everything' is unknown"),
        ({"scopes": ("offline_access",)}, "scopes", "is given to nobody"),
        ({"scopes": ("https://files.example/read",)}, "scopes", "begins with its URL and a slash"),
        ({"scopes": tuple(f"s{n}" for n in range(65))}, "scopes", "has 65 items, and 64 is the most"),
        ({"roles": ("writer",)}, "roles", "the tenant 'default' has no role 'writer'; known here: reader"),
        ({"audiences": ("files.example",)}, "audiences", "is no absolute URI"),
        ({"audiences": ("https://files.example/#a",)}, "audiences", "is no absolute URI"),
        ({"audiences": ("https://files.example#",)}, "audiences", "is no absolute URI"),
        ({"audiences": ("https:///path",)}, "audiences", "is no absolute URI"),
        ({"audiences": ("https://[::1",)}, "audiences", "is no absolute URI"),
        ({"audiences": ("https://files.example/a b",)}, "audiences", "is no absolute URI"),
        ({"audiences": ('https://files.example/"',)}, "audiences", "is no absolute URI"),
        ({"audiences": ("https://ünder.example",)}, "audiences", "is no absolute URI"),
        ({"audiences": ("https://files.example/" + "a" * 240,)}, "audiences", "is no absolute URI"),
        ({"access_ttl_s": 0}, "access_ttl_s", "from 1 s to 24 h"),
        ({"access_ttl_s": 86_401}, "access_ttl_s", "from 1 s to 24 h"),
        ({"access_ttl_s": -(10**18)}, "access_ttl_s", "from 1 s to 24 h"),
    ],
)
def test_each_fault_of_a_client_says_where_and_what_to_do(values: dict[str, object], member: str, wanted: str) -> None:
    found = faults_of(**values)
    assert wanted in found[member]
    assert set(found) == {member}


@pytest.mark.parametrize("name", ["", "-x", "_x", "a b", "a/b", "https://x", "é", "x" * 129, "a\n", "a:b", "a'b"])
def test_a_client_id_is_a_word_that_no_header_and_no_shell_reads_otherwise(name: str) -> None:
    found = dict(check_client(msgspec.structs.replace(GOOD, name=name), DEFAULT))
    assert "is no name: 1 to 128 letters" in found["name"]


@pytest.mark.parametrize("name", ["jotgate", "jotgate-cli", "personal-token"])
def test_nobody_has_a_name_that_the_audit_log_knows_as_jotgates_own(name: str) -> None:
    assert (
        "is what jotgate calls itself" in dict(check_client(msgspec.structs.replace(GOOD, name=name), DEFAULT))["name"]
    )
    assert "is what jotgate calls itself" in dict(check_principal(PrincipalRecord(name=name), DEFAULT))["name"]


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        (jwks(), "holds no key"),
        (Raw(b"[]"), "cannot be read"),
        (Raw(b'{"keys":{}}'), "cannot be read"),
        (Raw(b'{"keys":[],"keys":[]}'), "cannot be read"),
        (jwks({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "a"}), "private or symmetric"),
        (jwks({"kty": "RSA", "n": "AQAB", "e": "AQAB"}), "key 0 of the set cannot be used"),
        (jwks(public_jwk(KEY.verification_key), "x"), "key 1 of the set cannot be used: not a JSON object"),
        (jwks({**public_jwk(KEY.verification_key), "d": "AAAA"}), "private or symmetric"),
        (jwks({**public_jwk(KEY.verification_key), "use": "enc"}), "'use' is not 'sig'"),
        (jwks({**public_jwk(KEY.verification_key), "alg": "none"}), "does not name one algorithm"),
        (Raw(b'{"keys":[' + b" " * 65_536 + b"]}"), "is longer than 65536 bytes"),
    ],
)
def test_keys_are_public_ones_that_can_verify_or_none_is_taken(keys: Raw, wanted: str) -> None:
    found = faults_of(jwks=keys, authentication="private_key_jwt")
    assert wanted in found["jwks"]
    assert "AAAA" not in found["jwks"]
    assert "c2VjcmV0" not in found["jwks"]


def test_keys_are_of_use_to_private_key_jwt_alone() -> None:
    found = faults_of(jwks=jwks(public_jwk(KEY.verification_key)))
    assert found == {"jwks": "is of no use with 'client_secret_basic'; choose private_key_jwt, or leave it out"}


def test_what_a_new_way_to_authenticate_has_no_use_for_goes() -> None:
    secret = msgspec.structs.replace(GOOD, secrets=(SecretDigest(b"1" * 32, 1),))
    keys = jwks(public_jwk(KEY.verification_key))
    with_keys = client_with(secret, ClientValues(authentication="private_key_jwt", jwks=keys))
    assert (with_keys.secrets, with_keys.jwks) == ((), bytes(keys))
    back = client_with(with_keys, ClientValues(authentication="client_secret_post"))
    assert (back.secrets, back.jwks) == ((), b"")
    assert client_with(with_keys, ClientValues(jwks=Raw(b"null"))).jwks == b""
    assert client_with(secret, ClientValues(authentication="client_secret_post")).secrets == secret.secrets


def test_all_faults_are_told_at_once() -> None:
    found = faults_of(grants=("password",), scopes=("x",), roles=("y",), audiences=("z",), access_ttl_s=0)
    assert set(found) == {"grants", "scopes", "roles", "audiences", "access_ttl_s"}


@pytest.mark.parametrize("values", [ClientValues, PrincipalValues, TenantValues])
def test_tools_and_limits_are_refused_with_what_they_come_with(values: type[ClientValues]) -> None:
    given = msgspec.json.decode(b'{"tools":["a"],"limits":{"requests":1}}', type=values)
    assert check_values(given, "x") == [
        ("tools", "tools are scopes, such as mcp:files:read_file"),
        ("limits", "limits of accounts are set with 'jotgate quota set'"),
    ]
    # Saying that there are none is setting them, too.
    assert check_values(msgspec.json.decode(b'{"limits":null}', type=values), "x") != []


@pytest.mark.parametrize("text", ["x" * 257, "a\0b", "a\x1bb", " a", "a ", "\ud800", "\u202e"])
def test_texts_that_no_store_and_no_terminal_takes_are_refused_before_there_is_a_record(text: str) -> None:
    for values in (ClientValues(title=text), ClientValues(scopes=("ai", text)), ClientValues(models=(text,))):
        (fault,) = check_values(values, "ci")
        assert fault[1].endswith("is no name: 1 to 256 printable characters, without spaces around them")
    (fault,) = check_values(TenantValues(roles=(Role("a", scopes=(text,)),)), "acme")
    assert fault[0] == "roles"
    (fault,) = check_values(PrincipalValues(), text)
    assert fault[0] == "name"


def test_a_title_may_be_taken_away() -> None:
    assert check_values(ClientValues(title=""), "ci") == []


def test_a_principal_may_be_one_of_another_issuer() -> None:
    for name in ("idp/repo:org/app:ref:refs/heads/main", "Ann Miller", "ann@example.com", "-", "Ünder"):
        assert check_principal(PrincipalRecord(name=name), DEFAULT) == []
    faults = dict(check_principal(PrincipalRecord(name="ann", scopes=("x",), roles=("y",)), DEFAULT))
    assert set(faults) == {"scopes", "roles"}


def test_a_role_is_held_to_the_same_rules() -> None:
    good = Role("reader", ("models", "https://files.example/read"), ("echo",))
    assert check_tenant(TenantRecord(name="acme", roles=(good,))) == []
    roles = (Role("reader", ("x",)), Role("reader"), Role("no name", ("offline_access",)))
    faults = check_tenant(tenant_with(TenantRecord(name="no name"), TenantValues(roles=roles)))
    assert [path for path, _ in faults] == ["name", "roles", "roles.reader.scopes", "roles.?", "roles.?.scopes"]
    many = tuple(Role(f"r{number}") for number in range(65))
    assert ("roles", "has 65 items, and 64 is the most") in check_tenant(TenantRecord(name="acme", roles=many))


def test_what_stands_twice_counts_once() -> None:
    assert client_with(GOOD, ClientValues(scopes=("ai", "models", "ai"))).scopes == ("ai", "models")


@pytest.mark.parametrize(
    ("names", "member"),
    [
        ({}, "tls_subject_dn"),
        ({"tls_subject_dn": "CN"}, "tls_subject_dn"),
        ({"tls_subject_dn": "cn=robot"}, "tls_subject_dn"),
        ({"tls_subject_dn": "CN=a", "tls_san_dns": "a.example"}, "tls_subject_dn"),
        ({"tls_san_dns": "a b"}, "tls_san_dns"),
        ({"tls_san_dns": "*.example"}, "tls_san_dns"),
        ({"tls_san_uri": "robot"}, "tls_san_uri"),
        ({"tls_san_uri": "spiffe://a/b#c"}, "tls_san_uri"),
    ],
)
def test_a_client_of_tls_client_auth_has_one_name_that_a_certificate_can_have(
    names: dict[str, str], member: str
) -> None:
    assert member in faults_of(authentication="tls_client_auth", **names)


@pytest.mark.parametrize(
    "names",
    [{"tls_subject_dn": "CN=robot,O=Example"}, {"tls_san_dns": "robot.example"}, {"tls_san_uri": "spiffe://a/b"}],
)
def test_the_name_of_a_certificate_is_of_use_with_tls_client_auth_alone(names: dict[str, str]) -> None:
    assert faults_of(authentication="tls_client_auth", **names) == {}
    assert list(faults_of(**names)) == list(names)


def test_a_client_that_authenticates_otherwise_from_now_on_has_no_certificate_any_more() -> None:
    before = client_with(GOOD, ClientValues(authentication="tls_client_auth", tls_san_dns="a.example"))
    assert client_with(before, ClientValues(title="x")).tls_san_dns == "a.example"
    assert client_with(before, ClientValues(authentication="client_secret_basic")).tls_san_dns == ""


@pytest.mark.parametrize(
    ("binding", "good"), [("", True), ("required-dpop", True), ("required-mtls", True), ("x", False)]
)
def test_a_binding_is_one_that_there_is(binding: str, good: bool) -> None:
    assert ("binding" not in faults_of(binding=binding)) is good
