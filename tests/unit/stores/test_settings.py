"""The configuration file, the environment and `.env` over it, and the credentials that they name."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from jotgate.assembly.loading import load_all
from jotgate.core.config import Config
from jotgate.core.values import Secret
from jotgate.errors import ConfigurationError
from jotgate.stores.settings import Finding, Settings, Sources, load_settings

_UPSTREAM = '[[upstreams]]\nname = "u"\nkind = "openai"\nbase_url = "http://h"\nmodels = ["m"]\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration with one upstream."""
    path = tmp_path / "jotgate.toml"
    path.write_text(_UPSTREAM)
    return path


def load(file: Path, more: str = "", variables: Mapping[str, str] | None = None, **chosen: object) -> Settings:
    """The settings in the file with more text, and the environment."""
    file.write_text(_UPSTREAM + more)
    return load_settings(Sources(file=file, environment=variables or {}, **chosen))  # type: ignore[arg-type]


def test_no_file_means_the_defaults() -> None:
    settings = load_settings(Sources())
    assert settings.require() == Config()
    assert settings.origins == {}


@pytest.mark.parametrize(
    ("content", "where", "said"),
    [
        (b"[server]\nport = \n", ":2", "is not TOML: Invalid value (at line 2, column 8)"),
        (b"\xff", "", "is not UTF-8 text"),
        (b"# x\n[server]\n\nport = -1\n", ":4: server.port", "is -1"),
        (b"[[upstreams]]\n[[upstreams]]\nname='a'\n", ":1: upstreams[0].name", "is missing"),
        (b"[[quotas]]\nname='a'\nlimit='5 calls'\n", ":3: quotas[0].limit", "counts no unit that there is"),
        (b"[[quotas]]\nname='a'\nlimit='1 request/day in Mars/Base'\n", ":3: quotas[0].limit", "names 'Mars/Base'"),
    ],
)
def test_a_fault_names_file_line_and_setting(tmp_path: Path, content: bytes, where: str, said: str) -> None:
    file = tmp_path / "jotgate.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(Sources(file=file)).require()
    found = dict(caught.value.faults)
    assert said in found[f"{file}{where}"]


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        load_settings(Sources(file=tmp_path / "absent.toml")).require()


def test_an_option_goes_before_the_environment_and_that_before_env_file_and_that_before_the_file(file: Path) -> None:
    dotenv = file.with_name(".env")
    dotenv.write_text("JOTGATE_SERVER__PORT=3\nJOTGATE_SERVER__WORKERS=3\nJOTGATE_LIMITS__HEADER_COUNT=30\n")
    dotenv.chmod(0o600)
    settings = load(
        file,
        "[server]\nport = 2\nworkers = 2\nhost = 'localhost'\n[limits]\nheader_count = 20\n",
        {"JOTGATE_SERVER__PORT": "4", "JOTGATE_SERVER__WORKERS": "4", "JOTGATE_PORT": "tcp://10.0.0.1:80"},
        dotenv=dotenv,
        options={"server.port": 5},
    )
    config = settings.require()
    server = config.server
    assert (server.port, server.workers, config.limits.header_count, server.host) == (5, 4, 30, "localhost")
    assert settings.warnings == ()
    origins = settings.origins
    assert origins["server.port"] == "option --port"
    assert origins["server.workers"] == "environment JOTGATE_SERVER__WORKERS"
    assert origins["limits.header_count"] == ".env JOTGATE_LIMITS__HEADER_COUNT"
    assert origins["server.host"] == f"{file}:9"
    assert "server.public_url" not in origins


def test_every_fault_is_told_at_once_wherever_it_stands(file: Path) -> None:
    settings = load(
        file,
        'credential_env = "KEY"\n[server]\nprot = 1\n',
        {"JOTGATE_SERVER__PORT": "many", "JOTGATE_SERVR__PORT": "1", "JOTGATE_UPSTREAMS__U__IDLE_TIMEOUT": "1"},
    )
    assert settings.config is None
    assert {(one.where, one.setting) for one in settings.findings} == {
        (f"{file}:8", "server.prot"),
        (f"{file}:6", "upstreams[0].credential_env"),
        ("environment JOTGATE_SERVER__PORT", "server.port"),
        ("environment JOTGATE_UPSTREAMS__U__IDLE_TIMEOUT", "upstreams[0].idle_timeout"),
        ("environment JOTGATE_SERVR__PORT", ""),
    }


