"""What `[[issuers]]` may say, and what is said of what it may not."""

import tomllib

import pytest

from jotgate.core.config_reader import find_literal_secrets, read
from jotgate.core.issuer_compiler import (
    FoundIssuer,
    check_stored,
    compile_issuers,
    iss_of_table,
    key_source,
    warn_of_fetches,
)
from jotgate.core.issuer_reader import read_issuer
from jotgate.errors import ConfigurationError
from tests.callers import NAME, issuer_of, make_issuer
from tests.issuers import fault_of, faults_of

_HEAD = '[[issuers]]\nname = "idp"\n'
_PUBLIC = _HEAD + 'issuer = "https://idp.example/realms/one"\n'
_SECRET = _HEAD + 'secret_env = "SHARED"\n'
_CASDOOR = _PUBLIC + 'profile = "casdoor"\n'

BROKEN = {
    '[[issuers]]\nissuer = "https://idp.example"': ("name", "is missing"),
    _HEAD: ("issuer", "leads to no keys"),
    _PUBLIC + "discovery = false": ("discovery", "leads to no keys"),
    _HEAD + 'issuer = "urn:idp"': ("issuer", "leads to no keys"),
    _HEAD + 'jwks_url = "https://idp.example/jwks"': ("issuer", "is missing"),
    _HEAD + 'jwks_file = "jwks.json"': ("issuer", "is missing"),
    _HEAD + 'issuer = "http://idp.example"': ("issuer", "is http"),
    _HEAD + 'issuer = "https://me:pw@idp.example"': ("issuer", "holds a user name or password"),
    _HEAD + 'issuer = "https://idp.example/?a=b"': ("issuer", "holds a query or fragment"),
    _HEAD + 'issuer = "https://idp.example/\\u200f"': ("issuer", "is not the 'iss' of any token"),
    _HEAD + 'issuer = "https:///nowhere"': ("issuer", "is not an https URL with a host"),
    _HEAD + 'issuer = "https://idp.example:0"': ("issuer", "is not an https URL with a host"),
    _HEAD + 'issuer = "https://127.0.0.1"\npublic_only = true': ("issuer", "leads to an address that is not public"),
    _PUBLIC + 'jwks_url = "https://intranet/keys"\npublic_only = true': ("jwks_url", "leads to this machine"),
    _SECRET + "public_only = true": ("public_only", "whose keys are not fetched"),
    _HEAD + 'issuer = "https://idp.example:x"': ("issuer", "is not a URL"),
    _HEAD + 'issuer = "urn:idp"\ndiscovery = true': ("issuer", "is not an https URL with a host"),
    _PUBLIC + 'jwks_url = "http://idp.example/jwks"': ("jwks_url", "is http"),
    _PUBLIC + 'jwks_url = "https://idp.example/jwks#a"': ("jwks_url", "holds a query or fragment"),
    _PUBLIC + 'jwks_url = "https://idp.example/jwks"\njwks_file = "jwks.json"': ("jwks_file", "stands beside jwks_url"),
    _PUBLIC + 'discovery = true\njwks_file = "jwks.json"': ("jwks_file", "stands beside discovery"),
    _SECRET + 'secret_file = "secret"': ("secret_file", "stands beside secret_env"),
    _SECRET + 'previous_secret_env = "A"\nprevious_secret_file = "b"\nprevious_until = "2027-01-01T00:00:00Z"': (
        "previous_secret_file",
        "stands beside previous_secret_env",
    ),
    _SECRET + 'previous_until = "2027-01-01"': ("previous_until", "must be a time in quotes with its zone"),
    _SECRET + "previous_until = 2027-01-01T00:00:00Z": ("previous_until", "must be"),
    _HEAD + 'secret_file = "a"\nprevious_secret_file = "b"': ("previous_until", "is missing"),
    _HEAD + 'secret_file = "a"\nprevious_until = "2027-01-01T00:00:00Z"': ("previous_until", "stands without"),
    _PUBLIC + 'previous_secret_env = "A"': ("previous_secret_env", "without a shared secret"),
    _PUBLIC + 'previous_until = "2027-01-01T00:00:00Z"': ("previous_until", "without a shared secret"),
    _PUBLIC + 'algorithms = ["HS256"]': ("algorithms", "is for a shared secret, and this issuer has published keys"),
    _PUBLIC + 'algorithms = ["RS256", "HS256"]': ("algorithms", "is for a shared secret"),
    _SECRET + 'algorithms = ["RS256"]': ("algorithms", "is for published keys, and this issuer has a shared secret"),
    _SECRET + 'algorithms = ["HS256", "HS512"]': ("algorithms", "names several"),
    _PUBLIC + 'algorithms = ["none"]': ("algorithms", "holds 'none', which is not taken"),
    _PUBLIC + 'algorithms = ["rs256"]': ("algorithms", "did you mean 'RS256'?"),
    _PUBLIC + "algorithms = []": ("algorithms", "is empty"),
    _PUBLIC + 'algorithms = ["RS256", "RS256"]': ("algorithms", "names one twice"),
    _CASDOOR + 'audiences = ["a"]\nalgorithms = ["PS256"]': ("algorithms", "which the profile 'casdoor' has not"),
    _PUBLIC + "audiences = []": ("audiences", "is empty, and an issuer with published keys serves others too"),
    _PUBLIC + 'audiences = [""]': ("audiences", "holds one that no token has"),
    _CASDOOR: ("audiences", "is missing; write the client ID"),
    _PUBLIC + 'logout_audiences = [""]': ("logout_audiences", "holds one that no token has"),
    _PUBLIC + 'logout_audiences = "client"': ("logout_audiences", "must be a list of texts"),
    _SECRET + 'logout_audiences = ["client"]': ("logout_audiences", "an issuer without an 'iss'"),
    _SECRET + "status_lists = true": ("status_lists", "lists are signed with a key that is public"),
    _PUBLIC + "types = []": ("types", "is empty"),
    _PUBLIC + 'leeway = "2m"': ("leeway", 'must be at most "60s"'),
    _PUBLIC + 'leeway = "61s"': ("leeway", 'must be at most "60s"'),
    _PUBLIC + 'default_scopes = ["chat"]': ("default_scopes", "holds 'chat'"),
    _PUBLIC + 'required = ["sub"]': ("required", "lacks 'exp'"),
    _SECRET + 'required = ["iss"]': ("required", "holds 'iss', which no token of this issuer has"),
    _SECRET + 'audiences = []\nrequired = ["aud"]': ("required", "holds 'aud', which no token of this issuer has"),
    _PUBLIC + 'claims = { tenat = "x" }': ("claims.tenat", "did you mean 'tenant'?"),
    _PUBLIC + "claims = 7": ("claims", "must be a table"),
    _PUBLIC + "claims = { tenant = 7 }": ("claims.tenant", "must be a claim in quotes"),
    _PUBLIC + 'claims = { tenant = "a..b" }': ("claims.tenant", "is not the way to a claim"),
    _PUBLIC + 'claims = { subject = "" }': ("claims.subject", "is empty"),
    _PUBLIC + "claims = { subject = [] }": ("claims.subject", "is empty"),
    _PUBLIC + 'claims = { subject = ["sub", "a."] }': ("claims.subject", "is not the way to a claim"),
    _PUBLIC + 'equal = { "a b" = 1 }': ("equal", "is not the way to a claim"),
    _PUBLIC + 'equal = { "" = 1 }': ("equal", "has an empty name"),
    _PUBLIC + "equal = { a = 1.5 }": ("equal", "must be a table"),
    _PUBLIC + 'refresh = "25h"\nmax_stale = "2d"': ("refresh", "must be at most"),
    _PUBLIC + 'cooldown = "2h"': ("cooldown", "must be at most"),
    _PUBLIC + 'timeout = "2m"': ("timeout", "must be at most"),
    _PUBLIC + 'max_stale = "31d"': ("max_stale", "must be at most"),
    _PUBLIC + 'max_stale = "1m"': ("max_stale", "shorter than refresh"),
    _PUBLIC + "fetches_per_minute = 0": ("fetches_per_minute", "a whole number from 1 to 600"),
    _SECRET + 'ca_file = "roots.pem"': ("ca_file", "whose keys are not fetched"),
    _PUBLIC + 'profile = "casdor"': ("profile", 'must be "casdoor"'),
    _HEAD + 'profile = "prompt-chain"\nissuer = "https://x.example"': ("issuer", "whose tokens name no issuer"),
    _HEAD + 'profile = "prompt-chain"\naudiences = ["a"]': ("audiences", "whose tokens name none"),
    _HEAD + 'profile = "prompt-chain"\nalgorithms = ["ES256"]': ("algorithms", "is for published keys"),
    _HEAD + 'profile = "mcp-daemon"\nalgorithms = ["HS512"]': ("algorithms", "which the profile 'mcp-daemon' has not"),
    _HEAD + 'profile = "mcp-daemon"\njwks_file = "jwks.json"': ("jwks_file", "is not the way to the keys"),
    _HEAD + 'profile = "api-gateway"': ("issuer", "leads to no keys"),
    _HEAD + 'profile = "casdoor"\nissuer = "https://c.example"\naudiences = ["a"]\nsecret_env = "A"': (
        "secret_env",
        "is not the way to the keys of the profile 'casdoor'",
    ),
    '[[issuers]]\nname = "jotgate"\nissuer = "https://idp.example"': ("name", "which is this installation itself"),
    _PUBLIC + "colour = 1": ("colour", "is not a setting"),
    _PUBLIC + "audience = []": ("audience", "did you mean 'audiences'?"),
}


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_wrong_is_told_with_its_place_and_what_to_write(text: str) -> None:
    setting, words = BROKEN[text]
    path, fault = fault_of(text)
    assert path == f"issuers[0].{setting}"
    assert words in fault


