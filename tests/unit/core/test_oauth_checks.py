"""`[upstreams.oauth]`: what may stand in it, what is said of what may not, and which grant it is."""

import tomllib
from collections.abc import Mapping

import pytest

from jotgate.core.config_reader import find_literal_secrets, read
from jotgate.core.grant_compiler import compile_grants
from jotgate.core.oauth_checks import GrantSecrets
from jotgate.core.routes import Reach
from jotgate.core.token_grants import AssertionKey, TokenGrant
from jotgate.core.values import Secret

_COZE = """
grant = "coze"
client_id = "1105"
private_key_env = "KEY"
key_id = "first"
"""
_AS = 'client_id = "c"\ntoken_url = "https://as/t"\n'
_NEXT = _COZE + 'next_private_key_env = "NEXT"\nnext_key_id = "next"\n'


def _document(oauth: str, upstream: str = "", base_url: str = "https://api.coze.com") -> Mapping[str, object]:
    text = f'[[upstreams]]\nname = "u"\nkind = "openai"\nbase_url = "{base_url}"\nmodels = ["m"]\n{upstream}\n'
    return tomllib.loads(f"{text}[upstreams.oauth]\n{oauth}")


def _faults(oauth: str, upstream: str = "", base_url: str = "https://api.coze.com") -> dict[str, str]:
    document = _document(oauth, upstream, base_url)
    return dict([*read(document).faults, *find_literal_secrets(document)])


def _grant(oauth: str, *secrets: str, base_url: str = "https://api.coze.com", reach: Reach | None = None) -> TokenGrant:
    document = _document(oauth, 'proxy = "http://proxy:3128"' if reach else "", base_url)
    config = read(document).config
    assert config is not None, _faults(oauth)
    found = GrantSecrets({name: Secret(f"the {name}") for name in secrets})
    return compile_grants(config.upstreams, {"u": found}, {"u": reach or Reach()})["u"]


def test_cozes_grant_is_asked_at_the_upstreams_host_in_cozes_way() -> None:
    grant = _grant(_NEXT + 'session = "openai-proxy"\nduration = "20m"\n', "private_key", "next_private_key")
    assert grant == TokenGrant(
        upstream="u",
        kind="coze",
        dialect="coze",
        token_url="https://api.coze.com/api/permission/oauth2/token",
        client_id="1105",
        keys=(
            AssertionKey(Secret("the private_key"), "first"),
            AssertionKey(Secret("the next_private_key"), "next"),
        ),
        session="openai-proxy",
        duration_s=1200,
    )


@pytest.mark.parametrize(
    ("further", "base_url", "token_url"),
    [
        ("", "https://api.coze.cn/", "https://api.coze.cn/api/permission/oauth2/token"),
        ('account = "21"', "https://api.coze.cn", "https://api.coze.cn/api/permission/oauth2/account/21/token"),
        (
            'enterprise = "22"',
            "https://api.coze.com",
            "https://api.coze.com/api/permission/oauth2/enterprise_id/22/token",
        ),
        ("", "http://127.0.0.1:4010", "http://127.0.0.1:4010/api/permission/oauth2/token"),
        ('token_url = "https://as.example/t"', "https://api.coze.com", "https://as.example/t"),
    ],
)
def test_where_a_token_of_coze_is_asked_for(further: str, base_url: str, token_url: str) -> None:
    assert _grant(_COZE + further, "private_key", base_url=base_url).token_url == token_url


def test_a_token_endpoint_is_reached_as_its_upstream_is() -> None:
    reach = Reach(roots="pem")
    assert _grant(_COZE, "private_key", reach=reach).reach == reach


@pytest.mark.parametrize(
    "oauth",
    [
        'grant = "jwt-bearer"\n' + _AS + 'private_key_file = "k.pem"\nsubject = "s"',
        'grant = "client-credentials"\n' + _AS + 'client_secret_env = "S"\nscope = "a"',
        'grant = "client-credentials"\n' + _AS + 'private_key_env = "K"\nalgorithm = "ES256"\naudience = "x"',
        'grant = "refresh-token"\n' + _AS + 'refresh_token_env = "R"',
        'grant = "refresh-token"\n' + _AS,
    ],
)
def test_the_other_grants_are_taken(oauth: str) -> None:
    assert _faults(oauth) == {}
    assert _grant(oauth).dialect == "form"