def test_a_env_file_that_others_can_read_or_that_is_not_understood_is_a_warning(file: Path) -> None:
    dotenv = file.with_name(".env")
    dotenv.write_text("KEY=sk-hush\n{hush}\n")
    dotenv.chmod(0o644)
    settings = load(file, 'credential_env = "KEY"\n', dotenv=dotenv)
    assert settings.credentials == {"u": Secret("sk-hush")}
    assert [warning.replace(str(dotenv), ".env") for warning in settings.warnings] == [
        "'.env' can be read by others (mode 0644); run: chmod 600 '.env'",
        ".env:2 is not NAME=value, and is passed over",
    ]
    assert dotenv in settings.files


def test_the_environment_goes_before_the_env_file_for_credentials_too(file: Path) -> None:
    dotenv = file.with_name(".env")
    dotenv.write_text("KEY=sk-old\n")
    assert load(file, 'credential_env = "KEY"\n', {"KEY": "sk-new"}, dotenv=dotenv).credentials["u"] == Secret("sk-new")


def test_a_credential_comes_from_the_environment(file: Path) -> None:
    assert load(file, 'credential_env = "KEY"\n', {"KEY": " sk-1\n"}).credentials == {"u": Secret("sk-1")}


def test_a_credential_in_a_variable_of_its_own_is_no_literal_in_the_file(file: Path) -> None:
    settings = load(file, "", {"JOTGATE_UPSTREAMS__U__CREDENTIAL": "sk-3"})
    settings.require()
    assert settings.credentials == {"u": Secret("sk-3")}


def test_a_credential_file_lies_beside_the_configuration_and_is_watched(file: Path) -> None:
    file.with_name("key.txt").write_text("sk-2\n")
    settings = load(file, 'credential_file = "key.txt"\n')
    assert settings.credentials == {"u": Secret("sk-2")}
    assert settings.files == (file, file.with_name("key.txt"))


def test_a_credential_in_the_file_is_refused_but_in_development(file: Path) -> None:
    refused = load(file, 'credential = "sk-4"\n')
    assert [(one.where, one.setting) for one in refused.findings] == [(f"{file}:6", "upstreams[0].credential")]
    assert "sk-4" not in str(refused)
    allowed = load(file, 'credential = "sk-4"\n', development=True)
    assert allowed.credentials == {"u": Secret("sk-4")}
    assert "sk-4" not in str(allowed)


def test_in_development_too_a_secret_stands_in_its_setting_or_nowhere(file: Path) -> None:
    (finding,) = load(file, 'api_key = "sk-5"\n', development=True).findings
    assert finding.setting == "upstreams[0].api_key"


def test_no_credential_is_needed(file: Path) -> None:
    assert load(file).credentials == {}


@pytest.mark.parametrize("text", ["", " \n", "sk\nhush", "sk-hush\x00", "sk-höhö", "x" * 16_385])
def test_what_cannot_go_into_a_header_is_no_credential_and_is_not_shown(file: Path, text: str) -> None:
    (finding,) = load(file, 'credential_env = "KEY"\n', {"KEY": text}).findings
    assert finding.where == f"{file}:6"
    assert finding.setting == "upstreams[0].credential_env"
    assert "'KEY'" in finding.fault
    assert "hush" not in finding.fault


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('credential_env = "KEY"\n', "'KEY', which is set neither in the environment nor in .env"),
        ('credential_file = "k"\n', "which cannot be read"),
    ],
)
def test_a_credential_that_is_not_there_is_a_fault(file: Path, setting: str, said: str) -> None:
    (finding,) = load(file, setting).findings
    assert said in finding.fault


def test_a_command_that_needs_no_credential_looks_for_none(file: Path) -> None:
    file.write_text(_UPSTREAM + 'credential_env = "KEY"\n')
    settings = load_settings(Sources(file=file), secrets=False)
    settings.require()
    assert settings.credentials == {}
    assert not any(isinstance(one, Finding) for one in settings.findings)


@pytest.mark.parametrize(
    "value", ["1" * 5_000, "0x" + "f" * 5_000, "[" * 5_000], ids=["digits", "hexadecimal", "depth"]
)
def test_a_variable_that_no_reader_of_toml_takes_is_a_fault(file: Path, value: str) -> None:
    (finding,) = load(file, "", {"JOTGATE_SERVER__PORT": value}).findings
    assert (finding.setting, len(finding.fault) < 200) == ("server.port", True)


@pytest.mark.parametrize("value", ['{ env = "KEY" }', "123", '["sk-hush"]'])
def test_a_credential_that_is_no_text_is_a_fault_and_is_not_shown(file: Path, value: str) -> None:
    (finding,) = load(file, f"credential = {value}\n", development=True).findings
    assert finding.setting == "upstreams[0].credential"
    assert "hush" not in finding.fault