@pytest.mark.parametrize(
    "text",
    [
        _PUBLIC,
        _PUBLIC + "discovery = true",
        _HEAD + 'issuer = "http://127.0.0.1:8000"',
        _HEAD + 'issuer = "http://[::1]:8000"',
        _HEAD + 'issuer = "http://localhost:8000/realm"',
        _HEAD + 'issuer = "urn:idp"\njwks_url = "https://idp.example/jwks?p=1"',
        _HEAD + 'issuer = "urn:idp"\njwks_file = "jwks.json"\nalgorithms = ["PS256", "EdDSA"]',
        _SECRET + 'audiences = []\nrequired = ["sub"]\nalgorithms = ["HS512"]',
        _SECRET + 'issuer = "urn:idp"\nprevious_secret_env = "A"\nprevious_until = "2027-01-01T00:00:00+02:00"',
        _CASDOOR + 'audiences = ["client"]',
        _HEAD + 'profile = "prompt-chain"\nalgorithms = ["HS512"]',
        _HEAD + 'profile = "api-gateway"\njwks_file = "jwks.json"',
        _HEAD + 'profile = "api-gateway"\nsecret_env = "A"',
        _HEAD + 'profile = "mcp-daemon"',
        _PUBLIC + 'logout_audiences = ["client"]',
        _PUBLIC + 'claims = { subject = [\'"https://x.example/id"\', "org.id"], roles = "" }\nequal = { a = false }',
    ],
)
def test_what_is_sound_has_no_fault(text: str) -> None:
    assert faults_of(text) == []


