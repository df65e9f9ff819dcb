"""What the doctor makes of what it sees, and what it sees of an upstream through its own way."""

import os
import resource
import stat
from pathlib import Path

import pytest
from msgspec.structs import replace

from jotgate.assembly.doctor import (
    AskUpstreams,
    Check,
    check_faces,
    check_files,
    check_name,
    check_open_files,
    check_step,
    check_synchronised,
    check_upstream_tokens,
    check_upstreams,
    examine,
)
from jotgate.assembly.pings import ping
from jotgate.core.config import Config, Server, UpstreamEntry
from jotgate.core.routes import Proxy, Reach
from jotgate.core.status import FaceState, Status
from jotgate.core.upstream_orders import UpstreamAnswer, UpstreamView
from jotgate.core.upstream_tokens import TokenStanding
from jotgate.core.values import Secret
from jotgate.errors import CommandError
from jotgate.stores.directory import DataDirectory
from jotgate.stores.settings import Sources, load_settings
from jotgate.testing.upstream import unary, upstream_in_thread

KEY = Secret("canary-credential")


@pytest.mark.parametrize(
    ("kernel", "state"), [(0, "ok"), (1, "ok"), (4, "ok"), (5, "unknown"), (-1, "unknown"), (None, "unknown")]
)
def test_a_clock_of_which_nothing_is_known_is_not_called_good(kernel: int | None, state: str) -> None:
    assert check_synchronised(kernel).state == state


@pytest.mark.parametrize(("step_s", "state"), [(0.0, "ok"), (-4.9, "ok"), (5.1, "fault"), (-3_600.0, "fault")])
def test_a_clock_that_was_set_beyond_the_leeway_is_a_fault(step_s: float, state: str) -> None:
    assert check_step(step_s, Config()).state == state


@pytest.mark.parametrize(
    ("limit", "state"), [(resource.RLIM_INFINITY, "ok"), (65_536, "ok"), (4_096, "unknown"), (256, "fault")]
)
def test_few_open_files_are_told(limit: int, state: str) -> None:
    assert check_open_files(limit).state == state


