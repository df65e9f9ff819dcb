"""The environment and the options over the file."""

import pytest

from jotgate.core.config_reader import read
from jotgate.core.overlay import overlay

_UPSTREAM = {"name": "open-ai", "kind": "openai", "base_url": "http://h", "models": ["m"]}


def test_what_is_laid_over_is_of_the_settings_type() -> None:
    laid = overlay(
        {"upstreams": [_UPSTREAM]},
        {
            "JOTGATE_SERVER__PORT": "9000",
            "JOTGATE_SERVER__HOST": "::1",
            "JOTGATE_LIMITS__MAX_STALENESS_S": "7.5",
            "JOTGATE_ISSUER__DEFAULT_SCOPES": "ai, models",
            "JOTGATE_UPSTREAMS__OPEN_AI__MODELS": "a,b",
            "JOTGATE_UPSTREAMS__OPEN_AI__IDLE_TIMEOUT": "3s",
        },
        {"server.workers": 2},
    )
    assert laid.faults == ()
    config = read(laid.document).config
    assert config is not None
    assert (config.server.port, config.server.host, config.server.workers) == (9000, "::1", 2)
    assert config.limits.max_staleness_s == 7.5
    assert config.issuer.default_scopes == ("ai", "models")
    assert config.upstreams[0].models == ("a", "b")
    assert config.upstreams[0].idle_timeout == "3s"


def test_a_table_is_written_as_in_the_file() -> None:
    name = "JOTGATE_UPSTREAMS__OPEN_AI__MODELS"
    laid = overlay({"upstreams": [_UPSTREAM]}, {name: '{ small = "big" }'}, {})
    config = read(laid.document).config
    assert config is not None
    assert config.upstreams[0].routes == {"small": "big"}


def test_the_document_itself_is_not_changed() -> None:
    document = {"server": {"port": 1}, "upstreams": [dict(_UPSTREAM)]}
    overlay(document, {"JOTGATE_SERVER__PORT": "2", "JOTGATE_UPSTREAMS__OPEN_AI__KIND": "x"}, {"server.host": "h"})
    assert document == {"server": {"port": 1}, "upstreams": [_UPSTREAM]}


@pytest.mark.parametrize("text", ["many", "", "8o", "1\nhost = 'x'", "[[1"])
def test_a_value_that_cannot_be_stays_text_and_is_a_fault(text: str) -> None:
    laid = overlay({}, {"JOTGATE_SERVER__PORT": text}, {})
    assert laid.document == {"server": {"port": text}}
    assert [path for path, _ in read(laid.document).faults] == ["server.port"]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("JOTGATE_SERVER__PROT", "did you mean 'JOTGATE_SERVER__PORT'?"),
        ("JOTGATE_SERVR__PORT", "did you mean 'JOTGATE_SERVER__…'?"),
        ("JOTGATE_UPSTREAMS__OPENAI__KIND", "JOTGATE_UPSTREAMS__OPEN_AI__…"),
        ("JOTGATE_UPSTREAMS__X__CREDENTIAL", "the file has no upstream of that name, and a variable adds to one"),
        ("JOTGATE_UPSTREAMS__OPEN_AI__NAME", "is not a variable of a setting"),
        ("JOTGATE_server__port", "is not a variable of a setting"),
    ],
)
def test_a_variable_of_no_setting_is_a_fault_with_advice(name: str, advice: str) -> None:
    laid = overlay({"upstreams": [_UPSTREAM]}, {name: "hush"}, {})
    ((path, fault),) = laid.faults
    assert path == name
    assert advice in fault
    assert "hush" not in fault


@pytest.mark.parametrize("name", ["JOTGATE_PORT", "JOTGATE_SERVICE_HOST", "JOTGATE_DATA", "OTHER_JOTGATE_A__B"])
def test_other_variables_are_nobodys_business(name: str) -> None:
    laid = overlay({}, {name: "tcp://10.0.0.1:80"}, {})
    assert (laid.document, laid.faults) == ({}, ())


def test_a_variable_of_an_upstream_where_the_file_has_none_says_just_that() -> None:
    ((_, fault),) = overlay({}, {"JOTGATE_UPSTREAMS__X__CREDENTIAL": "hush"}, {}).faults
    assert fault.endswith("the file has no upstream of that name, and a variable adds to one that stands there")


def test_a_variable_that_fits_two_upstreams_decides_neither() -> None:
    two = {"upstreams": [{"name": "a-b"}, {"name": "a.b"}]}
    laid = overlay(two, {"JOTGATE_UPSTREAMS__A_B__KIND": "openai"}, {})
    assert laid.document == two
    assert [fault for _, fault in laid.faults] == [
        "fits upstreams[0].kind and upstreams[1].kind; rename one of these upstreams, or set it in the file"
    ]


@pytest.mark.parametrize("wrong", [{"server": 1}, {"upstreams": 1}, {"upstreams": [1, {"name": 2}]}])
def test_a_document_of_another_shape_is_left_to_its_own_fault(wrong: dict[str, object]) -> None:
    laid = overlay(wrong, {"JOTGATE_SERVER__PORT": "1"}, {"server.workers": 2})
    assert read(laid.document).faults


def test_an_options_name_is_that_of_the_command_line() -> None:
    options = {"server.port": 1, "logs.level": "info", "tls.cert": "c", "server.behind_proxy": True}
    assert list(overlay({}, {}, options).origins.values()) == [
        "--port", "--log-level", "--tls-cert", "--behind-proxy",
    ]  # fmt: skip
