"""What is read at the start only: a process that is started later is told, and a change is known as one."""

from typing import Final

import pytest
from msgspec.structs import replace

from jotgate.assembly.at_start import OPEN_LOCAL, at_start, at_urls, standing_since, url_at
from jotgate.core.config_reader import parse
from jotgate.core.coze_proxy import CozeProxyRules
from jotgate.core.presets import Preset
from jotgate.core.prompt_chain import ANY_ORIGIN, Pages, PromptChainRules
from jotgate.errors import ConfigurationError

_FACE: Final = Preset(
    name="prompt-chain", listen=("::1", 8000), listen_settings=("API_HOST", "API_PORT"), rules=PromptChainRules()
)

_COZE: Final = Preset(
    name="coze-proxy", listen=("127.0.0.1", 3000), listen_settings=("HOST", "PORT"), rules=CozeProxyRules()
)
_OPEN: Final = replace(_COZE, rules=CozeProxyRules(open_local=True))
_ALL_PAGES: Final = CozeProxyRules(pages=Pages((ANY_ORIGIN,)))


def test_a_face_listens_where_it_was_told_at_the_start_whatever_its_variables_say_now() -> None:
    started = at_start(parse({}), [_FACE])
    moved = replace(_FACE, listen=("0.0.0.0", 9000))  # noqa: S104 - nothing is bound here
    (standing,) = standing_since(started, [moved], parse({}))
    assert standing == _FACE
    changed = [path for path, value in at_start(parse({}), [moved]).items() if value != started[path]]
    assert changed == ["the address of the preset 'prompt-chain'"]


def test_a_face_with_tokens_is_not_opened_by_a_reload_and_an_open_one_is_not_closed() -> None:
    for before, after in ((_COZE, _OPEN), (_OPEN, _COZE)):
        started = at_start(parse({}), [before])
        (standing,) = standing_since(started, [after], parse({}))
        assert standing == before
        now = at_start(parse({}), [after])
        assert [path for path, value in now.items() if value != started[path]] == [OPEN_LOCAL], "it is said"


def test_an_open_face_stays_closed_to_pages_of_every_origin() -> None:
    (standing,) = standing_since(at_start(parse({}), [_OPEN]), [replace(_COZE, rules=_ALL_PAGES)], parse({}))
    assert standing == _OPEN
    (standing,) = standing_since(at_start(parse({}), [_COZE]), [replace(_COZE, rules=_ALL_PAGES)], parse({}))
    assert standing.rules == _ALL_PAGES


@pytest.mark.parametrize(
    ("host", "settings", "path"),
    [
        ("0.0.0.0", {"cert": "c", "key": "k"}, "HOST"),  # noqa: S104 - nothing is bound here
        ("127.0.0.1", {"trusted_proxies": ["127.0.0.1"]}, "server.trusted_proxies"),
        ("127.0.0.1", {"behind_proxy": True, "trusted_proxies": ["127.0.0.1"]}, "server.behind_proxy"),
    ],
)
def test_settings_that_let_others_reach_an_open_face_are_refused_whatever_else_they_say_of_it(
    host: str, settings: dict[str, object], path: str
) -> None:
    config = parse({"tls" if "cert" in settings else "server": settings})
    started = at_start(config, [replace(_OPEN, listen=(host, 3000))])
    for now in (_OPEN, _COZE):
        with pytest.raises(ConfigurationError) as refused:
            standing_since(started, [now], config)
        assert [fault[0] for fault in refused.value.faults] == [path]
        assert "--open-local" in refused.value.faults[0][1]
    with_tokens = at_start(config, [replace(_COZE, listen=(host, 3000))])
    assert len(standing_since(with_tokens, [_COZE], config)) == 1


def test_a_face_that_others_reach_stays_under_tls() -> None:
    started = at_start(parse({}), [replace(_FACE, listen=("0.0.0.0", 8000))])  # noqa: S104 - nothing is bound here
    with pytest.raises(ConfigurationError, match="in the clear"):
        standing_since(started, [_FACE], parse({}))


def test_where_a_face_is_reached_is_known_since_the_start_and_is_no_setting() -> None:
    started = {**at_start(parse({}), [_FACE]), **at_urls({"prompt-chain": "http://[::1]:40123"})}
    assert url_at(started, "prompt-chain") == "http://[::1]:40123"
    assert url_at(started, "api-gateway") == ""
    assert [path for path, value in at_start(parse({}), [_FACE]).items() if value != started[path]] == []


def test_settings_of_the_start_are_named_by_their_paths() -> None:
    started = at_start(parse({"server": {"port": 9}}))
    assert (started["server.port"], started["logs.format"]) == (9, "auto")
