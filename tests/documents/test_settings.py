"""What the documents ask of whoever runs the system: secrets outside the configuration, no token in the clear."""

import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from jotgate.testing.running import clean_environment, run_command
from tests.documents.excerpts import excerpt

_UPSTREAM = '[[upstreams]]\nname = "coze"\nkind = "openai"\nbase_url = "http://h"\nmodels = ["m"]\n'


def check(folder: Path, text: str, *options: str, **variables: str) -> "CompletedProcess[str]":
    file = folder / "jotgate.toml"
    file.write_text(text)
    return run_command("check", "--config", str(file), *options, data=folder / "data", environment=variables)


def test_a_secret_comes_from_the_environment_or_a_env_file_and_never_from_the_configuration(tmp_path: Path) -> None:
    assert "`.env`" in excerpt("000", 155)
    refused = check(tmp_path, _UPSTREAM + 'credential = "sk-hush"\n')
    assert refused.returncode == 1
    assert "credential_env" in refused.stderr
    assert "hush" not in refused.stderr
    assert check(tmp_path, _UPSTREAM + 'credential_env = "COZE_KEY"\n', COZE_KEY="sk-hush").returncode == 0
    dotenv = tmp_path / ".env"
    dotenv.write_text("COZE_KEY=sk-hush\n")
    dotenv.chmod(0o600)
    found = subprocess.run(
        [sys.executable, "-P", "-m", "jotgate", "check", "--data", "data", "--config", "jotgate.toml"],
        cwd=tmp_path,
        env=clean_environment({}),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert found.returncode == 0


@pytest.mark.parametrize(
    ("document", "line", "advice"),
    [("000", 158, "SSL/TLS"), ("001", 283, "encrypted connections"), ("004", 547, "INSECURE for production")],
)
def test_a_listener_that_others_reach_has_tls_or_does_not_start(
    document: str, line: int, advice: str, tmp_path: Path
) -> None:
    assert advice in excerpt(document, line)
    refused = check(tmp_path, "", "--host", "10.1.2.3")
    assert refused.returncode == 1
    assert "tokens would cross the network in the clear" in refused.stderr
    assert check(tmp_path, "", "--host", "127.0.0.1").returncode == 0
