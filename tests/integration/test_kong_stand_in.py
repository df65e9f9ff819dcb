"""Kong's stand-in as a process of its own, as somebody runs it who tries jotgate by hand."""

import signal
import subprocess
import sys

import httpx

from tests.kong_calls import CHAT


def test_it_says_where_it_listens_protects_its_service_and_ends_when_told() -> None:
    command = [
        sys.executable,
        "-P",
        "-m",
        "jotgate.testing.kong",
        "--admin-port",
        "0",
        "--proxy-port",
        "0",
        "--protect",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        (admin, admin_url), (proxy, proxy_url) = (process.stdout.readline().split() for _ in range(2))
        assert (admin, proxy) == ("admin", "proxy")
        config = httpx.get(f"{admin_url}/plugins").json()["data"][0]["config"]
        assert (config["key_claim_name"], config["secret_is_base64"]) == ("kid", True)
        answer = httpx.post(f"{proxy_url}/llm/v1/chat/completions", json=CHAT)
        assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
