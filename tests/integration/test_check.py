"""`jotgate check` and `jotgate status`: what an operator asks before and after a change."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from jotgate.testing.running import Gateway, clean_environment, run_command

StartGateway = Callable[..., Gateway]
_UPSTREAM = '[[upstreams]]\nname = "u"\nkind = "openai"\nbase_url = "http://h"\nmodels = ["m"]\n'


def check(directory: Path, text: str, *options: str, **variables: str) -> "CompletedProcess[str]":
    """Run the command on a configuration."""
    file = directory / "jotgate.toml"
    file.write_text(text)
    return run_command("check", "--config", str(file), *options, data=directory / "data", environment=variables)


def test_nothing_wrong_is_said_and_nothing_is_made(directory: Path) -> None:
    found = check(directory, _UPSTREAM)
    assert (found.returncode, found.stdout) == (0, "nothing is wrong with the settings\n")
    assert "error" not in found.stderr
    assert not (directory / "data").exists()


def test_every_fault_is_told_with_its_place(directory: Path) -> None:
    found = check(
        directory, "[server]\nprot = 1\n" + _UPSTREAM + 'credential_file = "none"\n', JOTGATE_SERVER__PORT="x"
    )
    assert found.returncode == 1
    assert found.stdout == ""
    first, *faults = found.stderr.splitlines()
    file = directory / "jotgate.toml"
    assert first == "error configuration: the configuration has 3 faults"
    assert any(fault.startswith(f"  {file}:2: server.prot is not a setting") for fault in faults)
    assert any(fault.startswith(f"  {file}:8: upstreams[0].credential_file names") for fault in faults)
    assert any(fault.startswith("  environment JOTGATE_SERVER__PORT: server.port is 'x'") for fault in faults)


def test_a_certificate_that_cannot_be_used_is_a_fault_too(directory: Path) -> None:
    found = check(directory, '[tls]\ncert = "no.pem"\nkey = "no.key"\n')
    assert f"{directory / 'jotgate.toml'}:2: tls.cert names" in found.stderr


def test_all_is_explained_and_no_secret_is_shown(directory: Path) -> None:
    text = "[server]\nworkers = 2\n" + _UPSTREAM
    found = check(directory, text, "--explain", "--port", "7", JOTGATE_UPSTREAMS__U__CREDENTIAL="sk-hush")
    rows = {line.split()[0]: line.split()[1:] for line in found.stdout.splitlines()}
    assert rows["server.port"] == ["7", "option", "--port"]
    assert rows["server.workers"] == ["2", f"{directory / 'jotgate.toml'}:2"]
    assert rows["server.host"] == ['"127.0.0.1"', "default"]
    assert rows["upstreams[0].credential"][1:] == ["environment", "JOTGATE_UPSTREAMS__U__CREDENTIAL"]
    assert "hush" not in found.stdout + found.stderr


def test_the_report_is_one_json_object(directory: Path) -> None:
    sound = check(directory, _UPSTREAM, "--json")
    report = json.loads(sound.stdout)
    assert report["sound"] is True
    assert report["settings"]["upstreams[0].models"] == {"value": ["m"], "from": f"{directory / 'jotgate.toml'}:5"}
    wrong = check(directory, "[sever]\n", "--json")
    assert wrong.returncode == 1
    assert json.loads(wrong.stdout)["faults"] == [
        {
            "where": f"{directory / 'jotgate.toml'}:1",
            "setting": "sever",
            "fault": "is not a setting; did you mean 'server'?",
        }
    ]


@pytest.mark.parametrize("options", [(), ("--development",)])
def test_a_secret_in_the_file_is_sound_in_development_alone(directory: Path, options: tuple[str, ...]) -> None:
    found = check(directory, _UPSTREAM + 'credential = "sk-hush"\n', *options)
    assert found.returncode == (0 if options else 1)
    assert "hush" not in found.stdout + found.stderr


def test_another_public_url_than_the_installations_is_a_fault(gateway: Gateway) -> None:
    gateway.config.write_text('[server]\npublic_url = "https://other.example"\n')
    found = run_command("check", "--config", str(gateway.config), data=gateway.data)
    assert found.returncode == 1
    assert f"{gateway.config}:2: server.public_url is 'https://other.example', but this installation is" in found.stderr


def test_the_status_is_that_of_the_running_jotgate(gateway: Gateway) -> None:
    told = run_command("status", data=gateway.data)
    assert told.returncode == 0
    assert told.stdout.startswith(f"jotgate runs (pid {gateway.pids['control']})\n")
    assert f"  issuer    {gateway.url}\n" in told.stdout
    report = json.loads(run_command("status", "--json", data=gateway.data).stdout)
    assert (report["workers"], report["snapshot"], report["faults"]) == (1, 1, [])


def test_without_a_running_jotgate_there_is_no_status(directory: Path) -> None:
    told = run_command("status", data=directory / "data")
    assert told.returncode == 1
    assert told.stderr.startswith("error command: no jotgate runs on ")
    assert not (directory / "data").exists()


def test_development_lets_a_secret_stand_in_the_file_and_says_so_at_the_start(start_gateway: StartGateway) -> None:
    gateway = start_gateway(_UPSTREAM + 'credential = "sk-hush"\n', "--development")
    assert "--development relaxes: the configuration may hold credentials" in gateway.errors
    assert "hush" not in gateway.errors


def test_a_variable_of_env_file_is_a_setting_and_a_file_that_others_read_is_warned_of(directory: Path) -> None:
    dotenv = directory / ".env"
    dotenv.write_text("JOTGATE_SERVER__WORKERS=3\n")
    dotenv.chmod(0o644)
    command = [sys.executable, "-P", "-m", "jotgate", "check", "--explain", "--data", "data"]
    found = subprocess.run(
        command, cwd=directory, env=clean_environment({}), capture_output=True, text=True, timeout=20, check=False
    )
    assert found.returncode == 0
    assert ["server.workers", "3", ".env", "JOTGATE_SERVER__WORKERS"] in [
        row.split() for row in found.stdout.splitlines()
    ]
    assert "can be read by others (mode 0644)" in found.stderr
