"""`jotgate check` and `jotgate status`: what an operator asks before and after a change."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from jotgate.core.issuer_secrets import secret_mark
from jotgate.core.values import Secret
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


def test_who_limits_money_is_told_of_models_without_a_price(directory: Path) -> None:
    found = check(directory, _UPSTREAM + '[[quotas]]\nname = "q"\nlimit = "5 USD/day"\n')
    assert found.returncode == 0
    assert "the quota 'q' is in money, and nobody knows what 'm' at 'u' costs" in found.stderr


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


def test_the_age_of_a_shared_secret_is_told(directory: Path) -> None:
    secret = directory / "secret"
    secret.write_text("q8Zr1nVw5LkT0yBhXc7dMf3gJs9pUe2A\n")
    secret.chmod(0o600)
    text = f'[[issuers]]\nname = "daemon"\nprofile = "mcp-daemon"\nsecret_file = "{secret}"\n'
    assert "days old" not in check(directory, text).stderr
    then_s = time.time() - 91 * 86_400
    os.utime(secret, (then_s, then_s))
    found = check(directory, text)
    assert (found.returncode, "the secret of the issuer 'daemon' is 91 days old" in found.stderr) == (0, True)
    # A file that was written anew may hold the same secret: what this machine has seen of it counts too.
    os.utime(secret)
    data = directory / "data"
    data.mkdir(mode=0o700)
    mark = secret_mark(Secret("q8Zr1nVw5LkT0yBhXc7dMf3gJs9pUe2A"))
    (data / "secrets.json").write_text(json.dumps({mark: int(then_s)}))
    (data / "secrets.json").chmod(0o600)
    assert "is 91 days old" in check(directory, text).stderr


def test_the_end_of_a_previous_secret_is_told(directory: Path) -> None:
    text = '[[issuers]]\nname = "chain"\nprofile = "prompt-chain"\n'
    variables = {"JWT_SECRET_KEY": "q8Zr1nVw5LkT0yBhXc7dMf3gJs9pUe2A"}
    variables["JWT_SECRET_KEY_PREVIOUS"] = "W4eXb6RtN1mQz8KvHs5yLp0cFj3uDg7S"
    refused = check(directory, text, **variables)
    assert (refused.returncode, "JWT_SECRET_KEY_PREVIOUS_UNTIL" in refused.stderr) == (1, True)

    def until(days: int) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * 86_400 + 60))
        return check(directory, text, **variables, JWT_SECRET_KEY_PREVIOUS_UNTIL=when).stderr

    assert "previous secret" not in until(20)
    assert "the previous secret of the issuer 'chain' ends in 3 days" in until(3)
    assert "verifies no more, as its time is over" in until(-1)


def test_doctor_and_status_tell_each_issuer(start_gateway: StartGateway, directory: Path) -> None:
    text = '[[issuers]]\nname = "idp"\nissuer = "http://127.0.0.1:9/realm"\n'
    file = directory / "jotgate.toml"
    file.write_text(text)
    looked = run_command("doctor", "--config", str(file), data=directory / "data")
    assert "issuer idp: http://127.0.0.1:9/realm, keys by discovery" in " ".join(looked.stdout.split()), looked.stdout
    gateway = start_gateway(text)
    said = run_command("status", data=gateway.data).stdout
    assert "idp: http://127.0.0.1:9/realm, by discovery, from the file" in said
    looked = run_command("doctor", "--config", str(gateway.config), "--port", "0", data=gateway.data)
    assert "keys by discovery, from the file" in looked.stdout


def test_an_issuer_with_the_name_of_this_installation_is_a_fault(start_gateway: StartGateway, directory: Path) -> None:
    gateway = start_gateway()
    file = directory / "jotgate.toml"
    file.write_text(f'[[issuers]]\nname = "idp"\nissuer = "{gateway.url}"\n')
    found = run_command("check", "--config", str(file), data=gateway.data)
    assert (found.returncode, "as of this installation" in found.stderr) == (1, True)
