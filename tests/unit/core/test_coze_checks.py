"""Models of an upstream of the kind `coze` are bots and workflows, or the settings are refused."""

import tomllib

import pytest

from jotgate.core.config_reader import parse
from jotgate.errors import ConfigurationError
from tests.chaining import SETTINGS as CHAIN

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


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ('model = "gpt-3.5-turbo"', ""),
        ('model = "bot:1"\nupstream = "coze"', ""),
        ('model = "shared"', '\n[[routes]]\nalias = "shared"\nattempts = [{ upstream = "coze", model = "bot:1" }]\n'),
    ],
)
def test_a_step_of_a_chain_is_neither_a_bot_nor_a_workflow(model: str, more: str) -> None:
    chain = CHAIN.replace('model = "m"\nmax', f"{model}\nmax", 1)
    with pytest.raises(ConfigurationError) as refused:
        parse(tomllib.loads(SETTINGS.format("bot:1") + chain + more))
    ((path, fault),) = refused.value.faults
    assert path == "chains[0].steps[0].model"
    assert "cannot be there" in fault