def test_files_that_others_can_use_are_faults_with_their_remedy(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    secret, config, cert = tmp_path / "key.toml", tmp_path / "jotgate.toml", tmp_path / "server.pem"
    for path in (secret, config, cert):
        path.touch(mode=0o600)
    files = (secret, config, cert, tmp_path / "absent", tmp_path / "a\0b")
    assert {check.state for check in check_files(directory, files, (secret,))} == {"ok"}
    directory.keys.mkdir(mode=0o700)
    (directory.keys / "a.pem").touch()
    (directory.keys / "a.pem").chmod(0o640)
    secret.chmod(0o644)
    config.chmod(0o644)
    cert.chmod(0o664)
    faults = [check for check in check_files(directory, files, (secret,)) if check.state == "fault"]
    assert [check.fix for check in faults] == [
        f"chmod 600 '{directory.keys / 'a.pem'}'",
        f"chmod go-rwx '{secret}'",
        f"chmod go-w '{cert}'",
    ]
    for check, path in zip(faults, (directory.keys / "a.pem", secret, cert), strict=True):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert f"{mode:04o}" in check.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize(("mode", "fixes"), [(0o640, []), (0o660, ["chmod g-w,o-rwx"]), (0o644, ["chmod g-w,o-rwx"])])
def test_a_secret_of_another_user_may_be_read_by_its_group(tmp_path: Path, mode: int, fixes: list[str]) -> None:
    key = tmp_path / "server.key"
    key.touch()
    key.chmod(mode)
    os.chown(key, 65_534, 65_534)
    faults = [one for one in check_files(DataDirectory(tmp_path / "data"), (key,), (key,)) if one.state == "fault"]
    assert [one.fix for one in faults] == [f"{fix} '{key}'" for fix in fixes]


def test_an_address_is_not_called_taken_when_control_is_there_and_silent(tmp_path: Path) -> None:
    def ask() -> Status | None:
        raise CommandError("it did not answer within 10 s")

    checks = list(examine(DataDirectory(tmp_path / "data"), Sources(), ask, lambda: None))
    assert [one.text for one in checks if one.name == "control"] == ["it did not answer within 10 s"]
    assert not [one for one in checks if one.name == "address"]


def entry(base_url: str) -> UpstreamEntry:
    """An upstream."""
    return UpstreamEntry(name="a", kind="openai", base_url=base_url, models=("m",))


@pytest.mark.parametrize(
    ("status", "credential", "state", "said"),
    [
        (200, KEY, "ok", "answers and takes the credential"),
        (200, None, "ok", "answers"),
        (401, KEY, "fault", "refuses the credential"),
        (403, None, "fault", "wants a credential, and none is configured"),
        (404, KEY, "unknown", "has no list of models"),
        (500, KEY, "fault", "with status 500"),
    ],
)
def test_an_upstream_is_judged_by_its_answer(status: int, credential: Secret | None, state: str, said: str) -> None:
    with upstream_in_thread(unary(b"{}", status)) as server:
        answer = ping(entry(server.base_url), credential, Reach())
    assert (answer.state, said in answer.text) == (state, True)
    assert "canary" not in answer.text + answer.fix
    assert server.requests[0].target == "/v1/models"


def test_an_upstream_is_asked_through_its_proxy() -> None:
    with upstream_in_thread(unary(b"{}")) as proxy:
        reach = Reach(Proxy("127.0.0.1", proxy.port, Secret("me:secret")))
        assert ping(entry("http://api.example/v1"), KEY, reach).state == "ok"
    (asked,) = proxy.requests
    assert asked.target == "http://api.example/v1/models"
    assert asked.headers["proxy-authorization"] == "Basic bWU6c2VjcmV0"
    assert asked.headers["host"] == "api.example"


def test_anthropic_is_asked_for_its_models_in_its_own_way() -> None:
    with upstream_in_thread(unary(b"{}")) as proxy:
        reach = Reach(Proxy("127.0.0.1", proxy.port, None))
        assert ping(entry("http://api.anthropic.com/v1"), KEY, reach).state == "ok"
    headers = proxy.requests[0].headers
    assert (headers["x-api-key"], headers["anthropic-version"]) == (KEY.reveal(), "2023-06-01")
    assert "authorization" not in headers


@pytest.mark.parametrize(
    ("base_url", "said"),
    [
        ("http://127.0.0.1:1/v1", "cannot be reached: Connection refused"),
        ("http://no-such-host.invalid/v1", "has no address"),
    ],
)
def test_an_upstream_that_is_not_there_is_a_fault(base_url: str, said: str) -> None:
    answer = ping(entry(base_url), None, Reach())
    assert answer.state == "fault"
    assert said in answer.text
    assert answer.fix


def test_a_name_that_leads_to_another_port_is_a_fault_unless_the_settings_say_so() -> None:
    running = status("http://127.0.0.1:8081", "http://127.0.0.1:8080")
    (found,) = check_name(Server(), running)
    assert (found.name, found.state) == ("name", "fault")
    assert "--port 8080" in found.fix
    assert not list(check_name(Server(public_url="http://127.0.0.1:8080"), running))
    assert not list(check_name(Server(), status("http://127.0.0.1:8080", "http://127.0.0.1:8080")))
    assert not list(check_name(Server(), None))


def test_how_tokens_for_upstreams_are_got_is_told_by_what_control_says(tmp_path: Path) -> None:
    settings = load_settings(Sources(file=_with_grant(tmp_path), environment={"SECRET": "s"}))
    running = status("http://127.0.0.1:8080", "http://127.0.0.1:8080")
    well = TokenStanding("u", "client-credentials", sessions=1, obtained=2, failed=0)
    for standing, state, said in (
        (well, "ok", "2 got, 0 exchanges failed"),
        (replace(well, fault="no route"), "fault", "no route"),
        (replace(well, key_id="next", second=True), "ok", "the first one is not taken any more"),
    ):
        (found,) = check_upstream_tokens(settings, replace(running, upstream_tokens=[standing]), {"u": ""})
        assert (found.name, found.state) == ("tokens u", state)
        assert said in found.text
        assert found.fix or standing is well
    (unknown,) = check_upstream_tokens(settings, None, {})
    assert unknown.state == "unknown"
    assert [one.name for one in check_upstreams(settings, settings.require())] == []


def test_the_upstream_of_a_preset_that_runs_is_told_though_the_settings_here_do_not_name_it(tmp_path: Path) -> None:
    settings = load_settings(Sources(file=_with_grant(tmp_path), environment={"SECRET": "s"}))
    failing = TokenStanding("coze", "coze", sessions=0, obtained=0, failed=1, fault="the private key cannot be used")
    running = replace(status("http://127.0.0.1:8080", "http://127.0.0.1:8080"), upstream_tokens=[failing])
    own, found = check_upstream_tokens(settings, running, {})
    assert (own.name, own.state) == ("tokens u", "unknown")
    assert (found.name, found.state) == ("tokens coze", "fault")
    assert "the private key cannot be used" in found.text
    of_mcp = replace(running, upstream_tokens=[replace(failing, upstream="mcp:mail")])
    assert [one.name for one in check_upstream_tokens(settings, of_mcp, {})] == ["tokens u"], "those stand elsewhere"


def test_a_login_that_lacks_is_a_fault_with_its_command(tmp_path: Path) -> None:
    running = replace(
        status("http://127.0.0.1:1", "http://127.0.0.1:1"),
        upstream_tokens=[TokenStanding("coze", "refresh-token", sessions=0, obtained=0, failed=0)],
    )
    lacking = UpstreamAnswer([UpstreamView(name="coze", kind="coze", credential="refresh-token")], running=True)

    def report(ask_upstreams: AskUpstreams) -> Check:
        checks = examine(DataDirectory(tmp_path / "data"), Sources(), lambda: running, ask_upstreams)
        return next(one for one in checks if one.name == "tokens coze")

    found = report(lambda: lacking)
    assert (found.state, found.fix) == ("fault", "Log in: jotgate upstream login coze")
    assert "nobody has logged in" in found.text

    def silent() -> UpstreamAnswer | None:
        raise CommandError("it did not answer within 10 s")

    for ask in (silent, lambda: None):
        assert report(ask).state == "unknown", "what cannot be known is not called good"
    logged_in = replace(lacking, upstreams=[replace(lacking.upstreams[0], configured=True)])
    assert report(lambda: logged_in).state == "ok"


def test_what_a_face_lacks_is_a_fault_whether_it_runs_or_not(tmp_path: Path) -> None:
    file = tmp_path / "jotgate.toml"
    file.touch()
    half = Sources(file=file, environment={"COZE_JWT_APP_ID": "1105"}, presets=("coze-proxy",))
    (idle,) = check_faces(load_settings(half), None)
    assert (idle.name, idle.state) == ("face coze-proxy", "fault")
    assert "COZE_JWT_KEY_ID" in idle.text
    running = status("http://127.0.0.1:1", "http://127.0.0.1:1")
    for missing, state in ((["COZE_JWT_KEY_ID must be set"], "fault"), ([], "ok")):
        face = FaceState("coze-proxy", "http://127.0.0.1:3000", missing)
        (found,) = check_faces(load_settings(Sources(file=file)), replace(running, faces=[face]))
        assert (found.name, found.state) == ("face coze-proxy", state)


def _with_grant(directory: Path) -> Path:
    file = directory / "jotgate.toml"
    file.write_text(
        '[[upstreams]]\nname = "u"\nkind = "openai"\nbase_url = "https://a.example/v1"\nmodels = ["m"]\n'
        '[upstreams.oauth]\ngrant = "client-credentials"\nclient_id = "c"\ntoken_url = "https://a.example/t"\n'
        'client_secret_env = "SECRET"\n'
    )
    return file


def status(url: str, issuer: str) -> Status:
    """What a control process says that listens at `url`."""
    return Status(
        pid=1, version="1", url=url, issuer=issuer, kid="k", workers=1, snapshot=1, settled=[],
        read_at_s=0, faults=[], pending=[], metrics=[], clock_step_s=0.0,
    )  # fmt: skip
