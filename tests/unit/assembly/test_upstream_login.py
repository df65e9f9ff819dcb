"""Logging in by the settings of an upstream, at a stand-in of Coze that is asked over HTTP."""

import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from jotgate.assembly.upstream_login import Login, log_in_by_browser, log_in_by_device, prepare
from jotgate.core.coze_login import read_redirect
from jotgate.core.device_login import DeviceCode
from jotgate.errors import CommandError, ConfigurationError
from jotgate.stores.settings import Sources
from jotgate.testing.coze import CozeServer, coze_in_thread
from jotgate.testing.coze_told import APP_ID


@pytest.fixture(scope="module")
def coze() -> Iterator[CozeServer]:
    with coze_in_thread() as server:
        server.device_interval_s = 1
        yield server


def login_at(url: str, folder: Path, more: str = "", client_id: str = APP_ID) -> Login:
    file = folder / "jotgate.toml"
    file.write_text(
        '[[upstreams]]\nname = "coze"\nkind = "coze"\nmodels = { assistant = "bot:7300000000000000001" }\n'
        f'base_url = "{url}"\n{more}\n[upstreams.oauth]\ngrant = "refresh-token"\nclient_id = "{client_id}"\n'
    )
    return prepare(Sources(file=file), "coze", "")


def come_back(url: str) -> None:
    """Be a browser that agrees and comes back."""
    urllib.request.urlopen(url, timeout=10).close()


def test_the_settings_say_where_and_for_whom(tmp_path: Path) -> None:
    login = login_at("https://api.coze.cn/", tmp_path, client_id="app")
    assert (login.client_id, login.token_url) == ("app", "https://api.coze.cn/api/permission/oauth2/token")
    assert login.applicant.places.browser_url == "https://www.coze.cn/api/permission/oauth2/authorize"


def test_a_way_that_is_not_there_is_an_error_and_never_the_direct_way(tmp_path: Path) -> None:
    more = 'proxy = "http://127.0.0.1:1"\nproxy_credential_env = "NOT_SET_HERE"'
    with pytest.raises(ConfigurationError, match="NOT_SET_HERE"):
        login_at("https://api.coze.com", tmp_path, more)
    found = login_at("https://api.coze.com", tmp_path, 'proxy = "http://127.0.0.1:1"').applicant.reach.proxy
    assert found is not None
    assert (found.host, found.port) == ("127.0.0.1", 1)


def test_a_device_login_at_the_stand_in(coze: CozeServer, tmp_path: Path) -> None:
    told: list[DeviceCode] = []

    def agree(code: DeviceCode) -> None:
        told.append(code)
        coze.approve(code.user_code)

    token = log_in_by_device(login_at(coze.url, tmp_path), agree)
    assert token.reveal()
    assert told[0].page.startswith(coze.url)


def test_a_browser_login_at_the_stand_in(coze: CozeServer, tmp_path: Path) -> None:
    redirect = read_redirect(next(iter(coze.redirect_uris)))
    browsers: list[threading.Thread] = []

    def open_browser(url: str) -> None:
        browsers.append(threading.Thread(target=come_back, args=(url,)))
        browsers[0].start()

    token = log_in_by_browser(login_at(coze.url, tmp_path), redirect, open_browser)
    browsers[0].join()
    assert token.reveal()


def test_a_user_who_says_no_is_told(coze: CozeServer, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="the login was refused: access_denied"):
        log_in_by_device(login_at(coze.url, tmp_path), lambda code: coze.deny(code.user_code))


def test_an_app_that_coze_does_not_know_is_told(coze: CozeServer, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="the login was refused: invalid_client: invalid client id") as caught:
        log_in_by_device(login_at(coze.url, tmp_path, client_id="7"), lambda _: None)
    assert "client_id" in caught.value.hint


def test_where_nobody_answers_that_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="the upstream cannot be asked: "):
        log_in_by_device(login_at("http://127.0.0.1:9", tmp_path), lambda _: None)
