"""Document 004's ways to a token, its checks and its token manager: what they make, a running daemon takes."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt as pyjwt
import pytest

from jotgate.sdk.legacy import TokenManager
from jotgate.stores.settings import Sources, load_settings
from tests.daemons import (
    PAGE,
    SECRET,
    WITHIN_S,
    Daemon,
    javascript,
    mcp_daemon,
    python,
    result_of,
    run,
    signed,
    text_of,
)
from tests.documents.excerpts import ROOT, excerpt
from tests.documents.ledger import read_documents


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with mcp_daemon() as started:
        yield started


def test_the_document_s_javascript_client(daemon: Daemon, tmp_path: Path) -> None:
    lines = text_of(441, 452, 472, 479, 493, token=signed(), address=daemon.address)
    ending = ".then(result => console.log('Result:', result))"
    assert ending in lines
    shown = lines.replace(
        ending, ".then(result => console.log('Result:', JSON.stringify(result))).then(() => client.ws.close())"
    )
    said = javascript(shown, tmp_path).splitlines()
    assert said[0] == "Connected to EX-AI MCP Server"
    assert result_of(json.loads(said[1].removeprefix("Result: "))) == "Hello, EX-AI!"


def test_a_token_made_in_python_is_taken(daemon: Daemon, tmp_path: Path) -> None:
    token = python(text_of(163), tmp_path).strip().rsplit(" ", 1)[1]
    status, told = daemon.validate(token)
    assert (status, told["quota"], told["role"]) == (200, 100, "user")


def test_a_token_made_in_javascript_is_taken(daemon: Daemon, tmp_path: Path) -> None:
    token = javascript(text_of(190), tmp_path).strip().rsplit(" ", 1)[1]
    assert daemon.validate(token)[1]["sub"] == "agent_001"


def test_the_claims_of_jwt_cli_are_taken(daemon: Daemon) -> None:
    printed = json.loads(re.sub(r"'\"\$\(.*?\)\"'", "1", text_of(215).split("'{", 1)[1].join(["{", ""]).rstrip("'\n")))
    now_s = int(time.time())
    assert daemon.validate(signed(**{**printed, "iat": now_s, "exp": now_s + 86_400}))[0] == 200


def test_the_shell_s_lines_find_the_secret_and_make_a_token(daemon: Daemon, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    said = run(["bash", "-euc", text_of(229)], tmp_path, SUPABASE_JWT_SECRET=SECRET, PATH=path)
    assert said.strip() == SECRET
    token = run(["bash", "-euc", text_of(235)], tmp_path, PATH=path).strip()
    assert daemon.validate(token)[0] == 200


def test_the_document_s_own_check_agrees_with_the_daemon(tmp_path: Path) -> None:
    lines = text_of(262, 274, 278, 282)
    late = signed(exp=1_700_000_000, iat=1_600_000_000)
    lines += f"print(validate_jwt_token({signed()!r}, {SECRET!r})['sub'])\n"
    lines += f"try:\n    validate_jwt_token({late!r}, {SECRET!r})\nexcept ValueError as refused:\n    print(refused)\n"
    said = python(lines, tmp_path).splitlines()
    assert said[0] == "agent_001"
    assert said[1].startswith("Invalid token: ")


def test_the_client_s_check(tmp_path: Path) -> None:
    def said(token: str) -> str:
        return python(text_of(291, 304, 309, 313, 318, token=token, secret=SECRET), tmp_path)

    assert re.match(r"Token valid for user: agent_001\nExpires at: \d{4}-", said(signed()))
    assert said("abc").startswith("Token validation failed: ")
    assert "Token validation failed: Signature has expired" in said(signed(exp=1_700_000_000, iat=1_600_000_000))
    for line in (607, 620):
        python(text_of(line, token=signed(), secret=SECRET), tmp_path)


def test_a_client_sees_that_its_token_ends_soon(tmp_path: Path) -> None:
    lines = text_of(561) + f"print(is_token_expiring_soon({signed()!r}))\n"
    lines += f"print(is_token_expiring_soon({signed(exp=int(time.time()) + 7_300)!r}))\n"
    assert python(lines, tmp_path).split() == ["True", "False"]


def script(place: Path, stdin: str) -> str:
    return run([sys.executable, "-I", "-S", "setup_jwt_token.py"], place, stdin)


def fetched(place: Path) -> None:
    """The script, by the document's own line."""
    url = (ROOT / "scripts" / "setup_jwt_token.py").as_uri()
    fetch = next(row for row in text_of(123, script_url=url).splitlines() if row.startswith("curl"))
    run(["bash", "-euc", fetch], place)


