"""What `jotgate up` and `jotgate doctor` tell whoever starts and looks after a gateway."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

from jotgate.testing.certificates import Authority
from jotgate.testing.running import Gateway, run_command, until
from jotgate.testing.upstream import UpstreamServer, unary
from tests.integration.exchanges import Caller, configuration

StartGateway = Callable[..., Gateway]


def test_the_first_lines_name_what_could_be_added_and_never_show_a_key(
    start_gateway: StartGateway, call: Callable[..., Caller]
) -> None:
    key = "sk-canary-0123456789"
    gateway = start_gateway(
        "", environment={"OPENAI_API_KEY": key, "ANTHROPIC_API_KEY": key, "OPENAI_UPSTREAM_KEY": key}
    )
    line = gateway.read_line_with("upstreams = [")
    assert 'credential_env = "OPENAI_API_KEY"' in line
    assert 'base_url = "https://api.anthropic.com/v1"' in line
    assert key not in gateway.first_lines + line + gateway.errors
    models = call(gateway, gateway.token())("GET", "/v1/models").json["data"]
    assert [model["id"] for model in models] == ["echo"], "nothing is used that nobody asked for"
    assert gateway.stop() == 0


def test_the_line_adds_what_it_says_in_the_directory_where_it_is_told(
    directory: Path, call: Callable[..., Caller]
) -> None:
    gateway = Gateway(directory / "data", environment={"OPENAI_API_KEY": "sk-canary-0123456789"}, cwd=directory)
    try:
        gateway.start()
        line = gateway.read_line_with("upstreams = [").strip()
        assert f"first line of {directory / 'jotgate.toml'}:" in gateway.read_line_with("Found ")
        file = directory / "jotgate.toml"
        file.write_text(line + "\n")
        until(lambda: gateway.settled_on(2), "the file that came is in effect")
        caller = call(gateway, gateway.token())
        names = {model["id"] for model in caller("GET", "/v1/models").json["data"]}
        assert names == {"echo", "gpt-4o-mini"}
        file.unlink()
        until(lambda: bool(gateway.status()["faults"]), "its going is refused")
        assert {model["id"] for model in caller("GET", "/v1/models").json["data"]} == names
    finally:
        gateway.kill()


# The doctor


def doctor(gateway: Gateway, *arguments: str, environment: dict[str, str] | None = None) -> dict[str, dict[str, str]]:
    """The report of `jotgate doctor`, by name; of several with one name the last fault, else the last."""
    config = str(gateway.data.parent / "jotgate.toml")
    ran = run_command("doctor", "--json", "--config", config, *arguments, data=gateway.data, environment=environment)
    report = json.loads(ran.stdout)
    found: dict[str, dict[str, str]] = {}
    for check in report["checks"]:
        if found.get(check["name"], {}).get("state") != "fault":
            found[check["name"]] = check
    assert ran.returncode == (0 if report["sound"] else 1)
    assert report["sound"] == all(check["state"] != "fault" for check in report["checks"])
    return found


def test_the_doctor_finds_nothing_wrong_with_what_is_right(
    start_gateway: StartGateway, upstream: UpstreamServer
) -> None:
    upstream.default = unary(b'{"data":[]}')
    key = {"SCRIPTED_KEY": "canary-credential"}
    gateway = start_gateway(configuration(upstream), environment=key)
    found = doctor(gateway, environment=key)
    assert [name for name, check in found.items() if check["state"] == "fault"] == []
    assert found["control"]["text"].endswith("workers connected: 1")
    assert found["address"]["text"] == f"{gateway.url} takes connections"
    assert found["upstream scripted"]["text"].endswith("answers and takes the credential")
    assert upstream.requests[-1].target == "/v1/models"
    assert upstream.requests[-1].headers["authorization"] == "Bearer canary-credential"
    shown = run_command("doctor", "--config", str(gateway.config), data=gateway.data, environment=key)
    assert shown.stderr == "  next  jotgate status\n", "what runs is not to be started"


def test_the_doctor_says_what_mends_each_fault(start_gateway: StartGateway, upstream: UpstreamServer) -> None:
    upstream.default = unary(b"{}", 401)
    key = {"SCRIPTED_KEY": "canary-credential"}
    gateway = start_gateway(configuration(upstream), environment=key)
    (gateway.data / "keys").chmod(0o755)
    found = doctor(gateway, environment=key)
    assert found["files"]["fix"] == f"chmod 700 '{gateway.data / 'keys'}'"
    assert "refuses the credential (status 401)" in found["upstream scripted"]["text"]
    shown = run_command("doctor", data=gateway.data, environment=key)
    assert f"✗ files: '{gateway.data / 'keys'}' has mode 0755" in shown.stdout
    assert f"    fix  chmod 700 '{gateway.data / 'keys'}'" in shown.stdout
    assert shown.returncode == 1
    assert "canary" not in shown.stdout + shown.stderr + json.dumps(found)


def test_the_doctor_of_a_gateway_that_does_not_run_looks_at_the_rest(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = directory / "jotgate.toml"
        config.write_text(
            f"[server]\nport = {taken.getsockname()[1]}\n[[upstreams]]\nname = 'gone'\nkind = 'openai'\n"
            "base_url = 'http://127.0.0.1:1/v1'\nmodels = ['m']\n"
        )
        ran = run_command("doctor", "--config", str(config), data=directory / "data")
    assert ran.returncode == 1
    assert "? control: no jotgate runs on " in ran.stdout
    assert "✗ address: port " in ran.stdout
    assert "✗ upstream gone: 127.0.0.1:1 cannot be reached: Connection refused" in ran.stdout
    assert not (directory / "data").exists(), "a look makes nothing"


def test_the_doctor_knows_public_files_and_the_options_of_up(start_gateway: StartGateway, directory: Path) -> None:
    pair = Authority(directory).issue("server")
    pair.cert.chmod(0o644)
    pair.key.chmod(0o600)
    options = ("--development", "--tls-cert", str(pair.cert), "--tls-key", str(pair.key))
    gateway = start_gateway(
        "[[upstreams]]\nname = 'u'\nkind = 'openai'\nbase_url = 'http://127.0.0.1:1'\nmodels = ['m']\n"
        "credential = 'canary'\n",
        *options,
    )
    gateway.config.chmod(0o600)
    found = doctor(gateway, *options)
    assert [name for name, check in found.items() if check["state"] == "fault"] == ["upstream u"]
    gateway.config.chmod(0o644)
    assert doctor(gateway, *options)["files"]["fix"] == f"chmod go-rwx '{gateway.config}'"
    assert "is a secret" in doctor(gateway)["settings"]["text"]


def test_the_doctor_tells_faults_in_the_settings(directory: Path) -> None:
    config = directory / "jotgate.toml"
    config.write_text("[server]\nprt = 1\n[limits]\nbody_bytes = 1\n")
    ran = run_command("doctor", "--config", str(config), data=directory / "data")
    assert ran.returncode == 1
    assert ran.stdout.count("✗ settings: ") == 2