def test_each_fault_of_an_entry_is_told_at_once() -> None:
    found = faults_of(_PUBLIC + 'leeway = "2m"\naudiences = []\nclaims = { roles = "a..b" }\nrefresh = "2m"')
    assert [path for path, _ in found] == ["issuers[0].audiences", "issuers[0].leeway", "issuers[0].claims.roles"]


def test_tables_that_are_none_are_told() -> None:
    assert fault_of("issuers = 7")[0] == "issuers"
    assert fault_of("issuers = [7]") == ("issuers[0]", "is 7, and must be a table: [issuers[0]]")


def test_no_two_have_one_name_or_one_iss() -> None:
    (path, fault), *rest = faults_of(_PUBLIC + _SECRET)
    assert (path, rest) == ("issuers[1].name", [])
    assert "is 'idp' as in issuers[0]" in fault
    other = _PUBLIC.replace('"idp"', '"other"')
    assert fault_of(_PUBLIC + other)[0] == "issuers[1].issuer"
    path, fault = fault_of(_SECRET + _HEAD.replace("idp", "old") + 'profile = "prompt-chain"')
    assert (path, "is none, as of issuers[0]" in fault) == ("issuers[1].issuer", True)
    twice = _HEAD + 'profile = "mcp-daemon"\n' + _HEAD.replace("idp", "b") + 'profile = "mcp-daemon"'
    assert fault_of(twice)[0] == "issuers[1].issuer"


def test_none_has_the_iss_of_this_installation() -> None:
    entry = read(tomllib.loads(_HEAD + f'issuer = "{NAME}"')).issuers["issuers[0]"]
    with pytest.raises(ConfigurationError) as caught:
        compile_issuers(issuer_of(make_issuer()), [FoundIssuer(path="issuers[0]", entry=entry)], {})
    (path, fault), *rest = caught.value.faults
    assert (path, rest) == ("issuers[0].issuer", [])
    assert "as of this installation" in fault


@pytest.mark.parametrize(
    "name", ["secret", "previous_secret", "client_secret", "jwt_secret", "key", "password", "token"]
)
def test_a_secret_in_the_file_is_a_fault_that_does_not_show_it(name: str) -> None:
    document = tomllib.loads(_SECRET + f'{name} = "hunter2hunter2"')
    assert read(document).faults == ()
    for development in (False, True):
        (path, fault), *rest = find_literal_secrets(document, development=development)
        assert (path, rest) == (f"issuers[0].{name}", [])
        assert 'secret_env = "NAME"' in fault
        assert "hunter2" not in fault
    assert "hunter2" not in repr(read_issuer(document["issuers"][0]))
    assert read_issuer(document["issuers"][0])[0] is None


