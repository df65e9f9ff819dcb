"""`[decisions]`: off until somebody may ask, and every fault of its paths at once."""

import tomllib

import pytest

from jotgate.core.config_reader import parse, read
from jotgate.core.decision_entries import compile_decisions
from jotgate.core.decisions import DecisionRules, PathRule
from jotgate.core.expectations import RouteExpectation

ASKING = '[decisions]\nproxies = ["127.0.0.1", "10.0.0.0/8"]\n'


def rules(text: str) -> DecisionRules | None:
    return compile_decisions(parse(tomllib.loads(text)).decisions)


def faults(text: str) -> dict[str, str]:
    return dict(read(tomllib.loads(text)).faults)


def test_nobody_may_ask_unless_the_settings_say_so() -> None:
    assert rules("") is None
    assert rules("[decisions]\n") is None


def test_without_paths_all_are_for_tokens_with_the_scope_decide() -> None:
    found = rules(ASKING)
    assert found is not None
    assert found.proxies == ("127.0.0.1", "10.0.0.0/8")
    assert found.paths == (PathRule(name="all", path="/", scopes=("decide",)),)


def test_a_path_says_what_it_is_about_and_what_it_takes() -> None:
    found = rules(
        ASKING + 'public_url = "https://api.example"\n'
        "[[decisions.paths]]\n"
        'name = "write"\npath = "/café/reports"\nhosts = ["api.example"]\nmethods = ["PUT"]\nscopes = []\n'
        'audiences = ["a"]\ntoken_types = ["application/at+jwt"]\ntoken_age = "15m"\npreflights = true\n'
        '[[decisions.paths]]\nname = "open"\npath = "/open"\npublic = true\n'
    )
    assert found is not None
    assert found.public_url == "https://api.example"
    assert found.paths == (
        PathRule(
            name="write",
            path="/café/reports",
            hosts=frozenset({"api.example"}),
            methods=frozenset({"PUT"}),
            scopes=(),
            expects=RouteExpectation(frozenset({"a"}), frozenset({"at+jwt"}), 900),
            preflights=True,
        ),
        PathRule(name="open", path="/open", public=True),
    )


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("name", '"a b"'),
        ("path", '"reports"'),
        ("path", '"/reports/"'),
        ("path", '"//reports"'),
        ("path", '"/a/../b"'),
        ("path", '"/a/."'),
        ("path", '"/%61"'),
        ("path", '"/a;b"'),
        ("path", '"/a?b"'),
        ("hosts", '["API.example"]'),
        ("hosts", '["api.example:80"]'),
        ("hosts", '["a.example", "a.example"]'),
        ("methods", '["get"]'),
        ("methods", '["GET", "GET"]'),
        ("scopes", '["a b"]'),
        ("scopes", '"decide"'),
        ("token_age", '"soon"'),
        ("public", '"yes"'),
        ("audience", '["a"]'),
    ],
)
def test_a_fault_names_its_path(setting: str, value: str) -> None:
    name = "" if setting == "name" else 'name = "a"\n'
    found = faults(
        f'{ASKING}[[decisions.paths]]\nname = "z"\npath = "/z"\n[[decisions.paths]]\n{name}{setting}={value}'
    )
    assert list(found) == [f"decisions.paths[1].{setting}"], found


@pytest.mark.parametrize("setting", ['audiences = ["a"]', 'token_types = ["JWT"]', 'token_age = "1h"'])
def test_nothing_is_expected_of_tokens_where_none_is_looked_at(setting: str) -> None:
    found = faults(f'{ASKING}[[decisions.paths]]\nname = "a"\npublic = true\n{setting}\n')
    assert list(found) == [f"decisions.paths[0].{setting.partition(' ')[0]}"]


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("", "", True),
        ('path = "/x"', "", False),
        ('methods = ["GET"]', 'methods = ["PUT"]', False),
        ('methods = ["GET", "PUT"]', 'methods = ["PUT"]', True),
        ('methods = ["GET"]', "", True),
        ('hosts = ["a.example"]', "", False),
        ('hosts = ["a.example"]', 'hosts = ["b.example"]', False),
        ('hosts = ["a.example"]', 'hosts = ["a.example", "b.example"]', True),
    ],
)
def test_no_request_is_of_two_paths(one: str, other: str, meet: bool) -> None:
    found = faults(f'{ASKING}[[decisions.paths]]\nname = "a"\n{one}\n[[decisions.paths]]\nname = "b"\n{other}\n')
    assert list(found) == (["decisions.paths[1]"] if meet else [])


def test_a_name_stands_once_and_paths_are_asked_by_somebody() -> None:
    text = '[[decisions.paths]]\nname = "a"\n[[decisions.paths]]\nname = "a"\npath = "/b"\n'
    assert list(faults(ASKING + text)) == ["decisions.paths[1].name"]
    assert list(faults('[[decisions.paths]]\nname = "a"\n')) == ["decisions.proxies"]


@pytest.mark.parametrize("proxy", ["0.0.0.0/0", "10.0.0.1/8", "proxy.example"])
def test_who_may_ask_is_named_by_address(proxy: str) -> None:
    assert list(faults(f'[decisions]\nproxies = ["{proxy}"]\n')) == ["decisions.proxies"]


def test_the_name_of_the_proxy_is_a_url_without_a_path() -> None:
    assert list(faults(ASKING + 'public_url = "https://a.example/b"\n')) == ["decisions.public_url"]
    assert list(faults(ASKING + 'paths = "all"\n')) == ["decisions.paths"]
    assert list(faults(ASKING + "paths = [7]\n")) == ["decisions.paths[0]"]