def test_the_script_runs_by_itself_and_prints_the_document_s_lines(daemon: Daemon, tmp_path: Path) -> None:
    fetched(tmp_path)
    secret, user, hours = (row.split(": ", 1)[1] for row in text_of(130).splitlines()[1:4])
    said = script(tmp_path, f"{secret}\n{user}\n{hours}\n").splitlines()
    asked = [row.split(": ")[0] for row in text_of(130).splitlines()]
    assert [row.split(": ")[0] for row in said[:4]] == asked
    printed = [row for row in text_of(138).splitlines() if row]
    shown = [row for row in said[4:] if row]
    assert shown[0].endswith("JWT Token Generated Successfully!")
    assert printed[0].endswith("JWT Token Generated Successfully!")
    assert [row.split(": ")[0] for row in shown[1:]] == [row.split(": ")[0] for row in printed[1:]]
    assert shown[3:] == ["User: agent_001", "Quota: 100 requests"]
    assert re.fullmatch(r"Expires: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", shown[2])
    token = shown[1].removeprefix("Token: ")
    status, told = daemon.validate(token)
    assert (status, told["sub"], told["quota"]) == (200, "agent_001", 100)
    assert [one.name for one in tmp_path.iterdir()] == ["setup_jwt_token.py"], "it keeps nothing"


def test_24_hours_are_what_nobody_chooses(tmp_path: Path) -> None:
    fetched(tmp_path)
    said = script(tmp_path, f"{SECRET}\nme\n\n")
    token = next(row for row in said.splitlines() if row.startswith("Token: ")).split()[1]
    claims = pyjwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 24 * 60 * 60
    assert "24 * 60 * 60" in excerpt("004", 554)
    with pytest.raises(TypeError, match="is the variable with the daemon's secret set"):
        TokenManager(os.environ.get("NO_SUCH_SECRET"), "me")  # type: ignore[arg-type]
    managed = pyjwt.decode(TokenManager(SECRET, "me").get_valid_token(), options={"verify_signature": False})
    assert managed["exp"] - managed["iat"] == 86_400


def test_the_script_warns_and_refuses_what_is_no_secret(tmp_path: Path) -> None:
    fetched(tmp_path)
    wrong = (
        ("short\nme\n24\n", "no key of HS256"),
        (f"{SECRET}\nme\n99999\n", "from 1 to 2160"),
        ("\udcff" * 40 + "\nme\n24\n", "no text in UTF-8"),
    )
    for stdin, fault in wrong:
        command = [sys.executable, "-I", "setup_jwt_token.py"]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=WITHIN_S,
            check=False,
        )
        assert done.returncode == 1
        assert fault in done.stderr
        assert "can make a token for anybody" in done.stderr
        assert "short" not in done.stdout + done.stderr


