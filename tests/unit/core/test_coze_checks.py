"""Models of an upstream of the kind `coze` are bots and workflows, or the settings are refused."""

import tomllib

import pytest

from jotgate.core.config_reader import parse
from jotgate.errors import ConfigurationError

SETTINGS = """
[[upstreams]]
name = "coze"
kind = "coze"
base_url = "https://api.coze.com"
models = {{ "gpt-3.5-turbo" = "{0}" }}
"""


@pytest.mark.parametrize("model", ["bot:7300000000000000001", "workflow:7400000000000000001", "bot:a_b-c"])
def test_bots_and_workflows_are_models(model: str) -> None:
    (upstream,) = parse(tomllib.loads(SETTINGS.format(model))).upstreams
    assert (upstream.kind, upstream.routes) == ("coze", {"gpt-3.5-turbo": model})


@pytest.mark.parametrize("model", ["gpt-4o", "7300000000000000001", "bot:", "bot:1/2", "chat:1", f"bot:{'1' * 129}"])
def test_anything_else_is_named_with_what_to_write(model: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse(tomllib.loads(SETTINGS.format(model)))
    ((path, fault),) = refused.value.faults
    assert path == "upstreams[0].models"
    assert model[:40] in fault
    assert "bot:7300000000000000001" in fault