def test_an_entry_alone_is_held_to_the_same_rules() -> None:
    entry, faults = read_issuer({"name": "idp", "issuer": "https://idp.example"})
    assert entry is not None
    assert faults == ()
    entry, faults = read_issuer({"name": "idp", "issuer": "http://idp.example", "colour": 1})
    assert entry is None
    assert faults == (("colour", "is not a setting; " + faults[0][1].partition("; ")[2]),)
    assert read_issuer([])[1] == (("", "is a list, and must be a table: [issuers[0]]"),)


def test_paths_in_the_store_are_whole_ones() -> None:
    entry, _ = read_issuer({"name": "idp", "secret_file": "secret.txt"})
    assert entry is not None
    assert [path for path, _ in check_stored(entry)] == ["secret_file"]
    entry, _ = read_issuer({"name": "idp", "secret_file": "/run/secret.txt"})
    assert entry is not None
    assert check_stored(entry) == []


def test_the_iss_of_a_broken_entry_is_known_where_it_can_be() -> None:
    assert iss_of_table({"issuer": "https://a.example", "colour": 1}) == "https://a.example"
    assert iss_of_table({"profile": "mcp-daemon"}) == "exai-mcp-server"
    assert iss_of_table({"profile": "prompt-chain"}) == ""
    assert iss_of_table({"secret_env": "A"}) == ""
    assert iss_of_table({"profile": "casdoor"}) is None
    assert iss_of_table({"profile": ["casdoor"], "issuer": 7}) is None
    assert iss_of_table({}) is None


@pytest.mark.parametrize(
    ("numbers", "warned"),
    [
        ("", False),
        ('cooldown = "6s"', False),
        ('cooldown = "5s"', True),
        ("fetches_per_minute = 1", True),
        ("fetches_per_minute = 2", False),
        ('cooldown = "1s"\nfetches_per_minute = 60', False),
    ],
)
def test_numbers_that_may_leave_no_fetch_for_a_new_key_are_warned_of(numbers: str, warned: bool) -> None:
    entry = read(tomllib.loads(_PUBLIC + numbers)).issuers["issuers[0]"]
    warnings = warn_of_fetches(FoundIssuer(path="p", entry=entry))
    assert len(warnings) == warned
    for one in warnings:
        assert "'idp'" in one
        assert "'cooldown'" in one
        assert "'fetches_per_minute'" in one


def test_an_issuer_with_a_secret_has_no_fetches_to_warn_of() -> None:
    text = '[[issuers]]\nname = "own"\nissuer = "https://own.example"\naudiences = ["a"]\nsecret_env = "S"\n'
    entry = read(tomllib.loads(text)).issuers["issuers[0]"]
    assert warn_of_fetches(FoundIssuer(path="p", entry=entry)) == []


def test_what_fetches_keys_is_told_all_that_it_needs() -> None:
    text = _PUBLIC + 'refresh = "1m"\ncooldown = "2s"\nfetches_per_minute = 3\ntimeout = "4s"\nmax_stale = "1h"'
    entry = read(tomllib.loads(text)).issuers["issuers[0]"]
    source = key_source(FoundIssuer(path="p", entry=entry, roots="PEM"))
    assert source is not None
    assert (source.name, source.kind, source.location) == ("idp", "discovery", "https://idp.example/realms/one")
    assert source.issuer == source.location
    figures = (source.refresh_s, source.cooldown_s, source.per_minute, source.timeout_s, source.stale_max_s)
    assert (*figures, source.roots) == (60, 2, 3, 4, 3600, "PEM")
    assert "RS256" in source.algorithms
    url = read(tomllib.loads(_PUBLIC + 'jwks_url = "https://k.example/set"')).issuers["issuers[0]"]
    source = key_source(FoundIssuer(path="p", entry=url))
    assert source is not None
    assert (source.kind, source.location) == ("url", "https://k.example/set")
    file = read(tomllib.loads(_PUBLIC + 'jwks_file = "jwks.json"')).issuers["issuers[0]"]
    source = key_source(FoundIssuer(path="p", entry=file, file="/etc/jwks.json"))
    assert source is not None
    assert (source.kind, source.location) == ("file", "/etc/jwks.json")
    secret = read(tomllib.loads(_SECRET)).issuers["issuers[0]"]
    assert key_source(FoundIssuer(path="p", entry=secret)) is None