class Terminal:
    """The script at a terminal that is its own, as a person sees it."""

    def __init__(self, place: Path) -> None:
        self._mine, theirs = pty.openpty()
        begin = "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])"
        command = [sys.executable, "-c", begin, sys.executable, "-I", "-S", "setup_jwt_token.py"]
        self._process = subprocess.Popen(command, cwd=place, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.shown = ""

    def until(self, wanted: str) -> None:
        """Read what is shown, up to this, or to the end."""
        while wanted not in self.shown:
            ready, _, _ = select.select([self._mine], [], [], WITHIN_S)
            assert ready, self.shown
            try:
                self.shown += os.read(self._mine, 4_096).decode()
            except OSError:  # Linux says so that nobody has the other end any more.
                assert wanted == "\0", self.shown
                return

    def echoes(self) -> bool:
        """Whether what is typed now is shown."""
        return bool(termios.tcgetattr(self._mine)[3] & termios.ECHO)

    def type(self, text: str) -> None:
        os.write(self._mine, text.encode())

    def end(self) -> int:
        self.until("\0")
        os.close(self._mine)
        return self._process.wait(WITHIN_S)


def test_at_a_terminal_the_secret_is_not_shown_while_it_is_typed(daemon: Daemon, tmp_path: Path) -> None:
    fetched(tmp_path)
    terminal = Terminal(tmp_path)
    terminal.until("JWT Secret: ")
    assert not terminal.echoes()
    terminal.type(SECRET + "\n")
    terminal.until("user identifier: ")
    assert terminal.echoes(), "all else is shown"
    terminal.type("agent_001\n")
    terminal.until("default 24): ")
    terminal.type("\n")
    terminal.until("Quota: 100 requests")
    assert terminal.end() == 0
    assert SECRET not in terminal.shown
    assert "user identifier: agent_001" in terminal.shown
    token = re.findall(r"Token: (\S+)", terminal.shown)[0]
    assert daemon.validate(token)[1]["sub"] == "agent_001"


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_who_breaks_off_at_the_secret_gets_nothing_and_the_terminal_back(tmp_path: Path, key: str) -> None:
    fetched(tmp_path)
    terminal = Terminal(tmp_path)
    terminal.until("JWT Secret: ")
    terminal.type(key)
    terminal.until("no token was made")
    assert terminal.echoes()
    assert terminal.end() == 1
    assert "Traceback" not in terminal.shown


def test_a_client_puts_its_token_into_a_header(daemon: Daemon, tmp_path: Path) -> None:
    lines = text_of(149, token=signed()) + "import json; print(json.dumps(headers))"
    headers = json.loads(python(lines, tmp_path))
    answer = httpx.post(daemon.url + "/validate", headers=headers, timeout=WITHIN_S, trust_env=False)
    assert answer.status_code == 200


def test_three_ways_to_a_token_are_on_the_page() -> None:
    page = (ROOT / PAGE).read_text()
    assert all(word in page for word in ("setup_jwt_token.py", "TokenManager", "SUPABASE_JWT_SECRET"))


def test_the_secret_is_taken_from_the_environment(tmp_path: Path) -> None:
    lines = text_of(576) + "print(jwt_secret)"
    assert python(lines, tmp_path, SUPABASE_JWT_SECRET="of the environment").strip() == "of the environment"
    name = re.findall(r"SUPABASE_JWT_SECRET", excerpt("004", 604))[0]
    found = load_settings(Sources(file=None, environment={name: SECRET}, presets=("mcp-daemon",)))
    (preset,) = found.presets
    assert preset.missing == ()


def test_the_address_is_wss_where_others_reach_it(tmp_path: Path) -> None:
    lines = text_of(543, address="wss://gate.example:3000") + "print(JWT_ENDPOINT)"
    assert python(lines, tmp_path).strip() == "wss://gate.example:3000"
    environment = {"SUPABASE_JWT_SECRET": os.urandom(32).hex(), "EXAI_WS_HOST": "10.0.0.1"}
    found = load_settings(Sources(file=None, environment=environment, presets=("mcp-daemon",)))
    assert any("tls.cert" in str(one) for one in found.findings)


def test_a_token_is_made_at_once() -> None:
    manager = TokenManager(SECRET, "agent_001", lifetime_s=1, now=iter(range(1_000)).__next__)
    taken = []
    for _ in range(5):
        since_s = time.perf_counter()
        manager.get_valid_token()
        taken.append(time.perf_counter() - since_s)
    assert min(taken) < 0.1
    assert "100ms" in excerpt("004", 330)


def test_the_document_s_token_manager_and_ours(daemon: Daemon, tmp_path: Path) -> None:
    token = python(text_of(687, 701, 710, 727, 741, 747) + "print(token)", tmp_path).strip()
    assert daemon.validate(token)[1]["quota"] == 1_000
    told: list[str] = []
    now_s = [time.time()]
    manager = TokenManager(jwt_secret=SECRET, user_id="agent_001", refresh_callback=told.append, now=lambda: now_s[0])
    ours = manager.get_valid_token()
    names = pyjwt.decode(token, options={"verify_signature": False}).keys()
    assert pyjwt.decode(ours, options={"verify_signature": False}).keys() == names
    assert daemon.validate(ours)[0] == 200
    now_s[0] += 86_400 - 3_601 - (now_s[0] % 1)
    assert manager.get_valid_token() == ours
    now_s[0] += 2
    assert manager.get_valid_token() != ours
    assert len(told) == 2
    assert SECRET not in repr(manager)


def test_the_claims_of_the_table(daemon: Daemon) -> None:
    rows = re.findall(r"\| `(\w+)` \|.*\| .* (Yes|No) \|", "\n".join(read_documents(ROOT)["004"].lines[763:775]))
    assert len(rows) == 8
    for name, needed in rows:
        assert daemon.validate(signed(**{name: None}))[0] == (401 if needed == "Yes" else 200), name


def test_the_quick_reference(daemon: Daemon, tmp_path: Path) -> None:
    claims = pyjwt.decode(signed(), options={"verify_signature": False})
    token = python(text_of(777, payload=repr(claims), secret=SECRET) + "print(token)", tmp_path).strip()
    assert daemon.validate(token)[0] == 200
    check = python(text_of(789, token=token, secret=SECRET) + "print(payload['sub'])", tmp_path)
    assert check.strip() == "agent_001"


def test_the_quick_reference_in_javascript(daemon: Daemon, tmp_path: Path) -> None:
    claims = pyjwt.decode(signed(), options={"verify_signature": False})
    lines = text_of(781, payload=json.dumps(claims), secret=SECRET) + "console.log(token)"
    assert daemon.validate(javascript(lines, tmp_path).strip())[0] == 200