@pytest.mark.parametrize(
    ("oauth", "path", "said"),
    [
        ('grant = "magic"\nclient_id = "c"', "grant", '"jwt-bearer", "coze"'),
        ('grant = "coze"', "client_id", "is missing"),
        ('grant = "coze"\nclient_id = "c"\nkey_id = "k"', "private_key_env", "is missing"),
        (_COZE.replace('key_id = "first"', ""), "key_id", "fingerprint"),
        (_COZE + 'algorithm = "ES256"', "algorithm", "RS256"),
        (_COZE + 'account = "1"\nenterprise = "2"', "enterprise", "beside account"),
        (_COZE + 'account = "../x"', "account", "letters, digits"),
        (_COZE + 'account = "1"\ntoken_url = "https://x/t"', "token_url", "beside account"),
        (_COZE + 'duration = "1d"', "duration", "less than a day"),
        (_COZE + 'duration = "59s"', "duration", "60s"),
        (_COZE + 'scope = "chat"', "scope", "JSON object"),
        (_COZE + 'scope = "[]"', "scope", "JSON object"),
        (_COZE + 'timeout = "2m"', "timeout", "a minute"),
        (_COZE + 'client_secret_env = "S"', "client_secret_env", "means nothing"),
        (_COZE + 'private_key_file = "x.pem"', "private_key_file", "beside private_key_env"),
        (_COZE + 'next_key_id = "n"', "next_key_id", "without its key"),
        (_COZE + 'next_private_key_env = "N"', "next_key_id", "tell the two keys apart"),
        (_COZE + 'next_private_key_env = "N"\nnext_key_id = "first"', "next_key_id", "tell the two keys apart"),
        (_COZE + 'token_url = "http://as.example/t"', "token_url", "not https"),
        (_COZE + 'token_url = "https://u:p@as.example/t"', "token_url", "user name"),
        (_COZE + 'unknown = "x"', "unknown", "not a setting"),
        ('grant = "jwt-bearer"\nclient_id = "c"\nprivate_key_env = "K"', "token_url", "is missing"),
        (
            'grant = "client-credentials"\n' + _AS,
            "client_secret_env",
            "is missing",
        ),
        (
            'grant = "client-credentials"\n' + _AS + 'client_secret_env = "S"\nprivate_key_env = "K"',
            "private_key_env",
            "in one way",
        ),
        (
            'grant = "refresh-token"\n' + _AS + 'key_id = "k"',
            "key_id",
            "means nothing",
        ),
    ],
)
def test_what_it_may_not_say_is_said_with_the_setting(oauth: str, path: str, said: str) -> None:
    faults = _faults(oauth)
    assert said in faults[f"upstreams[0].oauth.{path}"], faults


@pytest.mark.parametrize(
    "name", ["private_key", "client_secret", "refresh_token", "secret", "token", "next_private_key"]
)
def test_a_secret_itself_may_not_stand_in_the_file_and_is_not_shown(name: str) -> None:
    faults = _faults(_COZE + f'{name} = "hunter2hunter2"')
    assert "none may stand in this file" in faults[f"upstreams[0].oauth.{name}"]
    assert "hunter2" not in str(faults)


def test_one_credential_never_stands_in_for_another() -> None:
    assert "never stands in" in _faults(_COZE, 'credential_env = "KEY"')["upstreams[0].credential_env"]


@pytest.mark.parametrize(
    ("upstream", "path"),
    [
        ('other_credential_env = "B"', "other_credential_env"),
        ('credential_env = "A"\nother_credential_env = "B"\nother_credential_file = "b"', "other_credential_file"),
    ],
)
def test_another_credential_stands_beside_one(upstream: str, path: str) -> None:
    text = f'[[upstreams]]\nname = "u"\nkind = "openai"\nbase_url = "https://a/v1"\nmodels = ["m"]\n{upstream}\n'
    assert f"upstreams[0].{path}" in dict(read(tomllib.loads(text)).faults)


def test_an_upstreams_base_url_that_secrets_may_not_go_to_is_said() -> None:
    assert "taken from base_url" in _faults(_COZE, base_url="http://api.coze.example")["upstreams[0].oauth.token_url"]