_PEM = "-----BEGIN PRIVATE KEY-----\\nMIIhushAgEAMBMGhushSM49AgEGCCqGSM49\\n-----END PRIVATE KEY-----\\n"


@pytest.mark.parametrize(
    "line",
    [
        'credential_env = "sk-proj-hush0123456789"',
        'credential_env = "gsk_hush0123456789abcdef"',
        'credential_env = "hush with a space"',
        'credential_file = "sk-proj-hush0123456789"',
        'credential_file = "./sk-proj-hush0123456789"',
        f'credential_file = "{_PEM}"',
        'proxy = "http://p:1"\nproxy_credential_env = "me:hush"',
        'proxy = "http://p:1"\nproxy_credential_file = "me:hush"',
        f'ca_file = "{_PEM}"',
        'kind = "sk-proj-hush0123456789"',
        f'[tls]\ncert = "server.pem"\nkey = "{_PEM}"',
        f'[tls]\ncert = "{_PEM}"\nkey = "server.key"',
        f'[tls]\nmin_version = "{_PEM}"',
    ],
)
def test_a_secret_in_the_place_of_its_name_is_refused_and_not_shown(file: Path, line: str) -> None:
    upstream = _UPSTREAM.replace('kind = "openai"\n', "") if line.startswith("kind") else _UPSTREAM
    file.write_text(f"{upstream}{line}\n")
    settings = load_all(Sources(file=file)).settings
    assert settings.config is None
    assert settings.findings
    assert "hush" not in str(settings.findings)
    assert not settings.warnings


def test_a_secret_that_stands_for_its_variable_gets_the_advice_to_make_one(file: Path) -> None:
    (finding,) = load(file, 'credential_env = "sk-proj-0123456789abcdef"\n').findings
    assert finding.fault.startswith("looks like the secret itself")
    assert (finding.where, finding.setting) == (f"{file}:6", "upstreams[0].credential_env")


def test_a_strange_name_of_a_variable_that_is_set_is_used(file: Path) -> None:
    assert load(file, 'credential_env = "gsk_is_my_favourite_name"\n', {"gsk_is_my_favourite_name": "k-1"}).config


def test_a_credential_file_that_everybody_can_read_is_a_warning_and_known_as_secret(file: Path) -> None:
    key, proxy, dotenv = (file.with_name(name) for name in ("key.txt", "proxy.txt", ".env"))
    for path, content in ((key, "sk-2"), (proxy, "me:word")):
        path.write_text(content)
        path.chmod(0o640)
    more = 'credential_file = "key.txt"\nproxy = "http://p:1"\nproxy_credential_file = "proxy.txt"\n'
    quiet = load(file, more, dotenv=dotenv)
    assert quiet.warnings == ()
    assert set(quiet.secret_files) == {key, proxy, dotenv}
    assert set(quiet.files) == {file, key, proxy, dotenv}
    for path in (key, proxy):
        path.chmod(0o644)
    assert [warning.partition(";")[2] for warning in load(file, more).warnings] == [
        f" run: chmod 600 '{path}'" for path in (key, proxy)
    ]


def test_numbers_that_may_leave_no_fetch_for_a_new_key_are_a_warning_and_no_fault(file: Path) -> None:
    entry = '[[issuers]]\nname = "idp"\nissuer = "https://idp.example"\naudiences = ["a"]\ncooldown = "5s"\n'
    settings = load(file, entry)
    assert settings.config
    (warning,) = settings.warnings
    assert "'cooldown' (5 s) times 'fetches_per_minute' (10)" in warning
    assert load(file, entry + "fetches_per_minute = 12\n").warnings == ()


def test_a_configuration_that_holds_a_credential_is_itself_secret(file: Path) -> None:
    assert load(file, 'credential = "sk-4"\n', development=True).secret_files == (file,)
    assert load(file).secret_files == ()


def test_an_awaited_file_may_come_later(file: Path) -> None:
    awaited = Sources(file=file, awaited=True)
    assert load_settings(awaited).require().upstreams[0].name == "u"
    file.unlink()
    absent = load_settings(awaited)
    assert (absent.require(), absent.files) == (Config(), (file,))


def test_an_awaited_file_that_others_wrote_is_refused(file: Path) -> None:
    file.chmod(0o666)
    (finding,) = load_settings(Sources(file=file, awaited=True)).findings
    assert "another user" in finding.fault
    assert load_settings(Sources(file=file)).findings == ()
